// Inside of the restricted unpickler: the stack machine. pickle.cc holds its
// stack and opcodes, pickle_build.cc what a state dict builds with them.
#ifndef QRT_CONVERTER_IMPORT_PICKLE_MACHINE_H_
#define QRT_CONVERTER_IMPORT_PICKLE_MACHINE_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "converter/base/result.h"
#include "converter/import/pickle.h"

namespace qrt::import {

// What goes wrong, as error numbers.
inline constexpr int kMalformed = 652;
inline constexpr int kForbidden = 653;
inline constexpr int kLimit = 654;

// A ResNet-18 needs 3 500 opcodes and 30 stack cells. One opcode makes at most one node of the
// pool (about 100 bytes with its container), so a million of them stay near 100 MB.
inline constexpr size_t kMaxOpcodes = 1'000'000;
inline constexpr size_t kMaxStack = 100'000;
inline constexpr size_t kMaxTensors = 100'000;
inline constexpr size_t kMaxMarks = 64;
inline constexpr size_t kMaxString = 4096;

class PickleMachine {
 public:
  PickleMachine(std::span<const uint8_t> bytes, size_t base) : bytes_(bytes), base_(base) {}
  Result<Pickle> run();

 private:
  using Kind = Pickle::Kind;
  using Node = Pickle::Node;

  Error fail(int id, const std::string& what) const;
  Error underflow() const { return fail(kMalformed, "takes more values than its stack holds"); }
  Error cut() const { return fail(kMalformed, "is cut inside an operand"); }

  // Operands. False, or an error, where the bytes end inside one.
  bool take(size_t n, const uint8_t** p);
  bool number(size_t n, uint64_t* value);  // n bytes, little-endian, unsigned
  bool line(std::string_view* text);

  // Values above the innermost mark, or all of them: what an opcode may pop.
  size_t available() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }
  PickleId pop();
  Result<void> push(const Node& node);
  Result<void> push_integer(uint64_t value, Kind kind = Kind::integer);
  Result<void> push_items(Kind kind, size_t count);  // of the top `count` values
  // Removes the innermost mark; `count` values stand above where it was.
  bool unmark(size_t* count);

  // Opcodes, by what they take.
  Result<void> step(uint8_t opcode);
  Result<void> step_number(uint8_t opcode, uint64_t n);
  Result<void> step_marked(uint8_t opcode, size_t count);
  Result<void> step_plain(uint8_t opcode);
  Result<void> protocol(uint64_t version);
  Result<void> long1(uint64_t length);
  Result<void> real();
  Result<void> text(uint64_t length);
  Result<void> extend(Kind kind, size_t count);
  Result<void> put(uint64_t index);
  Result<void> get(uint64_t index);
  Result<void> global_lines();
  Result<void> global_stack();

  // What a state dict builds.
  Result<void> global(std::string_view module, std::string_view name);
  Result<void> reduce();
  Result<void> ordered_dict(std::span<const PickleId> args);
  Result<void> build();
  Result<void> persistent();
  Result<void> storage(const PickleStorage&);
  Result<void> tensor(std::span<const PickleId> args);
  bool dims(PickleId id, std::vector<int64_t>* out) const;

  std::span<const uint8_t> bytes_;
  size_t base_, next_ = 0, at_ = 0, copied_ = 0;
  Pickle out_;
  std::vector<PickleId> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, PickleId> memo_;
  std::unordered_map<std::string_view, uint32_t> by_key_;
};

// Bytes of a name fit to stand in a message.
std::string printable(std::string_view text);

}  // namespace qrt::import

#endif  // QRT_CONVERTER_IMPORT_PICKLE_MACHINE_H_
