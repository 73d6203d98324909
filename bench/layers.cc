// Our layers and XNNPACK's, put together without a model file.
#include "bench/layers.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/shift/shift.h"
#include "runtime/dense/xnn.h"
#include "runtime/ops/conv_geometry.h"
#include "runtime/ops/op.h"
#include "schema/layout.h"

namespace qrt::bench {
namespace {

struct Free {
  void operator()(void* p) const { std::free(p); }
};
using Memory = std::unique_ptr<std::byte, Free>;

Memory memory(size_t bytes) {
  auto* p = static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 127) / 64 * 64));
  std::memset(p, 0, bytes);
  return Memory(p);
}

Memory random_floats(size_t n, uint32_t seed) {
  std::mt19937 bits(seed);
  Memory m = memory(n * sizeof(float));
  for (size_t i = 0; i < n; ++i)
    reinterpret_cast<float*>(m.get())[i] = static_cast<float>(bits() >> 8) / 8388608.0f - 1.0f;
  return m;
}

Window window_of(const LayerShape& s) {
  const uint32_t pad = s.kernel / 2;
  return {s.kernel, s.kernel, s.stride, s.stride, 1, 1, pad, pad, pad, pad};
}

Shape shape_of(const LayerShape& s, uint32_t size, uint32_t channels) {
  Shape shape;
  if (s.is_linear()) {
    shape.rank = 2;
    shape.dim = {1, static_cast<int32_t>(channels)};
    return shape;
  }
  shape.rank = 4;
  shape.dim = {1, static_cast<int32_t>(size), static_cast<int32_t>(size),
               static_cast<int32_t>(channels)};
  return shape;
}

// An element of a codebook as trained ones have them: the largest of a layer, here 1, is six to
// nineteen times their standard deviation in published networks, nine in the median.
uint16_t random_half(std::mt19937* random) {
  float sum = 0;
  for (int i = 0; i < 12; ++i) sum += static_cast<float>((*random)() >> 8) / 16777216.0f;
  const float value = (sum - 6.0f) / 9.0f;
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t sign = bits >> 16 & 0x8000u, size = (bits & 0x7fffffffu) >> 13;
  return static_cast<uint16_t>(size <= 112u << 10 ? 0 : sign | (size - (112u << 10)));
}

// Codes into random entries.
class OurLayer final : public TimedLayer {
 public:
  OurLayer(const LayerShape& s, const Coding& coding)
      : keep_(default_allocator()),
        context_(model_, keep_, threads_),
        is_integer_(coding.kind != Coding::Kind::f32),
        is_bits_(coding.kind == Coding::Kind::bits),
        // A row of slack behind the input, as the session's arena has it.
        x_(random_floats(size_t{s.size} * s.size * s.cin + kReadSlack, 1)),
        y_(memory(size_t{s.rows()} * s.cout * sizeof(float))),
        bias_(random_floats(s.cout, 2)),
        scales_(random_floats(s.cout, 5)) {
    weights_.outputs = s.cout, weights_.inputs = s.inputs();
    weights_.order = InputOrder::cin_kh_kw;
    if (is_bits_)
      set_signs();
    else if (coding.fraction >= 0)
      set_esb(coding.code_bits, static_cast<uint32_t>(coding.fraction), coding.group);
    else if (coding.code_bits != 0)
      set_affine(coding.code_bits);
    else if (coding.trits)
      set_trits();
    else if (coding.count == 0)
      set_dense();
    else
      set_codebook(coding);
    if (is_integer_) set_numerics(coding);
    set_node(s);
  }
  ~OurLayer() override {
    if (op_) op_->~Op();
  }

  bool prepare(const Way& way, kernels::IsaSet isa) {
    const Mode mode = way.is_resident ? Mode::dense : Mode::compressed;
    context_.isa = isa, context_.mode = mode;
    context_.strategy = *way.strategy ? way.strategy : nullptr;
    context_.in = {&in_, 1}, context_.out = {&out_, 1};
    const Expected<Op*> made = make_op(node_, mode, is_bits_, keep_);
    if (!made.ok()) return false;
    op_ = *made;
    if (!op_->prepare(node_, context_).ok()) return false;
    if (std::strstr(op_->kernel_name(), way.strategy) == nullptr) return false;
    if (way.is_resident) weight_bytes_ = static_cast<double>(context_.weight_bytes);
    for (uint32_t i = 0; i < context_.slots; ++i) {
      scratch_.push_back(memory(context_.scratch_bytes[i]));
      pointers_.push_back(scratch_.back().get());
    }
    return op_->bind({&in_, &out_, pointers_.data(), threads_}).ok();
  }
  void run() override {
    if (!op_->run({&in_, &out_, pointers_.data(), threads_}).ok()) std::abort();
  }
  std::string note() const override {
    return std::string(op_->kernel_name()) + ": " + op_->choice();
  }
  double weight_bytes() const override { return weight_bytes_; }

 private:
  static Bytes bytes_of(const Memory& m, size_t n) {
    return {reinterpret_cast<const uint8_t*>(m.get()), n};
  }
  void set_dense() {
    const size_t n = size_t{weights_.outputs} * weights_.inputs;
    codes_ = random_floats(n / sizeof(float) + 1, 4);
    for (size_t i = 0; i < n; ++i) {  // -128 is no weight
      auto& w = reinterpret_cast<int8_t*>(codes_.get())[i];
      w = static_cast<int8_t>(w | 1);
    }
    weights_.encoding = Encoding::dense, weights_.order = InputOrder::kh_kw_cin;
    weights_.dense = {DType::i8,
                      bytes_of(codes_, n),
                      {ScaleAxis::output, 0, {scales_.get(), DType::f32, weights_.outputs}}};
    weight_bytes_ = static_cast<double>(n);
  }
  // Random signs, and thresholds that half of the sums reach.
  void set_signs() {
    const size_t row = layout::plane_row_bytes(weights_.inputs) / 8;
    const uint64_t last = ~uint64_t{0} >> (row * 64 - weights_.inputs);
    std::mt19937_64 random(4);
    codes_ = memory(row * 8 * weights_.outputs), entries_ = memory(weights_.outputs);
    auto* words = reinterpret_cast<uint64_t*>(codes_.get());
    for (size_t i = 0; i < row * weights_.outputs; ++i)
      words[i] = random() & (i % row + 1 == row ? last : ~uint64_t{0});
    std::memset(entries_.get(), 1, weights_.outputs);
    for (uint32_t n = 0; n < weights_.outputs; ++n)
      thresholds_.push_back(static_cast<int32_t>(random() % 16) - 8);
    weights_.encoding = Encoding::bit_planes, weights_.order = InputOrder::kh_kw_cin;
    weights_.bit_planes = {PlanePacking::planes,
                           0,
                           bytes_of(entries_, weights_.outputs),
                           bytes_of(codes_, row * 8 * weights_.outputs),
                           {scales_.get(), DType::f32, weights_.outputs}};
    weight_bytes_ = static_cast<double>(row * 8 * weights_.outputs);
  }
  // One plane of -1, 0 and 1; the last byte of a row may have room.
  void set_trits() {
    const auto row = static_cast<size_t>(layout::ternary5_row_bytes(weights_.inputs));
    codes_ = memory(row * weights_.outputs), entries_ = memory(weights_.outputs);
    std::mt19937 random(4);
    for (size_t i = 0; i < row * weights_.outputs; ++i) {
      const uint32_t left = weights_.inputs - static_cast<uint32_t>(i % row) * 5;
      uint32_t byte = 0;
      for (uint32_t t = std::min(left, 5u); t > 0; --t) byte = 3 * byte + random() % 3;
      reinterpret_cast<uint8_t*>(codes_.get())[i] = static_cast<uint8_t>(byte);
    }
    std::memset(entries_.get(), 1, weights_.outputs);
    weights_.encoding = Encoding::bit_planes, weights_.order = InputOrder::kh_kw_cin;
    weights_.bit_planes = {PlanePacking::ternary5,
                           0,
                           bytes_of(entries_, weights_.outputs),
                           bytes_of(codes_, row * weights_.outputs),
                           {scales_.get(), DType::f32, weights_.outputs}};
    weight_bytes_ = static_cast<double>(row * weights_.outputs);
  }
  // Codes of any bits stand for integers around 0, of one bit for -1 and 1.
  void set_affine(uint32_t bits) {
    const auto row = static_cast<size_t>(layout::kbit_row_bytes(weights_.inputs, bits));
    const size_t n = weights_.outputs * row;
    codes_ = random_floats(n / sizeof(float) + 1, 4);
    std::mt19937 random(4);
    for (size_t i = 0; i < n; ++i)
      reinterpret_cast<uint8_t*>(codes_.get())[i] = static_cast<uint8_t>(random() >> 8);
    zero_ = static_cast<int16_t>(bits == 1 ? 1 : 1 << bits);
    weights_.order = InputOrder::kh_kw_cin;
    weights_.encoding = Encoding::affine;
    weights_.affine = {bits,
                       false,
                       {&zero_, 1},
                       bytes_of(codes_, n),
                       {ScaleAxis::output, 0, {scales_.get(), DType::f32, weights_.outputs}}};
    weight_bytes_ = static_cast<double>(n);
  }
  // Codes of a normal distribution: what grouping and shift-add take depends on the values.
  void set_esb(uint32_t bits, uint32_t fraction, uint32_t group) {
    const auto row = static_cast<size_t>(layout::kbit_row_bytes(weights_.inputs, bits));
    const size_t n = weights_.outputs * row, codes = size_t{1} << bits;
    entries_ = memory(codes * sizeof(int16_t)), codes_ = memory(n);
    auto* integers = reinterpret_cast<int16_t*>(entries_.get());
    if (!kernels::shift::esb_integers(bits, fraction, integers)) std::abort();
    float most = 0;
    for (size_t c = 0; c < codes; ++c) most = std::max(most, static_cast<float>(integers[c]));
    std::mt19937 random(4);
    std::normal_distribution<float> normal(0, most / 3);
    std::vector<uint32_t> drawn(4099);  // a prime: rows differ
    for (uint32_t& best : drawn) {
      const float wanted = normal(random);
      for (uint32_t c = 1; c < codes; ++c)
        if (std::abs(static_cast<float>(integers[c]) - wanted) <
            std::abs(static_cast<float>(integers[best]) - wanted))
          best = c;
    }
    size_t next = 0;
    for (uint32_t o = 0; o < weights_.outputs; ++o)
      for (uint32_t k = 0; k < weights_.inputs; ++k)
        layout::write_code(reinterpret_cast<uint8_t*>(codes_.get()) + o * row, k, bits,
                           drawn[next++ % drawn.size()]);
    weights_.order = InputOrder::kh_kw_cin;
    weights_.encoding = Encoding::table;
    weights_.table = {bits,
                      {},
                      bytes_of(entries_, codes * sizeof(int16_t)),
                      bytes_of(codes_, n),
                      {ScaleAxis::output, 0, {scales_.get(), DType::f32, weights_.outputs}},
                      {}};
    weight_bytes_ = static_cast<double>(n);
    if (group == 0) return;
    const uint32_t powers = weights_.outputs * ((weights_.inputs + group - 1) / group);
    powers_ = memory(powers);
    for (uint32_t i = 0; i < powers; ++i)
      reinterpret_cast<uint8_t*>(powers_.get())[i] = static_cast<uint8_t>(115 + i % 5);
    weights_.table.scales = {ScaleAxis::group, group, {powers_.get(), DType::u8, powers}};
    weight_bytes_ += powers;
  }
  void set_codebook(const Coding& coding) {
    const uint32_t bits = layout::code_bits(coding.count);
    const auto blocks = static_cast<uint32_t>(layout::codebook_blocks(weights_.inputs, coding.dim));
    const uint64_t row = layout::codebook_row_bytes(weights_.outputs, bits);
    const size_t entries = size_t{coding.count} * coding.dim;
    codes_ = memory(row * blocks), entries_ = random_floats(entries, 3);
    std::mt19937 random(4);
    for (uint32_t b = 0; b < blocks; ++b)
      for (uint32_t n = 0; n < weights_.outputs; ++n)
        layout::write_code(reinterpret_cast<uint8_t*>(codes_.get()) + b * row, n, bits,
                           (random() >> 4) % coding.count);
    auto* halves = reinterpret_cast<uint16_t*>(entries_.get());
    for (size_t i = 0; i < entries; ++i) halves[i] = random_half(&random);
    halves[0] = 0x3bff;  // the largest
    weights_.encoding = Encoding::codebook;
    weights_.codebook = {1,
                         coding.count,
                         coding.dim,
                         bits,
                         0,
                         DType::f16,
                         bytes_of(entries_, entries * 2),
                         {},
                         bytes_of(codes_, row * blocks)};
    weight_bytes_ = static_cast<double>(row * blocks + entries * 2);
  }
  // One level, 1/127: entries are below 1. Sums of tables lose what a byte cannot hold of the inner
  // product of a block.
  void set_numerics(const Coding& coding) {
    const bool is_rounded = coding.kind == Coding::Kind::rounded;
    weights_.numerics = is_rounded ? Numerics::rounded : Numerics::exact;
    if (coding.count != 0) weights_.codebook.levels = {&level_, DType::f32, 1};
    weights_.table_bits = coding.table_bits;
    weights_.table_shift = is_rounded ? 16 - coding.table_bits : 0;
  }
  void set_node(const LayerShape& s) {
    Epilogue e;
    e.bias = {bias_.get(), DType::f32, s.cout};
    e.clamp = {Activation::clamp, 0, 3.4028234e38f};
    if (is_bits_) {
      e = {};
      e.thresholds = {thresholds_.data(), thresholds_.size()};
      e.threshold_count = e.threshold_step = 1;
    }
    conv_ = {&weights_, window_of(s), s.groups, e};
    linear_ = {&weights_, e};
    node_.kind = s.is_linear() ? OpKind::linear : OpKind::conv2d;
    if (s.is_linear())
      node_.linear = &linear_;
    else
      node_.conv2d = &conv_;
    const DType type = is_integer_ ? DType::u8 : DType::f32;
    in_ = {x_.get(), type, shape_of(s, s.size, s.cin)};
    out_ = {y_.get(), type, shape_of(s, s.out_size(), s.cout)};
    if (!is_integer_) return;
    in_.quantization = {0.02f, 0};
    out_.quantization = {0.05f, 0};
    if (!is_bits_) return;
    in_.dtype = out_.dtype = DType::bits;
    auto* x = reinterpret_cast<uint64_t*>(x_.get());
    std::mt19937_64 random(6);
    const size_t words = words_of_row(in_.shape), spare = words * 64 - s.cin;
    for (size_t i = 0; i < size_t{s.size} * s.size * words; ++i)
      x[i] = random() & (i % words + 1 == words ? ~uint64_t{0} >> spare : ~uint64_t{0});
  }

  Model model_;
  Threads threads_;
  Arena keep_;
  PrepareContext context_;
  bool is_integer_, is_bits_;
  std::vector<int32_t> thresholds_;
  Memory x_, y_, bias_, scales_, codes_, entries_, powers_;
  float level_ = 1.0f / 127;
  int16_t zero_ = 0;
  double weight_bytes_ = 0;
  std::vector<Memory> scratch_;
  std::vector<std::byte*> pointers_;
  Weights weights_;
  Conv2dAttr conv_{};
  LinearAttr linear_{};
  Node node_;
  ConstTensorView in_;
  TensorView out_;
  Op* op_ = nullptr;
};

class XnnpackLayer final : public TimedLayer {
 public:
  bool open(const LayerShape& s) {
    const size_t out = s.out_size();
    const ConvGeometry g = s.is_linear() ? linear_geometry(1, s.cin, s.cout)
                                         : ConvGeometry{1,   s.size, s.size,   s.cin,       out,
                                                        out, s.cout, s.groups, window_of(s)};
    const Limits limits{0, 3.4028234e38f};
    if (!XnnLayer::supports(g, limits)) return false;
    const Memory w = random_floats(size_t{s.inputs()} * s.cout, 1), b = random_floats(s.cout, 2);
    bytes_ = double{sizeof(float)} * s.inputs() * s.cout;
    x_ = random_floats(size_t{s.size} * s.size * s.cin + kReadSlack, 3);
    y_ = memory(out * out * s.cout * sizeof(float));
    auto floats = [](const Memory& m) { return reinterpret_cast<float*>(m.get()); };
    return layer_.open(g, s.is_linear(), floats(w), floats(b), limits, nullptr).ok() &&
           layer_.bind(floats(x_), floats(y_)).ok();
  }
  void run() override {
    if (!layer_.run().ok()) std::abort();
  }
  double weight_bytes() const override { return bytes_; }

 private:
  double bytes_ = 0;
  XnnLayer layer_;
  Memory x_, y_;
};

}  // namespace

std::string level_of(kernels::IsaSet needs) {
  for (const char* level :
       {"avx2", "avx512", "avx512vnni", "avx512vbmi", "neon", "neondot", "i8mm"}) {
    kernels::IsaSet has = 0;
    if (kernels::isa_level(level, &has) && needs != 0 && kernels::includes(has, needs))
      return level;
  }
  return "";
}

LayerPtr make_ours(const LayerShape& s, const Coding& coding, const Way& way, kernels::IsaSet isa) {
  auto layer = std::make_unique<OurLayer>(s, coding);
  if (!layer->prepare(way, isa)) return nullptr;
  return layer;
}

LayerPtr make_xnnpack(const LayerShape& s) {
  auto layer = std::make_unique<XnnpackLayer>();
  if (!layer->open(s)) return nullptr;
  return layer;
}

#if !QRT_HAVE_ONEDNN
std::vector<OnednnChoice> onednn_choices(const LayerShape&) {
  return {};
}
LayerPtr make_onednn(const LayerShape&, const std::string&) {
  return nullptr;
}
#endif
#if !QRT_HAVE_FAISS
LayerPtr make_faiss(const LayerShape&, uint32_t, bool) {
  return nullptr;
}
#endif

}  // namespace qrt::bench
