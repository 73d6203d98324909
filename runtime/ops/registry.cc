// Rows of ops.inc to a constant table, and the choice among them.
#include "runtime/ops/decode_lowbit.h"
#include "runtime/ops/factories.h"

namespace qrt {
namespace {

enum class WeightRow : uint8_t { none, dense, codebook, integers, bits };

struct OpRow {
  OpKind kind;
  WeightRow weights;
  OpFactory* make;
};

constexpr OpRow kOps[] = {
#define QRT_OP(kind, weights, factory) {OpKind::kind, WeightRow::weights, &factory},
#include "runtime/ops/ops.inc"
#undef QRT_OP
};

// One channel per group: few weights, which are better decoded once than multiplied as matrices.
bool is_depthwise(const Node& node) {
  if (node.kind != OpKind::conv2d) return false;
  const Conv2dAttr& a = *node.conv2d;
  return a.groups > 1 && a.groups == a.weights->outputs &&
         a.weights->inputs == uint64_t{a.window.kernel_h} * a.window.kernel_w;
}

Status refused(Encoding e) {
  const char* what = "this build computes no layer of this encoding";
  switch (e) {
    case Encoding::dense:
      what = "this build computes no layer of encoding dense";
      break;
    case Encoding::codebook:
      what = "this build computes no layer of encoding codebook";
      break;
    case Encoding::table:
      what = "this build computes no layer of encoding table";
      break;
    case Encoding::affine:
      what = "this build computes no layer of encoding affine";
      break;
    case Encoding::bit_planes:
      what = "this build computes no layer of encoding bit_planes";
      break;
  }
  return Status(Code::unsupported, 250, what)
      .next("use a newer libqrt, or convert the layer to dense or codebook weights");
}

}  // namespace

Expected<Op*> make_op(const Node& node, Mode mode, bool bits, Arena& keep) {
  WeightRow want = bits ? WeightRow::bits : WeightRow::none;
  const Weights* weights = weights_of(node);
  if (weights != nullptr) {
    const bool is_dense = weights->encoding == Encoding::dense;
    const bool lowbit = is_lowbit(weights->encoding);
    if (weights->numerics != Numerics::f32)
      want = WeightRow::integers;
    else if (is_dense || mode == Mode::dense || (lowbit && is_depthwise(node)))
      want = WeightRow::dense;
    else
      want = WeightRow::codebook;
  }
  for (const OpRow& row : kOps) {
    if (row.kind != node.kind || row.weights != want) continue;
    Op* op = row.make(keep);
    if (op == nullptr)
      return Status(Code::out_of_memory, 258, "no memory to prepare an operator")
          .next("close other sessions, or allow more memory");
    return op;
  }
  if (weights != nullptr) return refused(weights->encoding);
  if (bits)
    return Status(Code::unsupported, 266, "this build has no such operator on packed bits")
        .values(static_cast<int64_t>(node.kind), 0)
        .next("use a newer libqrt, or convert the model with bytes there");
  return Status(Code::unsupported, 250, "this build has no operator of this kind")
      .values(static_cast<int64_t>(node.kind), 0)
      .next("use a newer libqrt");
}

}  // namespace qrt
