// Bulk bytes, and the small things every table is made of: constants and names.
#include <cstring>

#include "runtime/model/checksum.h"
#include "runtime/model/reader.h"

namespace qrt {
namespace {

// No infinity, no NaN: the exponent field is nowhere all ones. The loops carry no
// branch, so that compilers vectorise them.
bool all_finite_f32(Bytes data) {
  uint32_t bad = 0;
  for (size_t i = 0; i + 4 <= data.size(); i += 4) {
    uint32_t word;
    std::memcpy(&word, data.data() + i, sizeof word);
    bad |= (word & 0x7f800000u) == 0x7f800000u;
  }
  return bad == 0;
}

bool all_finite_f16(Bytes data) {
  uint32_t bad = 0;
  for (size_t i = 0; i + 2 <= data.size(); i += 2) {
    uint16_t half;
    std::memcpy(&half, data.data() + i, sizeof half);
    bad |= (half & 0x7c00u) == 0x7c00u;
  }
  return bad == 0;
}

}  // namespace

Status read_buffers(Reader& r) {
  const auto* buffers = r.root.buffers();
  const size_t n = buffers == nullptr ? 0 : buffers->size();
  const Span<Bytes> bytes = r.keep.array<Bytes>(n);
  const Span<uint64_t> checksums = r.keep.array<uint64_t>(n);
  r.known = r.keep.array<uint8_t>(n);
  r.steps = r.keep.array<uint32_t>(n);
  if (bytes.size() != n || checksums.size() != n || r.known.size() != n || r.steps.size() != n)
    return out_of_memory();
  for (uint32_t i = 0; i < n; ++i) {
    const fb::Buffer& buffer = *buffers->Get(i);
    bytes[i] = {buffer.data()->data(), buffer.data()->size()};
    checksums[i] = buffer.checksum();
    const auto at = static_cast<uint64_t>(bytes[i].data() - r.model.file.data());
    // FlatBuffers aligns no empty vector, and nothing reads one.
    if (at % layout::kAlignment != 0 && !bytes[i].empty()) {
      return Status(kBadModel, 106, "the buffer does not start on a 64-byte boundary of the file")
          .at(Where::buffer, i);
    }
    if (checksum_of(bytes[i].data(), bytes[i].size()) != checksums[i]) {
      return Status(kBadModel, 107, "the buffer's checksum does not fit its bytes")
          .at(Where::buffer, i);
    }
  }
  r.model.buffers = bytes;
  r.model.buffer_checksums = checksums;
  return {};
}

Status read_buffer(const Reader& r, uint32_t index, Bytes* out) {
  if (index >= r.model.buffers.size()) {
    return Status(kBadModel, 111, "a buffer's index is out of range")
        .at_most(index, static_cast<int64_t>(r.model.buffers.size()) - 1);
  }
  *out = r.model.buffers[index];
  return {};
}

Status check_finite(Reader& r, uint32_t index, DType dtype) {
  const uint8_t flag = dtype == DType::f16 ? known_finite_f16 : known_finite_f32;
  if (r.known[index] & flag) return {};
  const Bytes bytes = r.model.buffers[index];
  if (!(dtype == DType::f16 ? all_finite_f16(bytes) : all_finite_f32(bytes)))
    return Status(kBadModel, 132, "a weight or constant is infinite or not a number");
  r.known[index] |= flag;
  return {};
}

// 255 is what E8M0 has instead of a number.
static Status check_powers(Reader& r, uint32_t index) {
  if (r.known[index] & known_powers) return {};
  for (const uint8_t byte : r.model.buffers[index])
    if (byte == 255)
      return Status(kBadModel, 132, "a scale's byte stands for no number").at_most(byte, 254);
  r.known[index] |= known_powers;
  return {};
}

Status fill_constant(Reader& r, const fb::Constant* c, Constant* out, bool powers) {
  *out = {};
  if (c == nullptr) return {};
  Bytes bytes;
  QRT_TRY(read_buffer(r, c->buffer(), &bytes));
  const bool is_power = powers && c->dtype() == fb::DType::u8;
  QRT_REQUIRE(is_power || c->dtype() == fb::DType::f32 || c->dtype() == fb::DType::f16, kBadModel,
              130,
              powers ? "a scale's element type is neither f32 nor f16 nor u8"
                     : "a constant's element type is neither f32 nor f16");
  out->dtype = static_cast<DType>(c->dtype());
  QRT_TRY(in_range(c->count(), 1, layout::kMaxElements, 131, "a constant's count is out of range"));
  QRT_TRY(equal_size(bytes.size(), CheckedSize(c->count()) * size_of(out->dtype), 131,
                     "a constant's buffer has another size than its count asks for"));
  QRT_TRY(is_power ? check_powers(r, c->buffer()) : check_finite(r, c->buffer(), out->dtype));
  out->data = bytes.data();
  out->count = c->count();
  return {};
}

// Names are shown on terminals and in logs: control characters would let a file
// write there what it likes.
Status read_text(const flatbuffers::String* text, const char** out) {
  *out = "";
  if (text == nullptr) return {};
  for (uint32_t i = 0; i < text->size(); ++i) {
    const auto c = static_cast<unsigned char>(text->c_str()[i]);
    QRT_REQUIRE(c >= 0x20 && c != 0x7f, kBadModel, 109,
                "a name or label holds a control character");
  }
  *out = text->c_str();
  return {};
}

}  // namespace qrt
