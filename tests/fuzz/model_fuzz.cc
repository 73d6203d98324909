// Fuzzes opening, preparing and running a model. Contract: any bytes whatsoever
// give success or an error with a message; no crash, no hang, no memory beyond
// max_bytes; an accepted and prepared model runs.
//
// A fuzzer cannot guess xxh3: where the input is a FlatBuffer whose checksums can
// be found, they are put right first, so that mutations reach the validator.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "qrt.h"
#include "tests/support/full_model.h"
#include "tests/support/integer_model.h"
#include "tests/support/model_builder.h"

namespace {

using qrt::testing::Seals;

// As find_seals(), for a file that merely passes the verifier.
bool reseal_hostile(std::vector<uint8_t>& file) {
  if (file.size() < 16) return false;
  flatbuffers::Verifier verifier(file.data(), file.size(), 16, 65536);
  if (!qrt::fb::VerifyModelBuffer(verifier)) return false;
  const qrt::fb::Model& root = *qrt::fb::GetModel(file.data());
  const auto field = [&](const void* table, flatbuffers::voffset_t at) {
    return static_cast<const flatbuffers::Table*>(table)->GetAddressOf(at);
  };
  const uint8_t* size = field(&root, qrt::fb::Model::VT_FILE_BYTES);
  const uint8_t* sum = field(&root, qrt::fb::Model::VT_CHECKSUM);
  if (size == nullptr || sum == nullptr) return false;
  Seals seals;
  seals.file_checksum_at = static_cast<size_t>(sum - file.data());
  if (root.buffers() != nullptr) {
    for (const qrt::fb::Buffer* b : *root.buffers()) {
      const uint8_t* at = field(b, qrt::fb::Buffer::VT_CHECKSUM);
      if (at == nullptr) continue;
      seals.buffers.push_back({static_cast<size_t>(b->data()->data() - file.data()),
                               b->data()->size(), static_cast<size_t>(at - file.data())});
    }
  }
  const uint64_t bytes = file.size();
  std::memcpy(file.data() + (size - file.data()), &bytes, sizeof bytes);
  qrt::testing::reseal(file, seals);
  return true;
}

void try_file(const uint8_t* data, size_t size) {
  qrt_error error = {};
  error.struct_size = sizeof error;
  qrt_options options;
  qrt_options_init(&options);
  options.max_bytes = 64 << 20;
  qrt_model* model = nullptr;
  if (qrt_model_open_memory(data, size, &options, &model, &error) != QRT_OK) {
    if (std::strstr(error.message, "(QRT-E") == nullptr) std::abort();
    return;
  }
  qrt_session* session = nullptr;
  if (qrt_session_open(model, &options, &session, &error) == QRT_OK) {
    // A file of a few kilobytes may ask for hours of honest work: that is no defect.
    uint64_t work = 0;
    for (uint32_t i = 0; i < qrt_session_op_count(session); ++i) {
      qrt_op_info op = {};
      op.struct_size = sizeof op;
      if (qrt_session_op(session, i, &op, nullptr) != QRT_OK) std::abort();
      work += op.macs;
    }
    if (work < 50000000 && qrt_session_run(session, &error) != QRT_OK) std::abort();
  } else if (std::strstr(error.message, "(QRT-E") == nullptr) {
    std::abort();
  }
  qrt_session_close(session);
  qrt_model_close(model);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max, unsigned seed);
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // As it is, copied so that reads past its end are seen.
  try_file(data, size);
  std::vector<uint8_t> file(data, data + size);
  if (reseal_hostile(file)) try_file(file.data(), file.size());
  return 0;
}

// Starts from one of three models when there is nothing to start from; sometimes changes one
// aligned 32-bit word to a number that hurts, which random bits seldom find.
size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max, unsigned seed) {
  static const std::vector<uint8_t> samples[] = {qrt::testing::sample_model().finish(),
                                                 qrt::testing::full_model().b.finish(),
                                                 qrt::testing::integer_model().b.finish()};
  const std::vector<uint8_t>& sample = samples[seed % 3];
  if (size < 64 && max >= sample.size()) {
    std::memcpy(data, sample.data(), sample.size());
    return sample.size();
  }
  if (size >= 64 && seed % 2 == 0) {
    constexpr uint32_t kHurt[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fffffff, 0x80000000, ~0u};
    const size_t at = (seed >> 5) % (size / 4) * 4;
    uint32_t word = kHurt[(seed >> 1) % 10];
    if (seed & 16) {
      std::memcpy(&word, data + at, 4);
      word += (seed >> 1) % 8 < 4 ? 4 : -4u;
    }
    std::memcpy(data + at, &word, 4);
    return size;
  }
  return LLVMFuzzerMutate(data, size, max);
}
