// A .qrt file in memory as the runtime wants it (64-byte aligned), opened.
#ifndef QRT_TESTS_SUPPORT_OPENED_FILE_H_
#define QRT_TESTS_SUPPORT_OPENED_FILE_H_

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "runtime/memory/arena.h"
#include "runtime/model/model.h"

namespace qrt::testing {

struct OpenedFile {
  explicit OpenedFile(const std::vector<uint8_t>& bytes)
      : data(static_cast<uint8_t*>(std::aligned_alloc(64, (bytes.size() + 63) / 64 * 64)),
             &std::free) {
    std::memcpy(data.get(), bytes.data(), bytes.size());
    status = open_model({data.get(), bytes.size()}, keep, model);
  }

  std::unique_ptr<uint8_t, decltype(&std::free)> data;
  Arena keep{default_allocator()};
  Model model;
  Status status;
};

}  // namespace qrt::testing

#endif  // QRT_TESTS_SUPPORT_OPENED_FILE_H_
