// Small text helpers for messages: cat() concatenates, join() lists, and
// shape_text() writes a shape the way every message of the converter does.
#ifndef QRT_CONVERTER_BASE_TEXT_H_
#define QRT_CONVERTER_BASE_TEXT_H_

#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "converter/base/result.h"

namespace qrt {

template <class... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

// An Error from its number and the pieces of its sentence.
template <class... Parts>
Error fail(int id, const Parts&... parts) {
  return Error{id, cat(parts...)};
}

template <class T>
std::string join(const std::vector<T>& items, const char* separator = ",") {
  std::ostringstream out;
  for (size_t i = 0; i < items.size(); ++i) out << (i ? separator : "") << items[i];
  return out.str();
}

// Appends to a comma-separated list.
inline void append(std::string& list, const std::string& item, const char* separator = ", ") {
  if (!list.empty()) list += separator;
  list += item;
}

// "[1,3,224,224]", or "[N,3,224,224]" and "[2N,3]" where the first dimension takes the batch.
inline std::string shape_text(const std::vector<int64_t>& shape, bool batched = false) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i) text += ",";
    const bool first = i == 0 && batched;
    if (!first || shape[i] != 1) text += std::to_string(shape[i]);
    if (first) text += "N";
  }
  return text + "]";
}

}  // namespace qrt

#endif  // QRT_CONVERTER_BASE_TEXT_H_
