#include "runtime/base/message.h"

#include <cstdarg>
#include <cstdio>

namespace qrt {
namespace {

class Writer {
 public:
  Writer(char* out, size_t room) : out_(out), room_(room) { out_[0] = 0; }

  __attribute__((format(printf, 2, 3))) void add(const char* format, ...) {
    va_list args;
    va_start(args, format);
    const int n = std::vsnprintf(out_ + used_, room_ - used_, format, args);
    va_end(args);
    if (n > 0) used_ += static_cast<size_t>(n);
    if (used_ >= room_) used_ = room_ - 1;
  }
  void widen(size_t by) { room_ += by; }

 private:
  char* out_;
  size_t room_, used_ = 0;
};

const char* bound_word(Bound bound) {
  switch (bound) {
    case Bound::at_least:
      return "at least ";
    case Bound::at_most:
      return "at most ";
    case Bound::none:
    case Bound::equal:
      return "";
  }
  return "";
}

}  // namespace

void write_id(const Status& s, char* out, size_t room) {
  std::snprintf(out, room, "QRT-E%04u", static_cast<unsigned>(s.id()));
}

void write_message(const Status& s, const char* file, const char* where, char* out, size_t room) {
  constexpr size_t kCode = sizeof " (QRT-E0123)" - 1;
  if (room <= kCode + 1) {
    if (room > 0) out[0] = 0;
    return;
  }
  // Names come from files: each gets its share, and the code its place at the end.
  Writer w(out, room - kCode);
  if (file[0] != 0) w.add("%.110s: ", file);
  if (where[0] != 0) w.add("%.80s: ", where);
  w.add("%s", s.what());
  if (s.has_values()) {
    w.add("; found %lld, allowed %s%lld", static_cast<long long>(s.found()), bound_word(s.bound()),
          static_cast<long long>(s.allowed()));
  }
  const char* hint = s.hint();
  if (hint[0] == 0 && s.code() == Code::invalid_model) hint = "re-create the file with qrt-convert";
  if (hint[0] != 0) w.add("; %s", hint);
  w.widen(kCode);
  w.add(" (QRT-E%04u)", static_cast<unsigned>(s.id()) % 10000u);
}

}  // namespace qrt
