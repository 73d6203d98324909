// See int8_layer.h.
#include "tests/runtime/ops/int8_layer.h"

namespace qrt::test {
namespace {

void make_dense(uint32_t outputs, uint32_t inputs, std::mt19937& bits, IntegerLayer* l) {
  for (size_t i = 0; i < size_t{outputs} * inputs; ++i)
    l->data.push_back(static_cast<uint8_t>(bits() >> 8));
  l->data[0] = 0x80;
  l->scales = random_floats(l->kind.axis == ScaleAxis::layer ? 1 : outputs, 6);
  for (float& s : l->scales) s = 0.004f * (s + 1.5f);
  l->weights.dense = {
      DType::i8, {l->data.data(), l->data.size()}, {l->kind.axis, 0, constant_of(l->scales)}};
}

// Halves of magnitude 2^-7 ... 2^-3; whatever their type, entries are rounded to several levels.
void make_entries(size_t values, size_t entries, std::mt19937& bits, IntegerLayer* l,
                  std::vector<float>* floats) {
  if (l->kind.entry == DType::i8) l->entry_scales = random_floats(entries, 8);
  const std::vector<float> random = random_floats(values, 9);
  for (size_t i = 0; i < values; ++i) {
    if (l->kind.entry == DType::i8) {
      l->data.push_back(static_cast<uint8_t>(bits() >> 8));
      floats->push_back(l->entry_scales[i * entries / values] *
                        static_cast<float>(static_cast<int8_t>(l->data.back())));
    } else if (l->kind.entry == DType::f16) {
      const uint32_t half = (bits() >> 8 & 0x83ffu) | (8 + bits() % 5) << 10;
      l->data.push_back(static_cast<uint8_t>(half & 255));
      l->data.push_back(static_cast<uint8_t>(half >> 8));
      floats->push_back(std::ldexp(static_cast<float>((half & 0x3ff) | 0x400),
                                   static_cast<int>(half >> 10 & 31) - 25) *
                        ((half & 0x8000) != 0 ? -1.0f : 1.0f));
    } else {
      floats->push_back(random[i]);
    }
  }
  if (l->kind.entry != DType::f32) return;
  l->data.resize(values * 4);
  std::memcpy(l->data.data(), floats->data(), l->data.size());
}

void make_codebook(uint32_t outputs, uint32_t inputs, std::mt19937& bits, IntegerLayer* l) {
  const IntegerWeights& k = l->kind;
  const uint32_t scopes = k.scope_rows == 0 ? 1 : (outputs + k.scope_rows - 1) / k.scope_rows;
  const uint32_t blocks = (inputs + k.dim - 1) / k.dim, width = layout::code_bits(k.count);
  const size_t entries = size_t{scopes} * k.books * k.count;
  std::vector<float> floats;
  make_entries(entries * k.dim, entries, bits, l, &floats);
  const uint64_t row = layout::codebook_row_bytes(outputs, width);
  l->codes.resize(layout::codebook_code_bytes(k.books, blocks, outputs, width));
  for (uint64_t r = 0; r < uint64_t{k.books} * blocks; ++r)
    for (uint32_t n = 0; n < outputs; ++n)
      layout::write_code(l->codes.data() + r * row, n, width, (bits() >> 4) % k.count);
  // The first level cuts the largest entries off; the last of several is used by no output.
  for (uint32_t i = 0; i < k.levels; ++i)
    l->levels.push_back((k.entry == DType::i8 ? 0.6f : 0.006f) * (1.0f + 0.37f * float(i)));
  for (uint32_t n = 0; k.levels > 1 && n < outputs; ++n)
    l->level_of.push_back(static_cast<uint8_t>(bits() % (k.levels - 1)));
  for (const float level : l->levels)
    for (const float v : floats) {
      const float q = std::nearbyint(v * (1 / level));
      l->entries.push_back(static_cast<int8_t>(std::fmin(127.0f, std::fmax(-127.0f, q))));
    }
  l->weights.codebook = {k.books,
                         k.count,
                         k.dim,
                         width,
                         k.scope_rows,
                         k.entry,
                         {l->data.data(), l->data.size()},
                         constant_of(l->entry_scales),
                         {l->codes.data(), l->codes.size()},
                         constant_of(l->levels),
                         {l->level_of.data(), l->level_of.size()}};
}

void make_weights(uint32_t outputs, uint32_t inputs, IntegerLayer* l) {
  const IntegerWeights& k = l->kind;
  std::mt19937 bits(outputs * 7 + inputs + k.dim + k.count);
  Weights& w = l->weights;
  if (k.lowbit != nullptr) {
    make_lowbit(*k.lowbit, outputs, inputs, &l->low);
    w = l->low.weights;
    w.numerics = Numerics::exact, w.order = k.order;
    return;
  }
  w.outputs = outputs, w.inputs = inputs, w.order = k.order;
  w.numerics = k.table_bits != 0 ? Numerics::rounded : Numerics::exact;
  w.table_bits = k.table_bits, w.table_shift = k.table_shift;
  w.encoding = k.dim == 0 ? Encoding::dense : Encoding::codebook;
  if (k.dim == 0)
    make_dense(outputs, inputs, bits, l);
  else
    make_codebook(outputs, inputs, bits, l);
}

void make_epilogue(Epilogue* e, IntegerLayer* l) {
  const uint32_t outputs = l->weights.outputs;
  l->scale = random_floats(outputs, 2), l->bias = random_floats(outputs, 3);
  for (float& b : l->bias) b *= 5;
  e->bias_first = l->finish.bias_first;
  if (e->bias_first) {  // in units of sums, and steps of the output
    for (float& b : l->bias) b = std::nearbyint(b * 200);
    for (float& s : l->scale) s *= 0.001f;
  }
  if (l->finish.scale) e->scale = constant_of(l->scale);
  if (l->finish.bias) e->bias = constant_of(l->bias);
  e->residual = l->finish.residual, e->clamp = l->finish.clamp;
  if (l->finish.residual) l->in.push_back(random_bytes(l->out.shape, 5, l->finish.r));
  l->out.dtype = l->finish.to_f32 ? DType::f32 : DType::u8;
  if (!l->finish.to_f32) l->out.quantization = l->finish.y;
  l->out.bytes.resize(l->out.count() * size_of(l->out.dtype));
}

}  // namespace

int IntegerLayer::entry(uint32_t n, uint32_t book, uint32_t k) const {
  const CodebookWeights& c = weights.codebook;
  const uint64_t blocks = layout::codebook_blocks(weights.inputs, c.dim);
  const uint8_t* row = codes.data() + (book * blocks + k / c.dim) *
                                          layout::codebook_row_bytes(weights.outputs, c.code_bits);
  const size_t scope = c.scope_rows == 0 ? 0 : n / c.scope_rows;
  const size_t named = (scope * c.books + book) * c.count + layout::read_code(row, n, c.code_bits);
  const size_t per_level = entries.size() / levels.size(),
               level = levels.size() > 1 ? level_of[n] : 0;
  return entries[level * per_level + named * c.dim + k % c.dim];
}

int IntegerLayer::weight(uint32_t n, uint32_t k) const {
  if (kind.lowbit != nullptr) return low.integers[size_t{n} * weights.inputs + k];
  if (kind.dim == 0) return static_cast<int8_t>(data[size_t{n} * weights.inputs + k]);
  int sum = 0;
  for (uint32_t book = 0; book < kind.books; ++book)
    sum = std::min(127, std::max(-128, sum + entry(n, book, k)));
  return sum;
}

int64_t IntegerLayer::sum(uint32_t n, const std::vector<int>& x) const {
  int64_t sum = 0;
  if (kind.table_bits == 0) {
    for (uint32_t k = 0; k < weights.inputs; ++k) sum += int64_t{x[k]} * weight(n, k);
    return sum;
  }
  const int64_t half = int64_t{1} << (kind.table_shift - 1), most = 1 << (kind.table_bits - 1);
  for (uint32_t book = 0; book < kind.books; ++book)
    for (uint32_t k0 = 0; k0 < weights.inputs; k0 += kind.dim) {
      int64_t dot = half;
      for (uint32_t k = k0; k < k0 + kind.dim && k < weights.inputs; ++k)
        dot += int64_t{x[k]} * entry(n, book, k);
      sum += std::min(most - 1, std::max(-most, dot >> kind.table_shift));
    }
  return sum;
}

bool IntegerLayer::has_group_scales() const {
  return kind.lowbit != nullptr && kind.lowbit->axis == ScaleAxis::group;
}

// Volatile: every operation is rounded on its own whatever the compiler may fuse.
float IntegerLayer::total(uint32_t n, const std::vector<int>& x) const {
  if (!has_group_scales()) return static_cast<float>(sum(n, x));
  const uint32_t inputs = weights.inputs, group = kind.lowbit->group;
  const uint32_t groups = (inputs + group - 1) / group;
  volatile float t = 0;
  for (uint32_t g = 0; g < groups; ++g) {
    int64_t sum = 0;
    for (uint32_t k = g * group; k < inputs && k < (g + 1) * group; ++k)
      sum += int64_t{x[k]} * weight(n, k);
    const volatile float scaled = static_cast<float>(sum) * low.scales[size_t{n} * groups + g];
    t = t + scaled;
  }
  return t;
}

void IntegerLayer::store(size_t at, uint32_t n, float total) {
  const CodebookWeights& c = weights.codebook;
  const float inverse = finish.to_f32 ? 1.0f : 1 / finish.y.scale;
  volatile float a = finish.x.scale;
  a = std::ldexp(a, static_cast<int>(kind.table_bits != 0 ? kind.table_shift : 0));
  const float weight_scale = has_group_scales()       ? 1.0f
                             : kind.lowbit != nullptr ? low.scales_of[n]
                             : kind.dim == 0
                                 ? scales[scales.size() > 1 ? n : 0]
                                 : read_constant(c.levels, levels.size() > 1 ? level_of[n] : 0);
  a = a * weight_scale;
  if (finish.scale) a = a * scale[n];
  if (!finish.to_f32) a = a * inverse;
  volatile float t = total;
  if (finish.bias_first) {
    t = t + bias[n];
    a = finish.x.scale * weight_scale;
    a = finish.scale ? scale[n] : a / finish.y.scale;
  }
  t = t * a;
  if (finish.bias && !finish.bias_first) {
    volatile float b = bias[n];
    if (!finish.to_f32) b = b * inverse;
    t = t + b;
  }
  if (finish.residual) {
    volatile float r = finish.r.scale;
    if (!finish.to_f32) r = r * inverse;
    r = static_cast<float>(int{in[1].bytes[at]} - finish.r.zero) * r;
    t = t + r;
  }
  const bool clamps = finish.clamp.activation == Activation::clamp;
  if (finish.to_f32) {
    float y = t;
    if (clamps) y = std::min(finish.clamp.max, std::max(finish.clamp.min, y));
    std::memcpy(out.bytes.data() + 4 * at, &y, 4);
    return;
  }
  float lo = static_cast<float>(-finish.y.zero), hi = static_cast<float>(255 - finish.y.zero);
  const float least = lo, most = hi;
  if (clamps) {
    lo = std::min(most, std::max(least, std::nearbyint(finish.clamp.min * inverse)));
    hi = std::min(most, std::max(least, std::nearbyint(finish.clamp.max * inverse)));
  }
  const float bounded = std::min(hi, std::max(lo, float{t}));
  out.bytes[at] = static_cast<unsigned char>(finish.y.zero + int(std::nearbyint(bounded)));
}

void make_conv(const IntegerConv& c, IntegerLayer* l) {
  const Window& w = c.window;
  const int taps = static_cast<int>(w.kernel_h * w.kernel_w);
  const int per_group = c.channels / static_cast<int>(c.groups);
  const int group_outputs = c.outputs / static_cast<int>(c.groups);
  l->kind = c.weights, l->finish = c.finish;
  make_weights(static_cast<uint32_t>(c.outputs), static_cast<uint32_t>(per_group * taps), l);
  l->out.shape = shape(
      {c.batch, out_extent(c.height, w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom),
       out_extent(c.width, w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right),
       c.outputs});
  l->in.push_back(random_bytes(shape({c.batch, c.height, c.width, c.channels}), 4, c.finish.x));
  l->conv = {&l->weights, w, c.groups, {}};
  make_epilogue(&l->conv.epilogue, l);
  l->node.name = "conv", l->node.kind = OpKind::conv2d, l->node.conv2d = &l->conv;
  // Taps outside of the image stay 0, which is what the byte `zero` stands for.
  const size_t inputs = l->weights.inputs;
  std::vector<int> x(l->out.count() / static_cast<size_t>(c.outputs) * c.groups * inputs);
  for_taps(l->in[0].shape, l->out.shape, w,
           [&](int n, int oy, int ox, int iy, int ix, int ky, int kx) {
             const int tap = ky * static_cast<int>(w.kernel_w) + kx;
             const size_t row = offset4(l->out.shape, n, oy, ox, 0) / size_t(c.outputs);
             for (int i = 0; i < c.channels; ++i) {
               const int in_group = i % per_group;
               const int k = c.weights.order == InputOrder::cin_kh_kw ? in_group * taps + tap
                                                                      : tap * per_group + in_group;
               x[(row * c.groups + size_t(i / per_group)) * inputs + size_t(k)] =
                   int{l->in[0].bytes[offset4(l->in[0].shape, n, iy, ix, i)]} - c.finish.x.zero;
             }
           });
  std::vector<int> patch(inputs);
  for (size_t at = 0; at < l->out.count(); ++at) {
    const auto n = static_cast<uint32_t>(at % size_t(c.outputs));
    const size_t row = at / size_t(c.outputs) * c.groups + n / size_t(group_outputs);
    patch.assign(x.begin() + ptrdiff_t(row * inputs), x.begin() + ptrdiff_t((row + 1) * inputs));
    l->store(at, n, l->total(n, patch));
  }
}

void make_linear(int rows, int inputs, int outputs, const IntegerWeights& weights,
                 const IntegerFinish& finish, IntegerLayer* l) {
  l->kind = weights, l->finish = finish;
  make_weights(static_cast<uint32_t>(outputs), static_cast<uint32_t>(inputs), l);
  l->weights.order = InputOrder::linear;
  l->in.push_back(random_bytes(shape({rows, inputs}), 4, finish.x));
  l->out.shape = shape({rows, outputs});
  l->linear = {&l->weights, {}};
  make_epilogue(&l->linear.epilogue, l);
  l->node.name = "linear", l->node.kind = OpKind::linear, l->node.linear = &l->linear;
  std::vector<int> x(size_t(inputs), 0);
  for (size_t at = 0; at < l->out.count(); ++at) {
    const size_t row = at / size_t(outputs);
    for (size_t k = 0; k < x.size(); ++k)
      x[k] = int{l->in[0].bytes[row * x.size() + k]} - finish.x.zero;
    const auto n = static_cast<uint32_t>(at % size_t(outputs));
    l->store(at, n, l->total(n, x));
  }
}

}  // namespace qrt::test
