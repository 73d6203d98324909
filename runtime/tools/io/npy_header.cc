// The header of a .npy file: magic, version, length, then a Python dictionary
// literal with exactly the keys descr, fortran_order and shape.
#include <cstring>
#include <string_view>

#include "runtime/base/checked.h"
#include "runtime/tools/io/error.h"
#include "runtime/tools/io/npy.h"

namespace qrt::io {
namespace {

struct TypeRow {
  std::string_view descr;
  NpyType type;
};
constexpr TypeRow kTypes[] = {{"f4", NpyType::f32},     {"f2", NpyType::f16}, {"i1", NpyType::i8},
                              {"u1", NpyType::u8},      {"i4", NpyType::i32}, {"i8", NpyType::i64},
                              {"b1", NpyType::boolean}, {"f8", NpyType::f64}};

// A reader of the few Python literals that NumPy writes.
class Literal {
 public:
  Literal(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw ToolError(412, where_ + ": malformed .npy header at byte " + std::to_string(at_) +
                             " of it: " + what + "; write the file again with numpy.save");
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool take(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(std::string("expected '") + c + "'");
  }
  std::string_view quoted() {
    skip_space();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) fail("expected a string");
    const char quote = text_[at_++];
    const size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) fail("a string is not closed");
    const std::string_view inside = text_.substr(at_, end - at_);
    at_ = end + 1;
    return inside;
  }
  bool boolean() {
    skip_space();
    for (bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return value;
      }
    }
    fail("expected True or False");
  }
  int64_t integer() {
    skip_space();
    constexpr int kMaxDigits = 18;  // fits int64 without a check per digit
    int64_t value = 0;
    int digits = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_, ++digits) {
      if (digits == kMaxDigits) fail("a dimension has more than 18 digits");
      value = value * 10 + (text_[at_] - '0');
    }
    if (digits == 0) fail("expected a dimension that is not negative");
    return value;
  }
  bool at_end() {
    skip_space();
    return at_ == text_.size();
  }

 private:
  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
};

std::vector<int64_t> read_shape(Literal& in) {
  constexpr size_t kMaxRank = 32;  // NumPy's own limit
  std::vector<int64_t> shape;
  in.expect('(');
  while (!in.take(')')) {
    if (shape.size() == kMaxRank) in.fail("more than 32 dimensions");
    shape.push_back(in.integer());
    if (!in.take(',')) {
      in.expect(')');
      break;
    }
  }
  return shape;
}

NpyType read_type(std::string_view descr, const std::string& where) {
  const std::string hint = "; convert it with .astype, e.g. .astype('<f4')";
  if (!descr.empty() && descr[0] == '>' && descr != ">b1" && descr != ">i1" && descr != ">u1")
    throw ToolError(413, where + ": element type '" + std::string(descr) +
                             "' is big-endian, only little-endian is read" + hint);
  if (descr.size() == 3 && std::string_view("<|=>").find(descr[0]) != std::string_view::npos)
    for (const TypeRow& row : kTypes)
      if (row.descr == descr.substr(1)) return row.type;
  throw ToolError(413, where + ": element type '" + std::string(descr.substr(0, 32)) +
                           "' is not supported; allowed are float16, float32, float64, int8, "
                           "uint8, int32, int64, bool" +
                           hint);
}

// Length of the dictionary and where it starts.
void locate(const uint8_t* b, size_t size, const std::string& where, size_t& start, size_t& bytes) {
  if (size < 10 || std::memcmp(b, "\x93NUMPY", 6) != 0)
    throw ToolError(410, where +
                             ": this is not a .npy file (it does not start with \\x93NUMPY); "
                             "write it with numpy.save");
  const int major = b[6], minor = b[7];
  if (major < 1 || major > 3 || minor != 0)
    throw ToolError(411, where + ": .npy version " + std::to_string(major) + "." +
                             std::to_string(minor) + " is unknown; versions 1.0 to 3.0 are read");
  start = major == 1 ? 10 : 12;
  uint64_t length = static_cast<uint64_t>(b[8]) | static_cast<uint64_t>(b[9]) << 8;
  if (major > 1 && size >= 12)
    length |= static_cast<uint64_t>(b[10]) << 16 | static_cast<uint64_t>(b[11]) << 24;
  if (length > 65536)
    throw ToolError(412, where + ": the .npy header claims " + std::to_string(length) +
                             " bytes, at most 65536 are allowed; the file is damaged");
  if (size < start || length > size - start)
    throw ToolError(416, where + ": the .npy header claims " + std::to_string(length) +
                             " bytes, the file ends after " + std::to_string(size) +
                             "; it is truncated, write it again");
  bytes = static_cast<size_t>(length);
}

}  // namespace

size_t size_of(NpyType t) {
  constexpr size_t bytes[] = {4, 2, 1, 1, 4, 8, 1, 8};
  return bytes[static_cast<size_t>(t)];
}

const char* name_of(NpyType t) {
  constexpr const char* names[] = {"float32", "float16", "int8", "uint8",
                                   "int32",   "int64",   "bool", "float64"};
  return names[static_cast<size_t>(t)];
}

NpyHeader parse_npy_header(const uint8_t* bytes, size_t size, const std::string& where) {
  size_t start = 0, length = 0;
  locate(bytes, size, where, start, length);
  Literal in({reinterpret_cast<const char*>(bytes) + start, length}, where);
  NpyHeader header;
  header.data_offset = start + length;
  bool has_descr = false, has_order = false, has_shape = false;
  in.expect('{');
  while (!in.take('}')) {
    const std::string_view key = in.quoted();
    in.expect(':');
    if (key == "descr" && !has_descr) {
      has_descr = true;
      header.type = read_type(in.quoted(), where);
    } else if (key == "fortran_order" && !has_order) {
      has_order = true;
      if (in.boolean())
        throw ToolError(414, where +
                                 ": the array is in Fortran order, only C order is read; save "
                                 "numpy.ascontiguousarray(x) instead");
    } else if (key == "shape" && !has_shape) {
      has_shape = true;
      header.shape = read_shape(in);
    } else {
      in.fail("unexpected or repeated key");
    }
    if (!in.take(',')) {
      in.expect('}');
      break;
    }
  }
  if (!in.at_end()) in.fail("something follows the dictionary");
  if (!has_descr || !has_order || !has_shape) in.fail("descr, fortran_order or shape is missing");
  CheckedSize elements(1);
  for (int64_t d : header.shape) elements = elements * static_cast<uint64_t>(d);
  const auto n = (elements * size_of(header.type)).get();
  if (!n)
    throw ToolError(415, where + ": shape " + shape_text(header.shape) +
                             " overflows the address space; the file is damaged");
  header.elements = *n / size_of(header.type);
  return header;
}

}  // namespace qrt::io
