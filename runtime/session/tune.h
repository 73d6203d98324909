// Which strategy of a layer was fastest here: measured while a session opens, and kept in a small
// text file for the next. Only strategies that give the same bits are compared, so what the file
// says can make a run slower, never different; one that is damaged, or of another machine or
// version, is put aside with a note and written anew. What is no tune file at all, a model given by
// mistake or a device, is never written to.
//
//   qrt-tune 1 <library version> <CPU>
//   <model checksum> <operator> <rows> <ISA set> <threads> <prefers speed> <strategy>
//   ...
//   <xxh3-64 of all lines above>
#ifndef QRT_RUNTIME_SESSION_TUNE_H_
#define QRT_RUNTIME_SESSION_TUNE_H_

#include <cstddef>
#include <cstdint>

#include "runtime/memory/arena.h"

namespace qrt {

struct TuneKey {
  uint64_t model, rows;
  uint32_t op, isa, threads;
  bool prefers_speed;

  bool operator==(const TuneKey& o) const {
    return model == o.model && rows == o.rows && op == o.op && isa == o.isa &&
           threads == o.threads && prefers_speed == o.prefers_speed;
  }
};

class Tuner {
 public:
  explicit Tuner(const Allocator& allocator) : arena_(allocator) {}

  // Reads what an earlier session found; `path` must stay until save().
  void open(const char* path);
  // The strategy that was fastest, or null.
  const char* find(const TuneKey&) const;
  // Remembers one; names without spaces, of up to 31 characters.
  void put(const TuneKey&, const char* strategy);
  // Writes the file anew if anything was put: beside it first, then in its place.
  void save();
  // A sentence about what was put aside, or "".
  const char* note() const { return note_; }

 private:
  static constexpr size_t kName = 32;
  struct Entry {
    TuneKey key;
    char strategy[kName];
    Entry* next;
  };
  bool read(char* text, size_t bytes);
  Entry* add(const TuneKey&, const char* strategy);

  Arena arena_;
  const char* path_ = "";
  const char* note_ = "";
  Entry* entries_ = nullptr;
  bool changed_ = false;
  bool foreign_ = false;  // the path holds something else, which stays
};

}  // namespace qrt

#endif  // QRT_RUNTIME_SESSION_TUNE_H_
