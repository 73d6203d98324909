// See op_runner.h.
#include "tests/support/op_runner.h"

#include <cstdlib>

namespace qrt::test {
namespace {

constexpr size_t kGuard = 64;
constexpr unsigned char kGuardByte = 0xa5;

// 64-byte aligned bytes with room around them.
class Buffer {
 public:
  explicit Buffer(size_t bytes) : bytes_(bytes) {
    const size_t all = (kGuard + bytes + kGuard + 63) / 64 * 64;
    base_ = static_cast<unsigned char*>(std::aligned_alloc(64, all));
    std::memset(base_, kGuardByte, all);
  }
  ~Buffer() { std::free(base_); }
  Buffer(Buffer&& o) noexcept : base_(o.base_), bytes_(o.bytes_) { o.base_ = nullptr; }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  unsigned char* data() const { return base_ + kGuard; }
  void nan_behind() { std::memset(data() + bytes_, 0xff, kGuard); }
  bool guards_held() const {
    for (size_t i = 0; i < kGuard; ++i)
      if (base_[i] != kGuardByte || data()[bytes_ + i] != kGuardByte) return false;
    return true;
  }

 private:
  unsigned char* base_;
  size_t bytes_;
};
static_assert(kGuard >= kReadSlack);

struct Bound {
  std::vector<Buffer> in;
  std::vector<ConstTensorView> in_views;
  std::vector<std::byte*> scratch_data;
};

Status run_bound(Op& op, const PrepareContext& prepared, const Threads& threads, OpRun& run,
                 Bound& bound, HostTensor* out) {
  const size_t bytes = *bytes_of(out->dtype, out->shape).get();
  Buffer buffer(bytes);
  TensorView view{reinterpret_cast<std::byte*>(buffer.data()), out->dtype, out->shape,
                  out->quantization};
  std::vector<Buffer> scratch;
  for (uint32_t i = 0; i < prepared.slots; ++i) {
    scratch.emplace_back(prepared.scratch_bytes[i]);
    bound.scratch_data.push_back(reinterpret_cast<std::byte*>(scratch.back().data()));
  }
  const RunContext ctx{bound.in_views.data(), &view, bound.scratch_data.data(), threads};
  QRT_TRY(op.bind(ctx));
  for (int i = 0; i < run.repeats; ++i) {
    std::memset(buffer.data(), 0xff, bytes);
    QRT_TRY(op.run(ctx));
    const std::vector<unsigned char> got(buffer.data(), buffer.data() + bytes);
    if (i > 0 && got != out->bytes) run.repeatable = false;
    out->bytes = got;
  }
  run.guards_held = buffer.guards_held();
  for (const Buffer& s : scratch) run.guards_held = run.guards_held && s.guards_held();
  return {};
}

}  // namespace

void* CountingAllocator::take(void* user, size_t bytes, size_t align) {
  auto* self = static_cast<CountingAllocator*>(user);
  if (self->left-- <= 0) return nullptr;
  ++self->live;
  const Allocator a = default_allocator();
  return a.alloc(a.user, bytes, align);
}

void CountingAllocator::give(void* user, void* p) {
  if (p == nullptr) return;
  --static_cast<CountingAllocator*>(user)->live;
  const Allocator a = default_allocator();
  a.release(a.user, p);
}

Status OpRun::operator()(Node node, const std::vector<HostTensor>& in, HostTensor* out) {
  CountingAllocator allocator;
  allocator.left = fail_after;
  Status status;
  {
    Arena keep(allocator.get());
    Threads pool;
    if (threads > 1) pool.start(threads);
    const Model model;
    PrepareContext ctx(model, keep, pool);
    ctx.isa = isa;
    ctx.mode = mode;
    ctx.strategy = strategy;
    ctx.use_xnnpack = use_xnnpack;
    Bound bound;
    std::vector<ConstTensorView> declared;
    for (const HostTensor& t : in) {
      bound.in.emplace_back(t.bytes.size());
      if (!t.bytes.empty()) std::memcpy(bound.in.back().data(), t.bytes.data(), t.bytes.size());
      bound.in.back().nan_behind();
      const auto* data = reinterpret_cast<const std::byte*>(bound.in.back().data());
      bound.in_views.push_back({data, t.dtype, t.shape, t.quantization});
      declared.push_back({t.is_constant ? data : nullptr, t.dtype, t.shape, t.quantization});
    }
    const TensorView out_view{nullptr, out->dtype, out->shape, out->quantization};
    ctx.in = {declared.data(), declared.size()};
    ctx.out = {&out_view, 1};
    bool bits = out->dtype == DType::bits;
    for (const HostTensor& t : in) bits = bits || t.dtype == DType::bits;
    Expected<Op*> op = make_op(node, mode, bits, keep);
    if (op.ok()) {
      status = (*op)->prepare(node, ctx);
      weight_bytes = ctx.weight_bytes;
      if (status.ok()) {
        kernel = (*op)->kernel_name();
        choice = (*op)->choice();
        status = run_bound(**op, ctx, pool, *this, bound, out);
      }
      (*op)->~Op();
    } else {
      status = op.status();
    }
  }
  leaked = allocator.live;
  return status;
}

}  // namespace qrt::test
