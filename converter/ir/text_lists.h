// Lists of numbers and encodings in the text form, both directions; the grammar stands in text.h.
// Used by text_print.cc, text_parse.cc and text_encoding.cc alone.
#ifndef QRT_CONVERTER_IR_TEXT_LISTS_H_
#define QRT_CONVERTER_IR_TEXT_LISTS_H_

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "converter/base/text.h"
#include "converter/ir/text.h"
#include "converter/ir/text_cursor.h"
#include "converter/quant/encoding.h"

namespace qrt::ir::detail {

inline constexpr int64_t kMaxFill = 1 << 28;

template <class T>
std::string number_text(T value) {
  if constexpr (std::is_same_v<T, float>)
    return float_text(value);
  else
    return std::to_string(value);
}

// FNV-1a over the bytes: tells large constants apart in golden texts.
template <class T>
std::string hash_text(const std::vector<T>& values) {
  uint64_t hash = 14695981039346656037ull;
  for (const T& value : values) {
    unsigned char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    for (unsigned char byte : bytes) hash = (hash ^ byte) * 1099511628211ull;
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return cat("hash ", text);
}

template <class T>
std::string list_text(const std::vector<T>& values) {
  bool same = values.size() > 4;
  for (const T& value : values) same = same && std::memcmp(&value, &values[0], sizeof(T)) == 0;
  if (same) return cat("fill ", number_text(values[0]));
  if (values.size() > kInlineValues) return hash_text(values);
  std::string text;
  for (const T& value : values) append(text, number_text(value));
  return cat("{", text, "}");
}

// `count` values in any of the forms of DATA; -1 leaves the count to the list.
template <class T>
bool read_list(Cursor& c, int64_t count, std::vector<T>* out) {
  if (c.take_word("hash")) {
    return c.complain("the values were printed as a hash; write them as { ... } or fill");
  }
  T value{};
  if (c.take_word("fill")) {
    if (!c.number(&value)) return false;
    if (count > kMaxFill) return c.complain(cat("fill of more than ", kMaxFill, " values"));
    out->assign(static_cast<size_t>(count < 0 ? 1 : count), value);
    return true;
  }
  if (!c.expect("{")) return false;
  while (!c.take("}")) {
    if ((!out->empty() && !c.expect(",")) || !c.number(&value)) return false;
    out->push_back(value);
  }
  return count < 0 || static_cast<int64_t>(out->size()) == count ||
         c.complain(cat("found ", out->size(), " values; the shape has ", count));
}

std::string encoding_text(const quant::Encoding&);

// Whether an encoding stands next; then it is read and checked against the shape. A complaint is
// left in the cursor where it is not sound, and `encoding` stays empty.
bool read_encoding(Cursor&, const std::vector<int64_t>& shape,
                   std::shared_ptr<const quant::Encoding>* encoding);

}  // namespace qrt::ir::detail

#endif  // QRT_CONVERTER_IR_TEXT_LISTS_H_
