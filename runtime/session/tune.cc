#include "runtime/session/tune.h"

#include <sys/stat.h>

#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "kernels/isa.h"
#include "qrt.h"
#include "runtime/model/checksum.h"

namespace qrt {
namespace {

constexpr size_t kMostBytes = 1 << 20;
constexpr size_t kLine = 192;  // room of one line
constexpr char kSum[] = "%016" PRIx64 "\n";
constexpr size_t kSumBytes = 17;

// The first line of a file of this library and machine.
void write_head(char (&line)[kLine]) {
  std::snprintf(line, sizeof line, "qrt-tune 1 %u.%u.%u %.100s\n", unsigned{QRT_VERSION_MAJOR},
                unsigned{QRT_VERSION_MINOR}, unsigned{QRT_VERSION_PATCH}, kernels::cpu_name());
}

// Text collected in one piece, for its checksum.
class Text {
 public:
  Text(char* to, size_t room) : to_(to), room_(room) {}
  void add(const char* line) {
    const size_t n = std::strlen(line);
    if (used_ + n > room_) return;
    std::memcpy(to_ + used_, line, n);
    used_ += n;
  }
  const char* data() const { return to_; }
  size_t size() const { return used_; }

 private:
  char* to_;
  size_t room_, used_ = 0;
};

// What every tune file begins with, of whatever version; other files are somebody's data.
constexpr char kMagic[] = "qrt-tune ";
constexpr size_t kMagicBytes = sizeof kMagic - 1;

// Nothing, or a regular file: a pipe would be waited for, and a device replaced.
bool may_be_replaced(const char* path) {
  struct stat info;
  return stat(path, &info) != 0 || S_ISREG(info.st_mode);
}

// All of a file, with a 0 behind it; null where it cannot be had.
char* read_file(const char* path, Arena& arena, size_t* bytes) {
  std::FILE* in = std::fopen(path, "rb");
  if (in == nullptr) return nullptr;
  auto* text = static_cast<char*>(arena.allocate(kMostBytes + 1, 1));
  *bytes = text == nullptr ? 0 : std::fread(text, 1, kMostBytes, in);
  std::fclose(in);
  return text;
}

}  // namespace

void Tuner::open(const char* path) {
  path_ = path;
  foreign_ = !may_be_replaced(path);
  if (foreign_) {
    note_ = "the path of the tune file is no regular file and was left alone; name another";
    return;
  }
  size_t bytes = 0;
  char* text = read_file(path, arena_, &bytes);
  if (text == nullptr || bytes == 0) return;  // there is none yet
  if (bytes < kMagicBytes || std::memcmp(text, kMagic, kMagicBytes) != 0) {
    foreign_ = true;
    note_ = "the file given is no tune file and was left alone; name another or remove it";
    return;
  }
  char head[kLine];
  write_head(head);
  const bool ours = bytes > 11 && std::memcmp(text, "qrt-tune 1 ", 11) == 0;
  if (ours && (bytes < std::strlen(head) || std::memcmp(text, head, std::strlen(head)) != 0))
    note_ = "the tune file is of another machine or version and was put aside";
  else if (!ours || !read(text, bytes))
    note_ = "the tune file is damaged and was put aside";
}

// The lines behind the head, if all of them are what save() writes.
bool Tuner::read(char* text, size_t bytes) {
  if (bytes < kSumBytes || bytes == kMostBytes || text[bytes - 1] != '\n') return false;
  const size_t body = bytes - kSumBytes;
  char sum[kSumBytes + 1];
  std::snprintf(sum, sizeof sum, kSum, checksum_of(text, body));
  if (std::memcmp(sum, text + body, kSumBytes) != 0) return false;
  text[body] = 0;
  for (const char* line = std::strchr(text, '\n'); line != nullptr && line[1] != 0;
       line = std::strchr(line + 1, '\n')) {
    TuneKey key{};
    char name[kName];
    unsigned speed = 0;
    if (std::sscanf(line + 1,
                    "%16" SCNx64 " %" SCNu32 " %" SCNu64 " %" SCNx32 " %" SCNu32 " %u %31s",
                    &key.model, &key.op, &key.rows, &key.isa, &key.threads, &speed, name) != 7 ||
        speed > 1) {
      entries_ = nullptr;
      return false;
    }
    key.prefers_speed = speed == 1;
    add(key, name);
  }
  return true;
}

const char* Tuner::find(const TuneKey& key) const {
  for (const Entry* e = entries_; e != nullptr; e = e->next)
    if (e->key == key) return e->strategy;
  return nullptr;
}

Tuner::Entry* Tuner::add(const TuneKey& key, const char* strategy) {
  auto* e = arena_.make<Entry>();
  if (e == nullptr) return nullptr;
  e->key = key;
  std::snprintf(e->strategy, sizeof e->strategy, "%s", strategy);
  e->next = entries_;
  return entries_ = e;
}

void Tuner::put(const TuneKey& key, const char* strategy) {
  if (add(key, strategy) != nullptr) changed_ = true;
}

void Tuner::save() {
  if (!changed_ || foreign_) return;
  const char* const kCannot = "the tune file cannot be written";
  char* room = static_cast<char*>(arena_.allocate(kMostBytes - 1, 1));
  char part[1024], line[kLine];
  const int n = std::snprintf(part, sizeof part, "%s.part", path_);
  if (room == nullptr || n < 0 || static_cast<size_t>(n) >= sizeof part) {
    note_ = kCannot;
    return;
  }
  Text text(room, kMostBytes - 1 - kSumBytes - 1);
  write_head(line), text.add(line);
  for (const Entry* e = entries_; e != nullptr; e = e->next) {
    std::snprintf(line, sizeof line,
                  "%016" PRIx64 " %" PRIu32 " %" PRIu64 " %" PRIx32 " %" PRIu32 " %u %s\n",
                  e->key.model, e->key.op, e->key.rows, e->key.isa, e->key.threads,
                  e->key.prefers_speed ? 1u : 0u, e->strategy);
    text.add(line);
  }
  std::snprintf(line, sizeof line, kSum, checksum_of(text.data(), text.size()));
  std::FILE* out = std::fopen(part, "wb");
  bool good = out != nullptr && std::fwrite(text.data(), 1, text.size(), out) == text.size() &&
              std::fwrite(line, 1, kSumBytes, out) == kSumBytes;
  if (out != nullptr) good = std::fclose(out) == 0 && good;
  if (good) good = std::rename(part, path_) == 0;
  if (good) return;
  if (out != nullptr) std::remove(part);
  note_ = kCannot;
}

}  // namespace qrt
