// Strategy `depthwise8`: convolutions of one input and one output channel per group. Channels lie
// side by side in vectors; an output row goes to the kernel with pointers to its input pixels.
//
//   item = one row of output pixels                                (split over threads)
//
// Weights are decoded and turned into the kernel's order in every run, C x taps of them; in
// Mode::dense they are kept.
#include <cstring>

#include "runtime/base/checked.h"
#include "runtime/ops/int8_layer.h"
#include "schema/layout.h"

namespace qrt {
namespace {

namespace i8 = kernels::int8;

constexpr size_t kLine = 64;

constexpr size_t round_up(size_t x, size_t to) {
  return (x + to - 1) / to * to;
}

// Weight k of output n as an integer; books add up, each sum kept between -128 and 127.
int8_t coded_weight(const i8::Coded& s, size_t n, size_t k) {
  const size_t level = s.level_of == nullptr ? 0 : s.level_of[n];
  const size_t scope = s.scope_rows == 0 ? 0 : n / s.scope_rows;
  const int8_t* entries = s.entries + level * s.level_stride + scope * s.scope_stride;
  int32_t sum = 0;
  for (size_t book = 0; book < s.books; ++book) {
    const uint8_t* row = s.codes + book * s.book_bytes + k / s.dim * s.row_bytes;
    const uint32_t code = layout::read_code(row, static_cast<uint32_t>(n), s.bits);
    sum += entries[book * s.book_stride + code * s.entry_stride + k % s.dim];
    sum = sum < -128 ? -128 : sum > 127 ? 127 : sum;
  }
  return static_cast<int8_t>(sum);
}

class Depthwise8 final : public Int8Strategy {
 public:
  explicit Depthwise8(bool resident) : resident_(resident) {}
  const char* name() const override { return "depthwise8"; }
  float cost_ns(const Int8Layer& layer) const override {
    const bool depthwise = layer.groups > 1 && layer.channels == 1 && layer.group_outputs == 1;
    if (!depthwise || layer.weights->numerics != Numerics::exact || layer.beyond_bytes()) return -1;
    return i8::depthwise_cost_ns(layer.cost_shape(), *layer.kit);
  }

  Status prepare(const Int8Layer& layer, PrepareContext& context) override {
    const Window& w = layer.window;
    // Neighbouring pixels share pointers where taps are next to each other.
    shares_ = w.dilation_w == 1;
    const CheckedSize columns = shares_ ? CheckedSize(layer.out_w) * w.stride_w + w.kernel_w
                                        : CheckedSize(layer.out_w) * w.kernel_w;
    const auto own = (columns * w.kernel_h * sizeof(const uint8_t*) + kLine).get();
    const auto weights = (CheckedSize(layer.outputs) * layer.taps).get();
    if (!own || !weights) return layer_too_large();
    own_bytes_ = round_up(*own, kLine);
    const auto all = (CheckedSize(own_bytes_) * layer.threads + layer.outputs).get();
    if (!all) return layer_too_large();
    own_ = context.reserve_scratch(*all);
    const size_t panel = round_up(i8::depthwise_bytes(layer.taps, layer.outputs), kLine);
    if (resident_) return keep_panel(layer, panel, *weights, context);
    if (layer.coded()) entries_ = reserve_entries(layer, context);
    turned_at_ = panel;
    panel_ = context.reserve_scratch(panel + *weights);
    return {};
  }

  Status run(const Int8Layer& layer, const RunContext& context) const override {
    if (layer.rows == 0) return {};
    auto* shared = reinterpret_cast<uint8_t*>(context.scratch[own_]);
    uint8_t* padding = shared + own_bytes_ * layer.threads;
    std::memset(padding, layer.x.zero, layer.outputs);
    const void* panel = kept_;
    if (!resident_) {
      std::byte* made = context.scratch[panel_];
      i8::Coded source{};
      if (layer.coded()) source = round_entries(layer, entries_, context);
      make(layer, source, reinterpret_cast<int8_t*>(made + turned_at_), made);
      panel = made;
    }
    const size_t rows = layer.batch * layer.out_h;
    const size_t grain = (rows + 4 * layer.threads - 1) / (4 * layer.threads);
    context.threads.split(rows, grain, [&](size_t begin, size_t end, uint32_t thread) {
      auto* pointers = reinterpret_cast<const uint8_t**>(shared + thread * own_bytes_);
      for (size_t row = begin; row < end; ++row)
        row_of(layer, context, row, panel, padding, pointers);
    });
    return {};
  }

 private:
  // Rows [output][tap row, tap column] of the file to [tap column, tap row][output], then a panel.
  static void make(const Int8Layer& layer, const i8::Coded& source, int8_t* turned, void* panel) {
    if (layer.packed()) return make_packed(layer, turned, panel);
    const auto* dense = reinterpret_cast<const int8_t*>(layer.weights->dense.data.data());
    const size_t height = layer.window.kernel_h, width = layer.window.kernel_w;
    for (size_t ky = 0; ky < height; ++ky)
      for (size_t kx = 0; kx < width; ++kx) {
        int8_t* to = turned + (kx * height + ky) * layer.outputs;
        const size_t k = ky * width + kx;
        for (size_t n = 0; n < layer.outputs; ++n)
          to[n] = layer.coded() ? coded_weight(source, n, k) : dense[n * layer.taps + k];
      }
    layer.kit->run->depthwise_panel({turned, layer.taps, layer.outputs, panel});
  }

  static void make_packed(const Int8Layer& layer, int8_t* turned, void* panel) {
    const size_t height = layer.window.kernel_h, width = layer.window.kernel_w;
    uint8_t codes[kTaps];
    int8_t row[kTaps];
    for (size_t n = 0; n < layer.outputs; ++n)
      for (size_t k0 = 0; k0 < layer.taps; k0 += kTaps) {
        const size_t some = layer.taps - k0 < kTaps ? layer.taps - k0 : kTaps;
        layer.lowbit.decode(n, k0, k0 + some, codes, row);
        for (size_t i = 0; i < some; ++i) {
          const size_t ky = (k0 + i) / width, kx = (k0 + i) % width;
          turned[(kx * height + ky) * layer.outputs + n] = row[i];
        }
      }
    layer.kit->run->depthwise_panel({turned, layer.taps, layer.outputs, panel});
  }
  static constexpr size_t kTaps = 2 * LowbitIntegers::kUnit;  // decoded at a time

  Status keep_panel(const Int8Layer& layer, size_t bytes, size_t weights, PrepareContext& context) {
    kept_ = context.keep.allocate(bytes, kLine);
    Arena work(context.keep.allocator());
    auto* turned = static_cast<int8_t*>(work.allocate(weights, 1));
    auto* table = static_cast<int8_t*>(work.allocate(layer.table_bytes + 1, kLine));
    const Span<float> floats = work.array<float>(layer.floats + 1);
    if (kept_ == nullptr || turned == nullptr || table == nullptr || floats.data() == nullptr)
      return layer_too_large();
    i8::Coded source{};
    if (layer.coded()) source = round_entries(layer, table, floats.data());
    make(layer, source, turned, kept_);
    context.weight_bytes += bytes;
    return {};
  }

  // Pointers to the pixels under one row of windows, column after column of taps.
  void point(const Int8Layer& layer, const uint8_t* image, size_t oy, const uint8_t* padding,
             const uint8_t** to) const {
    const Window& w = layer.window;
    const size_t columns =
        shares_ ? (layer.out_w - 1) * w.stride_w + w.kernel_w : layer.out_w * w.kernel_w;
    for (size_t j = 0; j < columns; ++j) {
      const size_t ox = shares_ ? 0 : j / w.kernel_w, kx = shares_ ? j : j % w.kernel_w;
      // Unsigned wrap-around makes one comparison of the two borders.
      const size_t ix = ox * w.stride_w + kx * w.dilation_w - w.pad_left;
      for (size_t ky = 0; ky < w.kernel_h; ++ky, ++to) {
        const size_t iy = oy * w.stride_h + ky * w.dilation_h - w.pad_top;
        const bool inside = iy < layer.in_h && ix < layer.in_w;
        *to = inside ? image + (iy * layer.in_w + ix) * layer.outputs : padding;
      }
    }
  }

  void row_of(const Int8Layer& layer, const RunContext& context, size_t row, const void* panel,
              const uint8_t* padding, const uint8_t** pointers) const {
    const size_t image_bytes = layer.in_h * layer.in_w * layer.outputs;
    const uint8_t* image = context.in[0].as<uint8_t>() + row / layer.out_h * image_bytes;
    point(layer, image, row % layer.out_h, padding, pointers);
    const size_t pixel = row * layer.out_w;
    i8::DepthwiseArgs a{};
    a.pixels = layer.out_w, a.taps = layer.taps, a.channels = layer.outputs;
    a.x = pointers;
    a.next = (shares_ ? layer.window.stride_w : layer.window.kernel_w) * layer.window.kernel_h;
    a.x_zero = layer.x.zero, a.panel = panel;
    if (layer.y.present())
      a.y8 = context.out[0].as<uint8_t>() + pixel * layer.outputs;
    else
      a.y32 = context.out[0].as<float>() + pixel * layer.outputs;
    a.y_stride = layer.outputs;
    a.finish = layer.finish_at(context, pixel, 0);
    layer.kit->run->depthwise(a);
  }

  const bool resident_;
  bool shares_ = true;
  size_t own_bytes_ = 0, turned_at_ = 0;
  void* kept_ = nullptr;
  EntryScratch entries_;
  ScratchSlot own_ = 0, panel_ = 0;
};

}  // namespace

Int8Strategy* make_depthwise8_strategy(Arena& keep, bool resident) {
  return keep.make<Depthwise8>(resident);
}

}  // namespace qrt
