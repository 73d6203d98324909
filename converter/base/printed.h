// snprintf() into a string as long as the text: names come from models and may have any length.
#ifndef QRT_CONVERTER_BASE_PRINTED_H_
#define QRT_CONVERTER_BASE_PRINTED_H_

#include <cstdio>
#include <string>

namespace qrt {

template <class... Values>
std::string printed(const char* pattern, Values... values) {
  const int length = std::snprintf(nullptr, 0, pattern, values...);
  if (length <= 0) return "";
  std::string text(static_cast<size_t>(length) + 1, '\0');  // and its end
  std::snprintf(text.data(), text.size(), pattern, values...);
  text.pop_back();
  return text;
}

}  // namespace qrt

#endif  // QRT_CONVERTER_BASE_PRINTED_H_
