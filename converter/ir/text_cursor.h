// Reading one line of the text form: tokens, numbers, names, and the setter of
// attributes. Used by text_parse.cc alone.
#ifndef QRT_CONVERTER_IR_TEXT_CURSOR_H_
#define QRT_CONVERTER_IR_TEXT_CURSOR_H_

#include <charconv>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "converter/base/text.h"
#include "converter/ir/ops.h"

namespace qrt::ir::detail {

// Walks one line. Functions return false after noting the first complaint.
class Cursor {
 public:
  explicit Cursor(const std::string& line) : at_(line.data()), end_(at_ + line.size()) {}

  bool complain(const std::string& why) {
    if (complaint_.empty()) complaint_ = why;
    return false;
  }
  const std::string& complaint() const { return complaint_; }

  void skip_space() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\r')) ++at_;
    if (at_ < end_ && *at_ == '#') at_ = end_;
  }
  bool done() {
    skip_space();
    return at_ == end_;
  }
  // Takes `token` if it is next.
  bool take(const char* token) {
    skip_space();
    const size_t length = std::strlen(token);
    if (static_cast<size_t>(end_ - at_) < length || std::memcmp(at_, token, length) != 0)
      return false;
    at_ += length;
    return true;
  }
  // Takes `word` if it is next and ends there.
  bool take_word(const char* word) {
    const char* before = at_;
    if (!take(word)) return false;
    if (at_ == end_ || !is_name(*at_)) return true;
    at_ = before;
    return false;
  }
  bool expect(const char* token) {
    return take(token) || complain(cat("expected '", token, "' at '", rest(), "'"));
  }
  bool name(std::string* out) {
    skip_space();
    out->clear();
    if (at_ < end_ && *at_ == '"') return quoted(out);
    while (at_ < end_ && is_name(*at_) && !(at_ + 1 < end_ && at_[0] == '-' && at_[1] == '>')) {
      *out += *at_++;
    }
    return !out->empty() || complain(cat("expected a name at '", rest(), "'"));
  }
  template <class T>
  bool number(T* out) {
    skip_space();
    const auto result = std::from_chars(at_, end_, *out);
    if (result.ec != std::errc()) return complain(cat("expected a number at '", rest(), "'"));
    at_ = result.ptr;
    return true;
  }
  std::string rest() const {
    const std::string text(at_, end_);
    return text.size() > 20 ? text.substr(0, 20) + "..." : text;
  }

 private:
  static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && std::strchr("_./-+@", c) != nullptr);
  }
  bool quoted(std::string* out) {
    for (++at_; at_ < end_ && *at_ != '"'; ++at_) {
      if (*at_ != '\\') {
        *out += *at_;
        continue;
      }
      if (++at_ == end_) break;
      unsigned byte = 0;
      if (*at_ == 'x') {
        if (end_ - at_ < 3 || std::from_chars(at_ + 1, at_ + 3, byte, 16).ptr != at_ + 3) {
          return complain("\\x needs two hexadecimal digits");
        }
        *out += static_cast<char>(byte);
        at_ += 2;
      } else {
        *out += *at_ == 'n' ? '\n' : *at_;
      }
    }
    if (at_ == end_) return complain("a quoted name does not end");
    ++at_;
    return true;
  }

  const char* at_;
  const char* end_;
  std::string complaint_;
};

// Sets the attribute named `key` of one operator from the cursor.
struct Setter {
  Cursor& cursor;
  std::string key;
  bool found = false, good = true;

  bool mine(const char* name) {
    if (key != name) return false;
    found = true;
    return true;
  }
  bool limit(float* out, float no_limit) {
    if (cursor.take_word("none")) return *out = no_limit, true;
    return cursor.number(out);
  }
  void field(const char* name, bool& out) {
    if (!mine(name)) return;
    out = cursor.take_word("true");
    good = out || cursor.expect("false");
  }
  void field(const char* name, int32_t& out) {
    if (mine(name)) good = cursor.number(&out);
  }
  void field(const char* name, float& out) {
    if (mine(name)) good = limit(&out, key == "beta" ? kNoMax : kNoMin);
  }
  void field(const char* name, Clamp& out) {
    if (!mine(name)) return;
    good = cursor.expect("[") && limit(&out.min, kNoMin) && cursor.expect(",") &&
           limit(&out.max, kNoMax) && cursor.expect("]");
  }
  template <class T, size_t n>
  void field(const char* name, std::array<T, n>& out) {
    if (!mine(name)) return;
    good = cursor.expect("[");
    for (size_t i = 0; i < n && good; ++i) {
      good = (i == 0 || cursor.expect(",")) && cursor.number(&out[i]);
    }
    good = good && cursor.expect("]");
  }
  template <class T>
  void field(const char* name, std::vector<T>& out) {
    if (!mine(name)) return;
    out.clear();
    good = cursor.expect("[");
    while (good && !cursor.take("]")) {
      T value{};
      good = (out.empty() || cursor.expect(",")) && cursor.number(&value);
      out.push_back(value);
    }
  }
  template <class Enum>
  void word(const char* name, Enum& out, std::span<const char* const> names) {
    if (!mine(name)) return;
    std::string text;
    good = cursor.name(&text);
    for (size_t i = 0; i < names.size(); ++i) {
      if (text == names[i]) return void(out = static_cast<Enum>(i));
    }
    good = good && cursor.complain(cat("'", text, "' is no value of ", key));
  }
};

}  // namespace qrt::ir::detail

#endif  // QRT_CONVERTER_IR_TEXT_CURSOR_H_
