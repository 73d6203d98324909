// Opening goes: ISA, threads, shapes for the batch, prepare every operator, share
// storage where a reshape needs no copy, lifetimes, plan, one allocation, bind.
#include "runtime/session/session.h"

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "runtime/model/validate.h"
#include "runtime/session/tune.h"
#include "runtime/tensor/half.h"
#include "schema/layout.h"

namespace qrt {
namespace {

Status out_of_memory() {
  return Status(Code::out_of_memory, 1, "out of memory");
}

constexpr size_t kAlign = 64;

uint64_t bytes_of(const Constant& c) {
  return uint64_t{c.count} * size_of(c.dtype);
}

double value_at(const void* data, DType dtype, size_t i) {
  const auto* p = static_cast<const uint8_t*>(data) + i * size_of(dtype);
  const auto load = [p](auto v) {
    std::memcpy(&v, p, sizeof v);
    return v;
  };
  switch (dtype) {
    case DType::f32:
      return static_cast<double>(load(float{}));
    case DType::f16:
      return static_cast<double>(half_to_float(load(uint16_t{})));
    case DType::i8:
      return load(int8_t{});
    case DType::i32:
      return load(int32_t{});
    case DType::i64:
      return static_cast<double>(load(int64_t{}));
    case DType::u8:
    case DType::boolean:
      return load(uint8_t{});
    case DType::bits:
      break;  // no output of a model
  }
  return 0;
}

// max |got - want| / max |want|; infinite where a value is no number.
double relative_error(const TensorView& got, Bytes want) {
  const size_t n = want.size() / size_of(got.dtype);
  double difference = 0, scale = 0;
  for (size_t i = 0; i < n; ++i) {
    const double g = value_at(got.data, got.dtype, i), w = value_at(want.data(), got.dtype, i);
    if (!std::isfinite(g) || !std::isfinite(w)) return std::numeric_limits<double>::infinity();
    difference = std::fmax(difference, std::fabs(g - w));
    scale = std::fmax(scale, std::fabs(w));
  }
  if (difference == 0) return 0;
  return scale == 0 ? std::numeric_limits<double>::infinity() : difference / scale;
}

// Whether the bytes of both hold the same elements in the same places: of bits, rows that start on
// words do so only where they are cut alike, or nowhere within a word.
bool rows_agree(const TensorView& a, const TensorView& b) {
  if (a.dtype != DType::bits) return true;
  return row_of(a.shape) == row_of(b.shape) ||
         (row_of(a.shape) % 64 == 0 && row_of(b.shape) % 64 == 0);
}

}  // namespace

uint64_t stored_bytes(const Weights& w) {
  switch (w.encoding) {
    case Encoding::dense:
      return w.dense.data.size() + bytes_of(w.dense.scales.values);
    case Encoding::codebook:
      return w.codebook.entries.size() + w.codebook.codes.size() +
             bytes_of(w.codebook.entry_scales) + bytes_of(w.codebook.levels) +
             w.codebook.level_of.size();
    case Encoding::table:
      return bytes_of(w.table.values) + w.table.integers.size() + w.table.codes.size() +
             bytes_of(w.table.scales.values) + bytes_of(w.table.offset);
    case Encoding::affine:
      return w.affine.codes.size() + bytes_of(w.affine.scales.values) +
             w.affine.zero_halves.size() * sizeof(int16_t);
    case Encoding::bit_planes:
      return w.bit_planes.counts.size() + w.bit_planes.planes.size() +
             bytes_of(w.bit_planes.alphas);
  }
  return 0;
}

Session::~Session() {
  for (const Step& step : steps_)
    if (step.op != nullptr) step.op->~Op();
}

Status Session::open(const SessionOptions& options) {
  QRT_TRY(choose_isa(options.isa));
  // Without the threads asked for a run is slower, not wrong: threads() tells how many there are.
  static_cast<void>(threads_.start(options.threads == 0 ? 1 : options.threads));
  QRT_TRY(set_batch(options.batch == 0 ? 1 : options.batch));
  const size_t n = model_.nodes.size();
  const Span<Step> steps = keep_.array<Step>(n);
  if (steps.data() == nullptr) return out_of_memory();
  steps_ = steps;
  QRT_TRY(prepare_all(options));
  share_storage();
  QRT_TRY(plan());
  return bind();
}

Status Session::prepare_all(const SessionOptions& options) {
  const char* file = options.tune != nullptr ? options.tune : std::getenv("QRT_TUNE");
  Tuner tuner(keep_.allocator());
  const bool tunes = file != nullptr && file[0] != 0;
  if (tunes) tuner.open(file);
  for (size_t i = 0; i < steps_.size(); ++i)
    QRT_TRY(
        prepare_step(i, options, tunes ? &tuner : nullptr).at(Where::op, static_cast<int64_t>(i)));
  if (tunes) tuner.save();
  note_ = tuner.note();
  return {};
}

Status Session::choose_isa(const char* name) {
  isa_ = kernels::detect_isa();
  const bool from_caller = name != nullptr;
  if (!from_caller) name = std::getenv("QRT_ISA");
  if (name == nullptr || name[0] == 0) return {};
  kernels::IsaSet cap = 0;
  if (!kernels::isa_level(name, &cap)) {
    return Status(Code::invalid_argument, 10,
                  from_caller ? "the option isa names no ISA level"
                              : "the environment's QRT_ISA names no ISA level")
        .next("use scalar, avx2, avx512, avx512vnni, avx512vbmi, neon, neondot or i8mm");
  }
  isa_ &= cap;
  return {};
}

Status Session::set_batch(uint32_t batch) {
  bool is_free = false;
  for (const Port& port : model_.inputs) is_free = is_free || model_.tensors[port.tensor].batched;
  if (batch != 1 && !is_free) {
    return Status(Code::invalid_argument, 12, "the model's batch is fixed")
        .values(batch, 1)
        .next("open the session with batch 1, or convert the model with a free batch");
  }
  tensors_ = keep_.array<TensorView>(model_.tensors.size());
  storage_ = keep_.array<uint32_t>(model_.tensors.size());
  if (tensors_.data() == nullptr || storage_.data() == nullptr) return out_of_memory();
  for (size_t t = 0; t < tensors_.size(); ++t) {
    const TensorInfo& info = model_.tensors[t];
    tensors_[t] = {nullptr, info.dtype, info.shape, info.quantization};
    if (info.is_constant) {
      const void* data = info.constant.data();  // read only: no operator writes a constant
      tensors_[t].data = static_cast<std::byte*>(const_cast<void*>(data));
    }
    if (!info.batched) continue;
    const auto dim =
        (CheckedSize(static_cast<uint64_t>(info.shape[0])) * batch).get(layout::kMaxDim);
    if (dim) tensors_[t].shape[0] = static_cast<int32_t>(*dim);
    const CheckedSize elements = tensors_[t].shape.elements();
    // Bytes too: in 32 bits they run out before elements do.
    if (!dim || !elements.get(layout::kMaxElements) ||
        !bytes_of(info.dtype, tensors_[t].shape).get()) {
      return Status(Code::invalid_argument, 13, "the batch is too large for the tensor")
          .next("use a smaller batch")
          .at(Where::tensor, static_cast<int64_t>(t));
    }
  }
  batch_ = batch;
  return {};
}

Status Session::prepare_step(size_t n, const SessionOptions& options, Tuner* tuner) {
  Step& step = steps_[n];
  const Node& node = model_.nodes[n];
  step.node = &node;
  step.in = keep_.array<ConstTensorView>(node.inputs.size());
  step.out = keep_.array<TensorView>(node.outputs.size());
  if (step.in.data() == nullptr || step.out.data() == nullptr) return out_of_memory();
  for (size_t i = 0; i < step.in.size(); ++i) {
    const TensorView& t = tensors_[node.inputs[i]];
    step.in[i] = {t.data, t.dtype, t.shape, t.quantization};
  }
  for (size_t i = 0; i < step.out.size(); ++i) step.out[i] = tensors_[node.outputs[i]];

  bool bits = step.out[0].dtype == DType::bits;
  for (const ConstTensorView& t : step.in) bits = bits || t.dtype == DType::bits;
  Expected<Op*> op = make_op(node, options.mode, bits, keep_);
  if (!op.ok()) return op.status();
  step.op = *op;
  PrepareContext context(model_, keep_, threads_);
  context.isa = isa_;
  context.mode = options.mode;
  context.prefer_speed = options.prefer_speed;
  context.strategy = options.strategy;
  context.tuner = tuner;
  context.op = static_cast<uint32_t>(n);
  context.in = step.in;
  context.out = step.out;
  QRT_TRY(step.op->prepare(node, context));
  weight_bytes_ += context.weight_bytes;
  step.scratch = keep_.array<std::byte*>(context.slots);
  if (step.scratch.data() == nullptr) return out_of_memory();
  for (uint32_t i = 0; i < context.slots; ++i) step.scratch_bytes[i] = context.scratch_bytes[i];
  return {};
}

// A reshape's output takes its input's bytes: nobody writes a tensor twice, so
// both may be read until the later one dies. Outputs of the model keep their own, and
// so does what is made of a constant: behind that lies no kReadSlack but the file's end.
void Session::share_storage() {
  for (size_t i = 0; i < tensors_.size(); ++i) storage_[i] = static_cast<uint32_t>(i);
  for (const Node& node : model_.nodes) {
    if (node.kind != OpKind::reshape) continue;
    bool is_output = false;
    for (const Port& port : model_.outputs) is_output = is_output || port.tensor == node.outputs[0];
    const uint32_t from = storage_[node.inputs[0]];
    const bool same_rows = rows_agree(tensors_[node.inputs[0]], tensors_[node.outputs[0]]);
    if (!is_output && same_rows && !model_.tensors[from].is_constant)
      storage_[node.outputs[0]] = from;
  }
}

void Session::find_lifetimes(Span<Lifetime> lives) const {
  const auto last_step = static_cast<int32_t>(steps_.size());
  for (size_t t = 0; t < tensors_.size(); ++t) {
    const TensorView& v = tensors_[t];
    const bool own = storage_[t] == t && v.data == nullptr;
    const size_t bytes = own ? *bytes_of(v.dtype, v.shape).get() : 0;
    lives[t] = {bytes, last_step, 0};
  }
  const auto touch = [&](uint32_t tensor, int32_t step) {
    Lifetime& life = lives[storage_[tensor]];
    life.first = step < life.first ? step : life.first;
    life.last = step > life.last ? step : life.last;
  };
  for (int32_t n = 0; n < last_step; ++n) {
    for (const uint32_t t : steps_[n].node->inputs) touch(t, n);
    for (const uint32_t t : steps_[n].node->outputs) touch(t, n);
  }
  // The caller may write inputs once and run twice, and reads outputs after the run.
  for (const Port& p : model_.inputs) touch(p.tensor, 0), touch(p.tensor, last_step);
  for (const Port& p : model_.outputs) touch(p.tensor, last_step);
  size_t slot = tensors_.size();
  for (int32_t n = 0; n < last_step; ++n)
    for (size_t i = 0; i < steps_[n].scratch.size(); ++i)
      lives[slot++] = {steps_[n].scratch_bytes[i], n, n};
}

Status Session::plan() {
  size_t count = tensors_.size();
  for (const Step& step : steps_) count += step.scratch.size();
  // Kept only until the arena is cut.
  Arena work(keep_.allocator());
  const Span<Lifetime> lives = work.array<Lifetime>(count);
  const Span<size_t> offsets = work.array<size_t>(count);
  const Span<uint32_t> order = work.array<uint32_t>(2 * count);
  if (lives.data() == nullptr || offsets.data() == nullptr || order.data() == nullptr)
    return out_of_memory();
  find_lifetimes(lives);
  const Expected<size_t> bytes = plan_arena(lives, kAlign, offsets, order);
  if (!bytes.ok()) return bytes.status();
  auto* base = static_cast<std::byte*>(activations_.allocate(*bytes + kReadSlack, kAlign));
  if (base == nullptr) return out_of_memory();
  for (size_t t = 0; t < tensors_.size(); ++t)
    if (lives[t].bytes != 0) tensors_[t].data = base + offsets[t];
  for (size_t t = 0; t < tensors_.size(); ++t) tensors_[t].data = tensors_[storage_[t]].data;
  size_t slot = tensors_.size();
  for (Step& step : steps_)
    for (std::byte*& scratch : step.scratch) scratch = base + offsets[slot++];
  return {};
}

RunContext Session::context_of(const Step& step) const {
  return {step.in.data(), step.out.data(), step.scratch.data(), threads_};
}

Status Session::bind() {
  for (size_t n = 0; n < steps_.size(); ++n) {
    Step& step = steps_[n];
    for (size_t i = 0; i < step.in.size(); ++i)
      step.in[i].data = tensors_[step.node->inputs[i]].data;
    for (size_t i = 0; i < step.out.size(); ++i)
      step.out[i].data = tensors_[step.node->outputs[i]].data;
    QRT_TRY(step.op->bind(context_of(step)).at(Where::op, static_cast<int64_t>(n)));
  }
  return {};
}

Status Session::run() {
  for (size_t n = 0; n < steps_.size(); ++n)
    QRT_TRY(steps_[n].op->run(context_of(steps_[n])).at(Where::op, static_cast<int64_t>(n)));
  return {};
}

Status Session::run_profiled() {
  using Clock = std::chrono::steady_clock;
  for (size_t n = 0; n < steps_.size(); ++n) {
    Step& step = steps_[n];
    const Clock::time_point start = Clock::now();
    QRT_TRY(step.op->run(context_of(step)).at(Where::op, static_cast<int64_t>(n)));
    step.last_ns = std::chrono::duration<double, std::nano>(Clock::now() - start).count();
  }
  return {};
}

uint64_t Session::macs(const Step& step) const {
  const Weights* w = weights_of(*step.node);
  return w == nullptr ? 0 : uint64_t{*step.out[0].shape.elements().get()} * w->inputs;
}

Status Session::self_check(double* max_error) {
  if (!model_.has_golden) {
    return Status(Code::unsupported, 16, "the model holds no golden values")
        .next("convert it with golden input and output, or compare with qrt-verify");
  }
  if (batch_ != 1) {
    return Status(Code::invalid_argument, 17, "golden values are for batch 1")
        .values(batch_, 1)
        .next("open a session with batch 1");
  }
  for (size_t i = 0; i < model_.inputs.size(); ++i) {
    const Bytes golden = model_.golden_inputs[i];
    std::memcpy(input(i).data, golden.data(), golden.size());
  }
  QRT_TRY(run());
  *max_error = 0;
  for (size_t i = 0; i < model_.outputs.size(); ++i)
    *max_error = std::fmax(*max_error, relative_error(output(i), model_.golden_outputs[i]));
  return {};
}

}  // namespace qrt
