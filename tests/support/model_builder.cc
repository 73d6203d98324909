#include "tests/support/model_builder.h"

#include <cstdlib>

#include "runtime/model/checksum.h"
#include "schema/layout.h"

namespace qrt::testing {
namespace {

void store_u64(std::vector<uint8_t>& file, size_t at, uint64_t v) {
  std::memcpy(file.data() + at, &v, sizeof v);
}

template <class T>
size_t field_at(const std::vector<uint8_t>& file, const T& table, flatbuffers::voffset_t field) {
  const auto& t = reinterpret_cast<const flatbuffers::Table&>(table);
  return static_cast<size_t>(t.GetAddressOf(field) - file.data());
}

// xorshift32: the same numbers on every machine.
uint32_t next(uint32_t& state) {
  state ^= state << 13;
  state ^= state >> 17;
  return state ^= state << 5;
}

}  // namespace

std::vector<float> random_floats(size_t n, uint32_t seed, float lo, float hi) {
  uint32_t state = seed * 2654435761u + 1;
  std::vector<float> v(n);
  for (float& f : v) f = lo + (hi - lo) * static_cast<float>(next(state) >> 8) * 0x1p-24f;
  return v;
}

ModelBuilder::ModelBuilder() {
  model.schema_version = layout::kSchemaVersion;
  model.name = "test";
}

uint32_t ModelBuilder::buffer(const void* data, size_t bytes) {
  auto b = std::make_unique<fb::BufferT>();
  b->data.resize(bytes);
  if (bytes != 0) std::memcpy(b->data.data(), data, bytes);
  model.buffers.push_back(std::move(b));
  return static_cast<uint32_t>(model.buffers.size() - 1);
}

uint32_t ModelBuilder::tensor(const std::string& name, const std::vector<int32_t>& dims,
                              bool batched, fb::DType dtype) {
  auto t = std::make_unique<fb::TensorT>();
  t->name = name;
  t->dtype = dtype;
  t->dims = dims;
  t->batched = batched;
  model.tensors.push_back(std::move(t));
  return static_cast<uint32_t>(model.tensors.size() - 1);
}

uint32_t ModelBuilder::constant_tensor(const std::string& name, const std::vector<int32_t>& dims,
                                       const std::vector<float>& values) {
  const uint32_t index = tensor(name, dims, false);
  model.tensors[index]->is_constant = true;
  model.tensors[index]->buffer = buffer(values);
  return index;
}

uint32_t ModelBuilder::dense(const std::string& name, uint32_t outputs, uint32_t inputs,
                             const std::vector<float>& values, fb::InputOrder order) {
  auto w = std::make_unique<fb::WeightsT>();
  w->name = name;
  w->outputs = outputs;
  w->inputs = inputs;
  w->order = order;
  w->encoding = fb::Encoding::dense;
  w->dense = std::make_unique<fb::DenseT>();
  w->dense->dtype = fb::DType::f32;
  w->dense->buffer = buffer(values);
  model.weights.push_back(std::move(w));
  return static_cast<uint32_t>(model.weights.size() - 1);
}

uint32_t ModelBuilder::codebook(const std::string& name, const CodebookSpec& s) {
  auto w = std::make_unique<fb::WeightsT>();
  w->name = name;
  w->outputs = s.outputs;
  w->inputs = s.inputs;
  w->order = s.order;
  w->encoding = fb::Encoding::codebook;
  w->codebook = std::make_unique<fb::CodebookT>();
  fb::CodebookT& c = *w->codebook;
  c.books = static_cast<uint8_t>(s.books);
  c.count = s.count;
  c.dim = static_cast<uint16_t>(s.dim);
  c.entry = s.entry;
  c.scope_rows = s.scope_rows;
  const uint32_t bits = layout::code_bits(s.count);
  c.code_bits = static_cast<uint8_t>(bits);

  const size_t scopes = s.scope_rows == 0 ? 1 : layout::ceil_div(s.outputs, s.scope_rows);
  const size_t entries = scopes * s.books * s.count;
  uint32_t state = s.seed * 747796405u + 1;
  if (s.entry == fb::DType::f32) {
    c.entries = buffer(random_floats(entries * s.dim, s.seed));
  } else if (s.entry == fb::DType::f16) {
    std::vector<uint16_t> halves(entries * s.dim);  // +-[0.5, 2): exponents 14 and 15
    for (uint16_t& h : halves)
      h = static_cast<uint16_t>((next(state) & 0x87ff) + (next(state) % 2 ? 0x3800 : 0x3c00));
    c.entries = buffer(halves);
  } else {
    std::vector<int8_t> bytes(entries * s.dim);
    for (int8_t& b : bytes) b = static_cast<int8_t>(next(state));
    c.entries = buffer(bytes);
    c.entry_scales = constant(random_floats(entries, s.seed + 1, 0.001f, 0.01f));
  }
  const uint64_t rows = s.books * layout::codebook_blocks(s.inputs, s.dim);
  const uint64_t row_bytes = layout::codebook_row_bytes(s.outputs, bits);
  std::vector<uint8_t> codes(rows * row_bytes);
  for (uint64_t row = 0; row < rows && bits > 0; ++row)
    for (uint32_t i = 0; i < s.outputs; ++i)
      layout::write_code(codes.data() + row * row_bytes, i, bits, next(state) % s.count);
  c.codes = buffer(codes);
  model.weights.push_back(std::move(w));
  return static_cast<uint32_t>(model.weights.size() - 1);
}

std::unique_ptr<fb::ConstantT> ModelBuilder::constant(const std::vector<float>& values) {
  auto c = std::make_unique<fb::ConstantT>();
  c->buffer = buffer(values);
  c->dtype = fb::DType::f32;
  c->count = static_cast<uint32_t>(values.size());
  return c;
}

fb::OperatorT& ModelBuilder::op(const std::string& name, fb::OpKind kind,
                                const std::vector<uint32_t>& inputs, uint32_t output) {
  auto o = std::make_unique<fb::OperatorT>();
  o->name = name;
  o->kind = kind;
  o->inputs = inputs;
  o->outputs = {output};
  model.operators.push_back(std::move(o));
  return *model.operators.back();
}

fb::Conv2dT& ModelBuilder::conv2d(const std::string& name, uint32_t in, uint32_t out,
                                  uint32_t weights, uint32_t kernel_h, uint32_t kernel_w) {
  fb::OperatorT& o = op(name, fb::OpKind::conv2d, {in}, out);
  o.conv2d = std::make_unique<fb::Conv2dT>();
  o.conv2d->weights = weights;
  o.conv2d->kernel_h = kernel_h;
  o.conv2d->kernel_w = kernel_w;
  o.conv2d->epilogue = std::make_unique<fb::EpilogueT>();
  return *o.conv2d;
}

fb::LinearT& ModelBuilder::linear(const std::string& name, uint32_t in, uint32_t out,
                                  uint32_t weights) {
  fb::OperatorT& o = op(name, fb::OpKind::linear, {in}, out);
  o.linear = std::make_unique<fb::LinearT>();
  o.linear->weights = weights;
  o.linear->epilogue = std::make_unique<fb::EpilogueT>();
  return *o.linear;
}

fb::Pool2dT& ModelBuilder::pool2d(const std::string& name, fb::PoolMode mode, uint32_t in,
                                  uint32_t out, uint32_t kernel_h, uint32_t kernel_w) {
  fb::OperatorT& o = op(name, fb::OpKind::pool2d, {in}, out);
  o.pool2d = std::make_unique<fb::Pool2dT>();
  o.pool2d->mode = mode;
  o.pool2d->kernel_h = kernel_h;
  o.pool2d->kernel_w = kernel_w;
  return *o.pool2d;
}

fb::Pool2dT& ModelBuilder::global_pool(const std::string& name, fb::PoolMode mode, uint32_t in,
                                       uint32_t out) {
  fb::Pool2dT& p = pool2d(name, mode, in, out, 0, 0);
  p.is_global = true;
  return p;
}

void ModelBuilder::input(uint32_t tensor) {
  auto port = std::make_unique<fb::PortT>();
  port->name = model.tensors[tensor]->name;
  port->tensor = tensor;
  model.inputs.push_back(std::move(port));
}

void ModelBuilder::output(uint32_t tensor) {
  auto port = std::make_unique<fb::PortT>();
  port->name = model.tensors[tensor]->name;
  port->tensor = tensor;
  model.outputs.push_back(std::move(port));
}

std::vector<uint8_t> ModelBuilder::finish() const {
  return seal(model);
}

std::vector<uint8_t> pack(const fb::ModelT& model) {
  flatbuffers::FlatBufferBuilder builder(4096);
  builder.ForceDefaults(true);  // every scalar has a place that a test can find and change
  fb::FinishModelBuffer(builder, fb::Model::Pack(builder, &model));
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

std::vector<uint8_t> seal(const fb::ModelT& model) {
  std::vector<uint8_t> file = pack(model);
  const fb::Model& root = *fb::GetModel(file.data());
  store_u64(file, field_at(file, root, fb::Model::VT_FILE_BYTES), file.size());
  reseal(file, find_seals(file));
  return file;
}

Seals find_seals(const std::vector<uint8_t>& file) {
  const fb::Model& root = *fb::GetModel(file.data());
  Seals seals;
  seals.file_checksum_at = field_at(file, root, fb::Model::VT_CHECKSUM);
  if (root.buffers() == nullptr) return seals;
  for (const fb::Buffer* b : *root.buffers()) {
    seals.buffers.push_back({static_cast<size_t>(b->data()->data() - file.data()),
                             b->data()->size(), field_at(file, *b, fb::Buffer::VT_CHECKSUM)});
  }
  return seals;
}

void reseal(std::vector<uint8_t>& file, const Seals& seals) {
  for (const Seals::Bulk& b : seals.buffers)
    store_u64(file, b.checksum_at, checksum_of(file.data() + b.data_at, b.bytes));
  store_u64(file, seals.file_checksum_at,
            checksum_without(file.data(), file.size(), seals.file_checksum_at));
}

ModelBuilder sample_model() {
  ModelBuilder b;
  const uint32_t image = b.tensor("image", {1, 3, 8, 8});
  const uint32_t nhwc = b.tensor("nhwc", {1, 8, 8, 3});
  const uint32_t stem = b.tensor("stem", {1, 4, 4, 8});
  const uint32_t block = b.tensor("block", {1, 4, 4, 8});
  const uint32_t pooled = b.tensor("pooled", {1, 1, 1, 8});
  const uint32_t flat = b.tensor("flat", {1, 8});
  const uint32_t logits = b.tensor("logits", {1, 5});
  b.input(image);
  b.output(logits);

  fb::OperatorT& transpose = b.op("to_nhwc", fb::OpKind::transpose, {image}, nhwc);
  transpose.transpose = std::make_unique<fb::TransposeT>();
  transpose.transpose->perm = {0, 2, 3, 1};

  fb::Conv2dT& conv1 =
      b.conv2d("conv1", nhwc, stem, b.dense("conv1.w", 8, 27, random_floats(216, 1)), 3, 3);
  conv1.stride_h = conv1.stride_w = 2;
  conv1.pad_top = conv1.pad_left = conv1.pad_bottom = conv1.pad_right = 1;
  conv1.epilogue->bias = b.constant(random_floats(8, 2));
  conv1.epilogue->activation = fb::Activation::clamp;
  conv1.epilogue->min = 0;

  CodebookSpec spec{8, 72, 12, 9};
  fb::Conv2dT& conv2 = b.conv2d("conv2", stem, block, b.codebook("conv2.w", spec), 3, 3);
  conv2.pad_top = conv2.pad_left = conv2.pad_bottom = conv2.pad_right = 1;
  conv2.epilogue->scale = b.constant(random_floats(8, 3, 0.5f, 1.5f));
  conv2.epilogue->bias = b.constant(random_floats(8, 4));
  conv2.epilogue->residual = true;
  b.model.operators.back()->inputs.push_back(stem);

  b.global_pool("pool", fb::PoolMode::average, block, pooled);
  b.op("flatten", fb::OpKind::reshape, {pooled}, flat);
  b.linear("fc", flat, logits, b.dense("fc.w", 5, 8, random_floats(40, 5), fb::InputOrder::linear));

  auto p = std::make_unique<fb::PreprocessT>();
  p->resize_shorter = 10;
  p->crop_h = p->crop_w = 8;
  p->mean = {0.5f, 0.4f, 0.3f};
  p->std = {0.2f, 0.3f, 0.4f};
  b.model.inputs[0]->preprocess = std::move(p);
  b.model.labels = {"ant", "bee", "cat", "dog", "elk"};
  b.model.provenance = std::make_unique<fb::ProvenanceT>();
  b.model.provenance->tool = "model_builder";
  return b;
}

AlignedBytes::AlignedBytes(const std::vector<uint8_t>& bytes, size_t offset)
    : offset_(offset), size_(bytes.size()) {
  const size_t room = (size_ + offset + 63) / 64 * 64 + 64;
  data_ = static_cast<uint8_t*>(std::aligned_alloc(64, room));
  if (!bytes.empty()) std::memcpy(data_ + offset_, bytes.data(), size_);
}

AlignedBytes::~AlignedBytes() {
  std::free(data_);
}

}  // namespace qrt::testing
