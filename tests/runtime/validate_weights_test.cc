// The validator, one field at a time: tensors, constants and every encoding.
#include <limits>

#include "tests/support/mutation.h"

namespace qrt {
namespace {

using testing::check_mutations;
using testing::FullModel;

constexpr float kInf = std::numeric_limits<float>::infinity();

void set_float(FullModel& f, uint32_t buffer, size_t i, float v) {
  std::memcpy(f.bytes(buffer).data() + 4 * i, &v, sizeof v);
}

TEST_CASE("the model that sets every field opens") {
  const Status s = testing::open_bytes(testing::full_model().b.finish());
  INFO("QRT-E" << s.id() << " " << s.what() << " at " << s.index());
  CHECK(s.ok());
}

TEST_CASE("tensors") {
  check_mutations({
      {"dtype", [](FullModel& f) { f.tensor(0).dtype = static_cast<fb::DType>(8); }, 110},
      {"dtype 255", [](FullModel& f) { f.tensor(0).dtype = static_cast<fb::DType>(255); }, 110},
      {"rank 7", [](FullModel& f) { f.tensor(0).dims = {1, 1, 1, 1, 1, 1, 1}; }, 120},
      {"dim 0", [](FullModel& f) { f.tensor(0).dims[1] = 0; }, 121},
      {"dim -1", [](FullModel& f) { f.tensor(0).dims[1] = -1; }, 121},
      {"dim 2^24 + 1", [](FullModel& f) { f.tensor(0).dims[1] = (1 << 24) + 1; }, 121},
      {"dim INT_MIN", [](FullModel& f) { f.tensor(0).dims[1] = INT32_MIN; }, 121},
      {"elements",
       [](FullModel& f) {
         f.tensor(0).dims = {1 << 16, 1 << 15};
       },
       122},
      {"overflow", [](FullModel& f) { f.tensor(0).dims.assign(6, 1 << 24); }, 122},
      {"constant size", [](FullModel& f) { f.tensor(f.constant).dims = {7}; }, 123},
      {"constant type", [](FullModel& f) { f.tensor(f.constant).dtype = fb::DType::i8; }, 123},
      {"constant buffer", [](FullModel& f) { f.tensor(f.constant).buffer = 999; }, 111},
      {"constant batched", [](FullModel& f) { f.tensor(f.constant).batched = true; }, 124},
      {"scalar batched", [](FullModel& f) { f.tensor(0).dims = {}; }, 124},
      {"tensor name", [](FullModel& f) { f.tensor(0).name = "a\x1b[31m"; }, 109},
      {"tensor name NUL", [](FullModel& f) { f.tensor(0).name = std::string("a\0b", 3); }, 109},
  });
}

TEST_CASE("feature buckets") {
  check_mutations({
      {"bounds missing", [](FullModel& f) { f.tensor(f.logits).features->bounds = {0}; }, 125},
      {"bounds fall",
       [](FullModel& f) {
         auto& b = *f.tensor(f.logits).features;
         b.bounds = {0, 1, 1}, b.bits = {4, 4}, b.lo = {0, 0}, b.step = {1, 1};
       },
       125},
      {"first bound",
       [](FullModel& f) {
         f.tensor(f.logits).features->bounds = {1, 2};
       },
       125},
      {"last bound",
       [](FullModel& f) {
         f.tensor(f.logits).features->bounds = {0, 2};
       },
       125},
      {"no buckets",
       [](FullModel& f) {
         auto& b = *f.tensor(f.logits).features;
         b.bounds = {0}, b.bits = {}, b.lo = {}, b.step = {};
       },
       125},
      {"bits 0", [](FullModel& f) { f.tensor(f.logits).features->bits = {0}; }, 125},
      {"bits 9", [](FullModel& f) { f.tensor(f.logits).features->bits = {9}; }, 125},
      {"lo", [](FullModel& f) { f.tensor(f.logits).features->lo = {kInf}; }, 125},
      {"step", [](FullModel& f) { f.tensor(f.logits).features->step = {-kInf}; }, 125},
      {"lo length",
       [](FullModel& f) {
         f.tensor(f.logits).features->lo = {1, 2};
       },
       125},
  });
}

TEST_CASE("constants") {
  check_mutations({
      {"type i8", [](FullModel& f) { f.op(f.affine).affine->bias->dtype = fb::DType::i8; }, 130},
      {"type 99",
       [](FullModel& f) { f.op(f.affine).affine->bias->dtype = static_cast<fb::DType>(99); }, 130},
      {"type f16", [](FullModel& f) { f.op(f.affine).affine->bias->dtype = fb::DType::f16; }, 131},
      {"count 0", [](FullModel& f) { f.op(f.affine).affine->bias->count = 0; }, 131},
      {"nothing", [](FullModel& f) { f.op(f.conv).conv2d->epilogue->bias = f.b.constant({}); },
       131},
      {"count 5", [](FullModel& f) { f.op(f.affine).affine->bias->count = 5; }, 131},
      {"count 2^32 - 1", [](FullModel& f) { f.op(f.affine).affine->bias->count = ~0u; }, 131},
      {"buffer", [](FullModel& f) { f.op(f.affine).affine->bias->buffer = ~0u; }, 111},
      {"infinite", [](FullModel& f) { set_float(f, f.op(f.affine).affine->bias->buffer, 5, kInf); },
       132},
      {"not a number",
       [](FullModel& f) { set_float(f, f.op(f.affine).affine->bias->buffer, 0, kInf - kInf); },
       132},
  });
}

TEST_CASE("weights") {
  check_mutations({
      {"name", [](FullModel& f) { f.weights(0).name = "\n"; }, 109},
      {"outputs 0", [](FullModel& f) { f.weights(0).outputs = 0; }, 140},
      {"outputs big", [](FullModel& f) { f.weights(0).outputs = ~0u; }, 140},
      {"outputs 7", [](FullModel& f) { f.weights(f.w_dense).outputs = 7; }, 145},
      {"inputs 0", [](FullModel& f) { f.weights(0).inputs = 0; }, 140},
      {"product", [](FullModel& f) { f.weights(0).outputs = f.weights(0).inputs = 1 << 24; }, 140},
      {"order", [](FullModel& f) { f.weights(0).order = static_cast<fb::InputOrder>(3); }, 110},
      {"numerics", [](FullModel& f) { f.weights(0).numerics = static_cast<fb::Numerics>(3); }, 110},
      {"exact f32", [](FullModel& f) { f.weights(f.w_dense).numerics = fb::Numerics::exact; }, 142},
      {"exact table", [](FullModel& f) { f.weights(f.w_table).numerics = fb::Numerics::exact; },
       142},
      {"exact affine beyond 9 bits",
       [](FullModel& f) {
         f.weights(f.w_affine).numerics = fb::Numerics::exact;
         f.weights(f.w_affine).affine->zero_halves.assign(1, 600);
       },
       142},
      {"exact planes in groups",
       [](FullModel& f) { f.weights(f.w_planes).numerics = fb::Numerics::exact; }, 159},
      {"rounded dense", [](FullModel& f) { f.weights(f.w_i8).numerics = fb::Numerics::rounded; },
       152},
      {"table bits", [](FullModel& f) { f.weights(f.w_i8).table_bits = 8; }, 152},
      {"table shift", [](FullModel& f) { f.weights(f.w_i8).table_shift = 8; }, 152},
      {"encoding", [](FullModel& f) { f.weights(0).encoding = static_cast<fb::Encoding>(5); }, 110},
      {"other encoding", [](FullModel& f) { f.weights(0).encoding = fb::Encoding::affine; }, 141},
      {"no table", [](FullModel& f) { f.weights(0).dense.reset(); }, 141},
      {"two tables",
       [](FullModel& f) {
         f.weights(f.w_dense).affine = std::make_unique<fb::AffineT>(*f.weights(f.w_affine).affine);
       },
       141},
  });
}

TEST_CASE("dense weights and scales") {
  check_mutations({
      {"dtype", [](FullModel& f) { f.weights(0).dense->dtype = static_cast<fb::DType>(9); }, 110},
      {"dtype i32", [](FullModel& f) { f.weights(0).dense->dtype = fb::DType::i32; }, 143},
      {"dtype f16", [](FullModel& f) { f.weights(0).dense->dtype = fb::DType::f16; }, 145},
      {"buffer", [](FullModel& f) { f.weights(0).dense->buffer = 1000; }, 111},
      {"infinite", [](FullModel& f) { set_float(f, f.weights(0).dense->buffer, 3, kInf); }, 132},
      {"i8 without scales", [](FullModel& f) { f.weights(f.w_i8).dense->scales.reset(); }, 148},
      {"f32 with scales",
       [](FullModel& f) {
         f.weights(f.w_dense).dense->scales =
             std::make_unique<fb::ScalesT>(*f.weights(f.w_i8).dense->scales);
       },
       148},
      {"axis",
       [](FullModel& f) { f.weights(f.w_i8).dense->scales->axis = static_cast<fb::ScaleAxis>(3); },
       110},
      {"axis layer",
       [](FullModel& f) { f.weights(f.w_i8).dense->scales->axis = fb::ScaleAxis::layer; }, 148},
      {"group 0", [](FullModel& f) { f.weights(f.w_table).table->scales->group = 0; }, 148},
      {"group 11", [](FullModel& f) { f.weights(f.w_table).table->scales->group = 11; }, 148},
      {"group 3", [](FullModel& f) { f.weights(f.w_table).table->scales->group = 3; }, 148},
      {"scale infinite",
       [](FullModel& f) { set_float(f, f.weights(f.w_i8).dense->scales->values->buffer, 1, kInf); },
       132},
  });
}

TEST_CASE("codebooks") {
  check_mutations({
      {"books 0", [](FullModel& f) { f.weights(f.w_codebook).codebook->books = 0; }, 143},
      {"books 5", [](FullModel& f) { f.weights(f.w_codebook).codebook->books = 5; }, 143},
      {"books 1", [](FullModel& f) { f.weights(f.w_codebook).codebook->books = 1; }, 145},
      {"count 0", [](FullModel& f) { f.weights(f.w_codebook).codebook->count = 0; }, 143},
      {"count 65537", [](FullModel& f) { f.weights(f.w_codebook).codebook->count = 65537; }, 143},
      {"count 2^32 - 1", [](FullModel& f) { f.weights(f.w_codebook).codebook->count = ~0u; }, 143},
      {"count 13", [](FullModel& f) { f.weights(f.w_codebook).codebook->count = 13; }, 145},
      {"count 17", [](FullModel& f) { f.weights(f.w_codebook).codebook->count = 17; }, 144},
      {"code_bits 5", [](FullModel& f) { f.weights(f.w_codebook).codebook->code_bits = 5; }, 144},
      {"code_bits 255", [](FullModel& f) { f.weights(f.w_codebook).codebook->code_bits = 255; },
       144},
      {"dim 0", [](FullModel& f) { f.weights(f.w_codebook).codebook->dim = 0; }, 143},
      {"dim 1025", [](FullModel& f) { f.weights(f.w_codebook).codebook->dim = 1025; }, 143},
      {"dim 8", [](FullModel& f) { f.weights(f.w_codebook).codebook->dim = 8; }, 145},
      {"scope_rows 7", [](FullModel& f) { f.weights(f.w_codebook).codebook->scope_rows = 7; }, 143},
      {"scope_rows 2", [](FullModel& f) { f.weights(f.w_codebook).codebook->scope_rows = 2; }, 145},
      {"entry", [](FullModel& f) { f.weights(f.w_codebook).codebook->entry = fb::DType::u8; }, 143},
      {"entry 7",
       [](FullModel& f) { f.weights(f.w_codebook).codebook->entry = static_cast<fb::DType>(8); },
       110},
      {"entry f32", [](FullModel& f) { f.weights(f.w_codebook).codebook->entry = fb::DType::f32; },
       145},
      {"entries", [](FullModel& f) { f.weights(f.w_codebook).codebook->entries = 500; }, 111},
      {"codes", [](FullModel& f) { f.weights(f.w_codebook).codebook->codes = 500; }, 111},
      {"codes size",
       [](FullModel& f) { f.bytes(f.weights(f.w_codebook).codebook->codes).pop_back(); }, 145},
      {"code 12 of 12",
       [](FullModel& f) { f.bytes(f.weights(f.w_codebook).codebook->codes)[2] = 0x0c; }, 146},
      {"no entry_scales",
       [](FullModel& f) { f.weights(f.w_codebook).codebook->entry_scales.reset(); }, 150},
      {"entry_scales type",
       [](FullModel& f) { f.weights(f.w_codebook).codebook->entry_scales->dtype = fb::DType::i8; },
       130},
      {"entry_scales of f32 entries",
       [](FullModel& f) {
         auto& c = *f.weights(f.w_codebook).codebook;
         c.entry = fb::DType::f32;
         c.entries = f.b.buffer(testing::random_floats(2 * 2 * 12 * 9, 1));
       },
       150},
      {"entries infinite",
       [](FullModel& f) {
         auto& c = *f.weights(f.w_codebook).codebook;
         c.entry = fb::DType::f32;
         c.entry_scales.reset();
         std::vector<float> entries = testing::random_floats(2 * 2 * 12 * 9, 1);
         entries.back() = kInf;
         c.entries = f.b.buffer(entries);
       },
       132},
      {"entries f16 not a number",
       [](FullModel& f) {
         auto& c = *f.weights(f.w_codebook).codebook;
         c.entry = fb::DType::f16;
         c.entry_scales.reset();
         std::vector<uint16_t> entries(2 * 2 * 12 * 9, 0x3c00);
         entries[7] = 0x7e00;
         c.entries = f.b.buffer(entries);
       },
       132},
      {"entry_scales count",
       [](FullModel& f) {
         f.weights(f.w_codebook).codebook->entry_scales = f.b.constant(std::vector<float>(47, 1));
       },
       150},
      {"one centroid needs no codes",
       [](FullModel& f) {
         auto& c = *f.weights(f.w_codebook).codebook;
         c.count = 1, c.code_bits = 0;
         c.entries = f.b.buffer(std::vector<int8_t>(2 * 2 * 9, 5));
         c.entry_scales = f.b.constant({1, 1, 1, 1});
         c.codes = f.b.buffer(std::vector<uint8_t>());
       },
       0},
      {"shared codes",
       [](FullModel& f) {
         auto copy = std::make_unique<fb::WeightsT>(f.weights(f.w_codebook));
         f.b.model.weights.push_back(std::move(copy));
       },
       151},
  });
}

// Group scales of the table as powers of two, the last of which is `last`.
void set_powers(FullModel& f, uint8_t last) {
  fb::ConstantT& values = *f.weights(f.w_table).table->scales->values;
  std::vector<uint8_t> bytes(values.count, 120);
  bytes.back() = last;
  values.dtype = fb::DType::u8, values.buffer = f.b.buffer(bytes);
}

TEST_CASE("tables and affine codes") {
  check_mutations({
      {"bits 0", [](FullModel& f) { f.weights(f.w_table).table->bits = 0; }, 143},
      {"bits 9", [](FullModel& f) { f.weights(f.w_table).table->bits = 9; }, 143},
      {"bits 4", [](FullModel& f) { f.weights(f.w_table).table->bits = 4; }, 145},
      {"integers and values", [](FullModel& f) { f.weights(f.w_table).table->has_integers = true; },
       141},
      {"neither", [](FullModel& f) { f.weights(f.w_table).table->values.reset(); }, 141},
      {"integers",
       [](FullModel& f) {
         auto& t = *f.weights(f.w_table).table;
         t.values.reset(), t.has_integers = true;
         t.integers = f.b.buffer(std::vector<int16_t>(8, 1));
       },
       0},
      {"integers size",
       [](FullModel& f) {
         auto& t = *f.weights(f.w_table).table;
         t.values.reset(), t.has_integers = true;
         t.integers = f.b.buffer(std::vector<int16_t>(7, 1));
       },
       145},
      {"integers index",
       [](FullModel& f) {
         auto& t = *f.weights(f.w_table).table;
         t.values.reset(), t.has_integers = true, t.integers = 700;
       },
       111},
      {"codes index", [](FullModel& f) { f.weights(f.w_table).table->codes = 700; }, 111},
      {"codes size", [](FullModel& f) { f.bytes(f.weights(f.w_table).table->codes).push_back(0); },
       145},
      {"codes pad", [](FullModel& f) { f.bytes(f.weights(f.w_table).table->codes)[3] |= 0x80; },
       147},
      {"values type",
       [](FullModel& f) { f.weights(f.w_table).table->values->dtype = fb::DType::i8; }, 130},
      {"values count",
       [](FullModel& f) {
         f.weights(f.w_table).table->values = f.b.constant(std::vector<float>(7, 1));
       },
       145},
      {"offset type",
       [](FullModel& f) { f.weights(f.w_table).table->offset->dtype = fb::DType::i8; }, 130},
      {"scales type",
       [](FullModel& f) { f.weights(f.w_table).table->scales->values->dtype = fb::DType::i8; },
       130},
      {"scales in a byte each", [](FullModel& f) { set_powers(f, 0); }, 0},
      {"scales in a byte each, one is no number", [](FullModel& f) { set_powers(f, 255); }, 132},
      {"scales in a byte each, too few",
       [](FullModel& f) {
         set_powers(f, 254);
         f.bytes(f.weights(f.w_table).table->scales->values->buffer).pop_back();
       },
       131},
      {"scales in a byte each, per output",
       [](FullModel& f) {
         set_powers(f, 254);
         f.weights(f.w_table).table->scales->axis = fb::ScaleAxis::output;
       },
       130},
      {"scales in a byte each, of an affine layer",
       [](FullModel& f) {
         auto& s = *f.weights(f.w_affine).affine->scales;
         s.values->dtype = fb::DType::u8;
         s.values->buffer = f.b.buffer(std::vector<uint8_t>(1, 127));
       },
       130},
      {"offset in a byte each",
       [](FullModel& f) { f.weights(f.w_table).table->offset->dtype = fb::DType::u8; }, 130},
      {"affine scales axis",
       [](FullModel& f) {
         f.weights(f.w_affine).affine->scales->axis = static_cast<fb::ScaleAxis>(9);
       },
       110},
      {"offset count",
       [](FullModel& f) {
         f.weights(f.w_table).table->offset = f.b.constant({1, 2});
       },
       148},
      {"offset 1", [](FullModel& f) { f.weights(f.w_table).table->offset = f.b.constant({1}); }, 0},
      {"affine bits 0", [](FullModel& f) { f.weights(f.w_affine).affine->bits = 0; }, 143},
      {"affine bits 9", [](FullModel& f) { f.weights(f.w_affine).affine->bits = 9; }, 143},
      {"affine bits 5", [](FullModel& f) { f.weights(f.w_affine).affine->bits = 5; }, 145},
      {"affine codes", [](FullModel& f) { f.weights(f.w_affine).affine->codes = 700; }, 111},
      {"zero_halves",
       [](FullModel& f) {
         f.weights(f.w_affine).affine->zero_halves = {1, 2};
       },
       148},
      {"no zero_halves", [](FullModel& f) { f.weights(f.w_affine).affine->zero_halves = {}; }, 0},
  });
}

TEST_CASE("bit planes") {
  check_mutations({
      {"packing",
       [](FullModel& f) {
         f.weights(f.w_planes).bit_planes->packing = static_cast<fb::PlanePacking>(2);
       },
       110},
      {"group 11", [](FullModel& f) { f.weights(f.w_planes).bit_planes->group = 11; }, 143},
      {"group 0", [](FullModel& f) { f.weights(f.w_planes).bit_planes->group = 0; }, 145},
      {"counts index", [](FullModel& f) { f.weights(f.w_planes).bit_planes->counts = 700; }, 111},
      {"planes index", [](FullModel& f) { f.weights(f.w_planes).bit_planes->planes = 700; }, 111},
      {"count 9", [](FullModel& f) { f.bytes(f.weights(f.w_planes).bit_planes->counts)[0] = 9; },
       143},
      {"count 255",
       [](FullModel& f) { f.bytes(f.weights(f.w_planes).bit_planes->counts)[0] = 255; }, 143},
      {"one plane more",
       [](FullModel& f) { f.bytes(f.weights(f.w_planes).bit_planes->counts)[1] = 1; }, 145},
      {"one plane less",
       [](FullModel& f) { f.bytes(f.weights(f.w_planes).bit_planes->counts)[2] = 0; }, 145},
      {"plane pad",
       [](FullModel& f) { f.bytes(f.weights(f.w_planes).bit_planes->planes)[12] = 0x45; }, 147},
      {"alphas type",
       [](FullModel& f) { f.weights(f.w_planes).bit_planes->alphas->dtype = fb::DType::i8; }, 130},
      {"counts size",
       [](FullModel& f) { f.bytes(f.weights(f.w_planes).bit_planes->counts).push_back(0); }, 145},
      {"alphas",
       [](FullModel& f) {
         f.weights(f.w_planes).bit_planes->alphas = f.b.constant(std::vector<float>(21, 1));
       },
       145},
      {"planes too short",
       [](FullModel& f) { f.bytes(f.weights(f.w_planes).bit_planes->planes).resize(12); }, 145},
      {"planes too long",
       [](FullModel& f) { f.bytes(f.weights(f.w_planes).bit_planes->planes).resize(14); }, 145},
      {"five trits 243",
       [](FullModel& f) { f.bytes(f.weights(f.w_trits).bit_planes->planes)[1] = 243; }, 146},
      {"trits twice", [](FullModel& f) { f.bytes(f.weights(f.w_trits).bit_planes->counts)[0] = 2; },
       143},
      {"shared planes",
       [](FullModel& f) {
         f.weights(f.w_trits).bit_planes->planes = f.weights(f.w_planes).bit_planes->planes;
       },
       151},
  });
}

}  // namespace
}  // namespace qrt
