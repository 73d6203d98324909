// From a graph to a file the runtime accepts: what lies in it and how, what is
// refused, and that the bytes are a function of the graph alone.
#include "converter/emit/emit.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "converter/base/half.h"
#include "converter/ir/edit.h"
#include "converter/lower/lower.h"
#include "converter/passes/pipeline.h"
#include "runtime/model/model.h"
#include "schema/layout.h"
#include "tests/support/opened_file.h"

namespace qrt {
namespace {

ir::Graph graph_of(const std::string& text) {
  auto g = ir::parse(text);
  REQUIRE_MESSAGE(g.ok(), (g.ok() ? "" : g.error().message));
  return *g;
}

struct Opened : testing::OpenedFile {
  explicit Opened(const std::vector<uint8_t>& bytes) : OpenedFile(bytes) {
    REQUIRE_MESSAGE(status.ok(), status.id() << " " << status.what());
  }
};

std::vector<uint8_t> emitted(const ir::Graph& g, const emit::FileInfo& info = {}) {
  auto bytes = emit::emit(g, info);
  REQUIRE_MESSAGE(bytes.ok(), (bytes.ok() ? "" : bytes.error().message));
  return *bytes;
}

int lower_error(const std::string& text) {
  auto file = lower::lower(graph_of(text));
  REQUIRE(!file.ok());
  CHECK(file.error().message.size() > 20);
  return file.error().id;
}

const char* const kConv =
    "graph g\ninput %x : f32[N,1,2,2]\n"
    "const %w : f32[2,2,1,2] = {1, 2, 3, 4, 5, 6, 7, 8}\n"
    "const %s : f32[2] = {0.5, 2}\nconst %b : f32[2] = {0.1, 1}\n"
    "node conv = conv2d(%x, %w, %s, %b) {kernel=[1,2], layout=nhwc, scale=true, bias=true, "
    "clamp=[0,none]} -> %y\noutput %y\n";

// The same with an input of two channels, as its weights want.
std::string conv_text() {
  std::string t = kConv;
  t.replace(t.find("[N,1,2,2]"), 9, "[N,2,3,2]");
  return t;
}

TEST_CASE("a convolution: weights OHWI, constants f16 where exact") {
  const Opened f(emitted(graph_of(conv_text())));
  const Model& m = f.model;
  REQUIRE(m.nodes.size() == 1);
  REQUIRE(m.nodes[0].kind == OpKind::conv2d);
  const Conv2dAttr& c = *m.nodes[0].conv2d;
  CHECK(std::string(m.nodes[0].name) == "conv");
  CHECK(std::string(c.weights->name) == "w");
  CHECK(c.weights->order == InputOrder::kh_kw_cin);
  CHECK(c.weights->outputs == 2);
  CHECK(c.weights->inputs == 4);
  CHECK(c.weights->dense.dtype == DType::f16);
  // OIHW rows {1 2 | 3 4} and {5 6 | 7 8}: the two channels become innermost.
  const float want[] = {1, 3, 2, 4, 5, 7, 6, 8};
  for (size_t i = 0; i < 8; ++i) {
    uint16_t h;
    std::memcpy(&h, c.weights->dense.data.data() + 2 * i, 2);
    CHECK(half_to_float(h) == want[i]);
  }
  CHECK(c.epilogue.scale.dtype == DType::f16);
  CHECK(c.epilogue.bias.dtype == DType::f32);  // 0.1 is no f16
  CHECK(read_constant(c.epilogue.bias, 0) == 0.1f);
  CHECK(c.epilogue.clamp.activation == Activation::clamp);
  CHECK(c.epilogue.clamp.min == 0);
}

TEST_CASE("a codebook: codes packed, entries as their type, order of the source") {
  const char* text =
      "graph g\ninput %x : f32[N,5]\n"
      "const %w : f32[3,5] = codebook {count=3, dim=2, entry=f16} entries {1, 2, 3, 4, 5, 6} "
      "codes {0, 1, 2, 2, 1, 0, 1, 1, 2} source gather\n"
      "node fc = linear(%x, %w) -> %y\noutput %y\n";
  const Opened f(emitted(graph_of(text)));
  const Weights& w = *f.model.nodes[0].linear->weights;
  REQUIRE(w.encoding == Encoding::codebook);
  CHECK(w.order == InputOrder::linear);
  CHECK(w.codebook.code_bits == 2);
  CHECK(w.codebook.entry == DType::f16);
  REQUIRE(w.codebook.codes.size() == 3);  // three rows of three 2-bit codes, a byte each
  CHECK(w.codebook.codes[0] == (0 | 1 << 2 | 2 << 4));
  CHECK(w.codebook.codes[1] == (2 | 1 << 2 | 0 << 4));
  CHECK(w.codebook.codes[2] == (1 | 1 << 2 | 2 << 4));
}

TEST_CASE("two layers with equal codes have a buffer each, and share entries") {
  const std::string book =
      " : f32[3,5] = codebook {count=3, dim=2, entry=f16} entries {1, 2, 3, 4, 5, 6} "
      "codes {0, 1, 2, 2, 1, 0, 1, 1, 2} source gather\n";
  const Opened f(emitted(graph_of(
      "graph g\ninput %x : f32[N,5]\nconst %v" + book + "const %w" + book +
      "node a = linear(%x, %v) -> %y\nnode b = linear(%x, %w) -> %z\noutput %y\noutput %z\n")));
  const auto& a = f.model.nodes[0].linear->weights->codebook;
  const auto& b = f.model.nodes[1].linear->weights->codebook;
  CHECK(a.codes.data() != b.codes.data());
  CHECK(std::equal(a.codes.data(), a.codes.data() + a.codes.size(), b.codes.data()));
  CHECK(f.model.buffers.size() == 3);
}

TEST_CASE("codebooks with every entry type, several books, and scopes") {
  struct {
    const char* entry;
    DType dtype;
    size_t bytes;
  } const kinds[] = {{"i8", DType::i8, 1}, {"f16", DType::f16, 2}, {"f32", DType::f32, 4}};
  for (const auto& kind : kinds) {
    CAPTURE(kind.entry);
    ir::Graph g = graph_of(
        "graph g\ninput %x : f32[N,2]\nconst %w : f32[4,2] = fill 0\n"
        "node fc = linear(%x, %w) -> %y\noutput %y\n");
    quant::Codebook c;
    c.books = 2;
    c.count = 2;
    c.dim = 2;
    c.scope_rows = 2;
    c.entry = kind.dtype == DType::i8    ? quant::EntryType::i8
              : kind.dtype == DType::f16 ? quant::EntryType::f16
                                         : quant::EntryType::f32;
    c.entries = {1, -2, 3, -4, 5, -6, 7, -128, 9, 10, 11, 12, 13, 14, 15, 127};
    if (kind.dtype == DType::i8) c.entry_scales = {0.1f, 1, 2, 3, 4, 5, 6, 7};
    c.codes = {0, 1, 1, 0, 1, 1, 0, 0};
    g.constants[0].data.clear();
    g.constants[0].encoding = std::make_shared<quant::Encoding>(c);
    const Opened f(emitted(g));
    const CodebookWeights& w = f.model.nodes[0].linear->weights->codebook;
    CHECK(w.books == 2);
    CHECK(w.scope_rows == 2);
    CHECK(w.entry == kind.dtype);
    CHECK(w.entries.size() == 16 * kind.bytes);
    CHECK(w.codes.size() == 2);
    CHECK(w.codes[0] == 0b0110);
    CHECK(w.codes[1] == 0b0011);
    CHECK(w.entry_scales.count == c.entry_scales.size());
    if (kind.dtype != DType::i8) continue;
    CHECK(static_cast<int8_t>(w.entries[7]) == -128);
    CHECK(static_cast<int8_t>(w.entries[15]) == 127);
    CHECK(read_constant(w.entry_scales, 0) == 0.1f);
  }
}

TEST_CASE("bytes: aligned, zeros between, equal buffers once, nothing behind") {
  const ir::Graph g = graph_of(
      "graph g\ninput %x : f32[N,2]\n"
      "const %w : f32[2,2] = {1, 2, 3, 4}\nconst %v : f32[2,2] = {1, 2, 3, 4}\n"
      "const %b : f32[2] = {1, 2}\n"
      "node a = linear(%x, %w, %b) {bias=true} -> %h\n"
      "node c = linear(%h, %v, %b) {bias=true} -> %y\noutput %y\n");
  const std::vector<uint8_t> bytes = emitted(g);
  const Opened f(bytes);
  CHECK(bytes.size() % layout::kAlignment == 0);
  CHECK(f.model.buffers.size() == 2);  // one of weights, one of biases
  std::vector<bool> covered(bytes.size());
  size_t last = 0;
  for (const Bytes& b : f.model.buffers) {
    const auto at = static_cast<size_t>(b.data() - f.model.file.data());
    CHECK(at % layout::kAlignment == 0);
    CHECK(at >= last);  // in the order operators use them
    last = at;
    std::fill_n(covered.begin() + static_cast<ptrdiff_t>(at), b.size(), true);
  }
  for (size_t i = last; i < bytes.size(); ++i)
    if (!covered[i]) CHECK(bytes[i] == 0);
  CHECK(emitted(g) == bytes);
}

TEST_CASE("weights that two layers share are stored once") {
  const ir::Graph g = graph_of(
      "graph g\ninput %x : f32[N,2]\nconst %w : f32[2,2] = {1, 2, 3, 4}\n"
      "node a = linear(%x, %w) -> %h\nnode c = linear(%h, %w) -> %y\noutput %y\n");
  const Opened f(emitted(g));
  CHECK(f.model.weights.size() == 1);
  CHECK(f.model.nodes[0].linear->weights == f.model.nodes[1].linear->weights);
}

TEST_CASE("what the file says about itself") {
  emit::FileInfo info;
  info.name = "tiny\nnet";  // control characters do not reach terminals
  info.tool = "qrt-convert 0.1.0";
  info.source_sha256 = "ab";
  info.labels = {"cat", "dog"};
  info.preprocess = {emit::Preprocess{0, 3, 2, 2, 1.0f, {0.5f}, {0.25f}}};
  info.golden = emit::Golden{{std::vector<float>(6, 1.0f)}, {std::vector<float>(6, 2.0f)}, 1e-4f};
  const ir::Graph g = graph_of(
      "graph g\ninput %image : f32[N,1,3,2]\nnode t = unary(%image) {op=tanh} -> %out\n"
      "output %out\n");
  const Opened f(emitted(g, info));
  const Model& m = f.model;
  CHECK(std::string(m.name) == "tiny_net");
  CHECK(std::string(m.provenance.tool) == "qrt-convert 0.1.0");
  CHECK(std::string(m.provenance.method).empty());
  REQUIRE(m.labels.size() == 2);
  CHECK(std::string(m.labels[1]) == "dog");
  REQUIRE(m.inputs.size() == 1);
  CHECK(std::string(m.inputs[0].name) == "image");
  CHECK(m.tensors[m.inputs[0].tensor].batched);
  REQUIRE(m.inputs[0].preprocess != nullptr);
  CHECK(m.inputs[0].preprocess->std[0] == 0.25f);
  REQUIRE(m.has_golden);
  CHECK(m.golden_inputs[0].size() == 24);
  CHECK(m.golden_tolerance == 1e-4f);

  info.golden->outputs[0].pop_back();
  CHECK(emit::emit(g, info).error().id == 608);
  info.golden.reset();
  info.preprocess.resize(2);
  CHECK(emit::emit(g, info).error().id == 608);
}

TEST_CASE("constant operands and every small operator pass the validator") {
  const ir::Graph g = graph_of(
      "graph g\ninput %x : f32[N,2,2,3]\nconst %k : f32[1,1,1,3] = {1, 2, 0.1}\n"
      "const %s : f32[3] = {1, 2, 3}\nconst %t : f32[3] = {1, 2, 0.1}\n"
      "node mul = binary(%x, %k) {op=max, clamp=[-1,1]} -> %a\n"
      "node bn = affine(%a, %s, %t) {layout=nhwc, clamp=[0,none]} -> %b\n"
      "node pool = pool2d(%b) {mode=average, kernel=[2,1], stride=[1,2], layout=nhwc} -> %c\n"
      "node pad = pad(%c) {mode=edge, before=[0,1,0,0], after=[0,0,1,0]} -> %d\n"
      "node cat = concat(%d, %d) {axis=-1} -> %e\n"
      "node turn = transpose(%e) {perm=[0,3,1,2]} -> %f\n"
      "node soft = softmax(%f) {axis=-1, log=true} -> %h\n"
      "node elu = unary(%h) {op=elu, alpha=1.5} -> %i\n"
      "node mean = pool2d(%i) {mode=average, global=true, layout=nhwc} -> %j\n"
      "node flat = reshape(%j) {dims=[1,2]} -> %y\noutput %y\n");
  const auto bytes = emitted(g);
  const Opened f(bytes);
  REQUIRE(f.model.nodes.size() == 10);
  const Node* n = f.model.nodes.data();
  CHECK(n[0].binary->op == BinaryOp::max);
  CHECK(n[0].binary->clamp.max == 1);
  CHECK(read_constant(n[1].affine->bias, 2) == 0.1f);
  CHECK(n[2].pool2d->window.stride_w == 2);
  CHECK(n[3].pad->mode == PadMode::edge);
  CHECK(n[3].pad->before[1] == 1);
  CHECK(n[4].concat->axis == 3);
  CHECK(n[5].transpose->perm[1] == 3);
  CHECK(n[6].softmax->axis == 3);
  CHECK(n[6].softmax->log);
  CHECK(n[7].unary->alpha == 1.5f);
  CHECK(n[8].pool2d->is_global);
}

TEST_CASE("slices count from the front, a step nobody takes is 1") {
  const Opened f(emitted(graph_of(
      "graph g\ninput %x : f32[N,6,5,4]\n"
      "node cut = slice(%x) {starts=[-1,1,3], ends=[-9223372036854775808,9223372036854775807,4], "
      "axes=[1,-2,3], steps=[-2,3,9223372036854775807]} -> %y\noutput %y\n")));
  const SliceAttr& a = *f.model.nodes[0].slice;
  const int want[4][3] = {{0, 1, 0}, {5, -2, 3}, {1, 3, 2}, {3, 1, 1}};
  for (int i = 0; i < 4; ++i) {
    CAPTURE(i);
    CHECK(a.start[i] == want[i][0]);
    CHECK(a.step[i] == want[i][1]);
    CHECK(a.size[i] == want[i][2]);
  }
}

TEST_CASE("a resize keeps all its numbers") {
  const Opened f(emitted(
      graph_of("graph g\ninput %x : f32[N,2,4,4]\n"
               "node big = resize(%x) {mode=cubic, coordinates=tf_crop_and_resize, nearest=ceil, "
               "sizes=[0,0,8,6], scales=[0,0,2,1.5], roi=[0,0,0.25,0,1,1,0.75,1], cubic_a=-0.5, "
               "exclude_outside=true, outside=3} -> %y\noutput %y\n")));
  const ResizeAttr& a = *f.model.nodes[0].resize;
  CHECK(a.mode == ResizeMode::cubic);
  CHECK(a.coordinates == Coordinates::tf_crop_and_resize);
  CHECK(a.nearest == NearestMode::ceil);
  CHECK(a.exclude_outside);
  CHECK(a.cubic_a == -0.5f);
  CHECK(a.outside == 3);
  CHECK(a.size[1] == 0);
  CHECK(a.size[3] == 6);
  CHECK(a.scale[3] == 1.5f);
  CHECK(a.roi_start[2] == 0.25f);
  CHECK(a.roi_end[2] == 0.75f);
}

TEST_CASE("integers and bool: constants, golden values") {
  const ir::Graph g = graph_of(
      "graph g\ninput %x : i64[1,3]\nconst %k : i64[3] = {1, -2, 1099511627776}\n"
      "const %m : boolean[3] = {1, 0, 1}\nnode less = binary(%x, %k) {op=less} -> %a\n"
      "node both = binary(%a, %m) {op=and} -> %b\n"
      "node which = cast(%b) {to=6} -> %y\noutput %y\n");
  emit::FileInfo info;
  info.golden = emit::Golden{{{0, 5, 7}}, {{1, 0, 1}}, 0};
  const Opened f(emitted(g, info));
  const Model& m = f.model;
  int64_t k[3];
  for (const TensorInfo& t : m.tensors)
    if (t.is_constant && t.dtype == DType::i64) std::memcpy(k, t.constant.data(), sizeof k);
  CHECK(k[0] == 1);
  CHECK(k[1] == -2);
  CHECK(k[2] == int64_t{1} << 40);
  CHECK(m.tensors[m.outputs[0].tensor].dtype == DType::i32);
  REQUIRE(m.golden_inputs[0].size() == 24);
  REQUIRE(m.golden_outputs[0].size() == 12);
  CHECK(m.golden_inputs[0][8] == 5);
  CHECK(m.golden_outputs[0][8] == 1);
  info.golden->inputs[0][1] = 0.5f;
  auto half = emit::emit(g, info);
  REQUIRE(!half.ok());
  CHECK(half.error().id == 608);
}

TEST_CASE("transposed convolutions, products and norms pass the validator") {
  const ir::Graph g = graph_of(
      "graph g\ninput %x : f32[N,2,3,4]\nconst %w : f32[6,2,2,1] = fill 0.1\n"
      "const %s : f32[6] = {1, 2, 3, 4, 5, 6}\nconst %k : f32[6,5] = fill 2\n"
      "node up = conv_transpose(%x, %w, %s) {kernel=[2,1], stride=[3,2], dilation=[2,1], "
      "pad=[1,0,0,0], adjust=[0,1], groups=2, layout=nhwc, bias=true, clamp=[none,6]} -> %a\n"
      "node norm = pool2d(%a) {mode=lp, power=3, kernel=[2,2], layout=nhwc} -> %b\n"
      "node mm = matmul(%b, %k) -> %y\noutput %y\n");
  const auto bytes = emitted(g);
  const Opened f(bytes);
  REQUIRE(f.model.nodes.size() == 3);
  const Node* n = f.model.nodes.data();
  REQUIRE(n[0].kind == OpKind::conv_transpose);
  const ConvTransposeAttr& up = *n[0].conv_transpose;
  CHECK(up.window.kernel_h == 2);
  CHECK(up.window.stride_h == 3);
  CHECK(up.window.stride_w == 2);
  CHECK(up.window.dilation_h == 2);
  CHECK(up.window.pad_top == 1);
  CHECK(up.adjust_h == 0);
  CHECK(up.adjust_w == 1);
  CHECK(up.groups == 2);
  CHECK(up.weights->outputs == 6);
  CHECK(up.weights->order == InputOrder::kh_kw_cin);
  CHECK(read_constant(up.epilogue.bias, 5) == 6);
  CHECK(up.epilogue.clamp.max == 6);
  CHECK(n[1].pool2d->mode == PoolMode::lp);
  CHECK(n[1].pool2d->power == 3);
  CHECK(n[2].kind == OpKind::matmul);
  CHECK(std::string(name_of(n[2].kind)) == "matmul");
  CHECK(lower_error("graph g\ninput %x : f32[N,1,2,2]\nconst %w : f32[1,1,1,1] = {1}\n"
                    "node up = conv_transpose(%x, %w) -> %y\noutput %y\n") == 601);
}

TEST_CASE("lower refuses what the file cannot hold") {
  CHECK(lower_error("graph g\ninput %x : f32[N,2]\nnode size = shape(%x) -> %y\noutput %y\n") ==
        600);
  std::string nchw = conv_text();
  nchw.replace(nchw.find("layout=nhwc, "), 13, "");
  nchw.replace(nchw.find("[N,2,3,2]"), 9, "[N,2,2,2]");
  CHECK(lower_error(nchw) == 601);
  CHECK(lower_error("graph g\ninput %x : f32[N,2]\ninput %w : f32[2,2]\n"
                    "node fc = linear(%x, %w) -> %y\noutput %y\n") == 602);
  CHECK(lower_error("graph g\ninput %x : f16[N,2]\n"
                    "node r = reshape(%x) {dims=[1,2]} -> %y\noutput %y\n") == 604);
  CHECK(lower_error("graph g\ninput %x : u8[N,2]\n"
                    "node a = binary(%x, %x) -> %y\noutput %y\n") == 604);
  CHECK(lower_error("graph g\ninput %x : f32[N,2]\n"
                    "node c = cast(%x) {to=5} -> %y\noutput %y\n") == 604);
  CHECK(lower_error("graph g\ninput %x : f32[N,2]\noutput %x\n") == 605);
}

TEST_CASE("lower refuses shapes beyond the format") {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{1, (1 << 24) + 1},
                                            {1, 0},
                                            {1, 1, 1, 1, 1, 1, 1},
                                            {1 << 20, 1 << 12}}) {
    ir::Graph g =
        graph_of("graph g\ninput %x : f32[1,2]\nnode t = unary(%x) {op=tanh} -> %y\noutput %y\n");
    g.values[1].shape = shape;
    auto file = lower::lower(g);
    REQUIRE(!file.ok());
    CHECK(file.error().id == 603);
    CHECK(file.error().message.find("value y") != std::string::npos);
  }
}

TEST_CASE("emit refuses values that are not finite, by name") {
  for (int which = 0; which < 3; ++which) {
    ir::Graph g = graph_of(conv_text());
    g.constants[static_cast<size_t>(which)].data[1] = std::numeric_limits<float>::infinity();
    auto r = emit::emit(g, {});
    REQUIRE(!r.ok());
    CHECK(r.error().id == 606);
    CHECK(r.error().message.find(which == 0 ? "w: weight" : "conv: ") == 0);
  }
}

TEST_CASE("size report counts what is in the file") {
  const ir::Graph g = graph_of(
      "graph g\ninput %x : f32[N,4]\n"
      "const %w : f32[3,4] = codebook {count=3, dim=2, entry=f32} entries {1, 2, 3, 4, 5, 0.1} "
      "codes {0, 1, 2, 2, 1, 0} source gather\n"
      "const %v : f32[2,3] = {1, 2, 3, 4, 5, 6}\nconst %b : f32[2] = {0.1, 2}\n"
      "node a = linear(%x, %w) -> %h\n"
      "node c = linear(%h, %v, %b) {bias=true} -> %y\noutput %y\n");
  auto file = lower::lower(g);
  REQUIRE(file.ok());
  auto bytes = emit::emit(*file, {});
  REQUIRE(bytes.ok());
  const emit::SizeReport r = emit::size_report(*file, bytes->size());
  REQUIRE(r.layers.size() == 2);
  CHECK(r.layers[0].layer == "a");
  CHECK(r.layers[0].encoding == "codebook 3 x 2");
  CHECK(r.codes == 2);
  CHECK(r.entries == 24);
  CHECK(r.layers[0].bits_per_weight() == doctest::Approx(8.0 * 26 / 12));
  CHECK(r.layers[1].encoding == "dense f16");
  CHECK(r.dense == 12);
  CHECK(r.vectors == 8);
  CHECK(r.rest == bytes->size() - 2 - 24 - 12 - 8);
}

}  // namespace
}  // namespace qrt
