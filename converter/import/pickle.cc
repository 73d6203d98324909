// The stack and the opcodes of the restricted unpickler. Opcodes and their
// meaning: CPython's Lib/pickletools.py. The protocol-2 subset that torch.save
// emits, plus the four opcodes of protocol 4 that other writers use for the same.
#include "converter/import/pickle.h"

#include <bit>
#include <cstring>

#include "converter/import/pickle_machine.h"

namespace qrt::import {

using Kind = Pickle::Kind;
using Node = Pickle::Node;

Result<Pickle> PickleMachine::run() {
  for (size_t steps = 0;; ++steps) {
    at_ = next_;
    if (steps == kMaxOpcodes) return fail(kLimit, "has more than 1 000 000 opcodes");
    if (stack_.size() > kMaxStack) return fail(kLimit, "stacks more than 100 000 values");
    if (next_ >= bytes_.size()) return fail(kMalformed, "ends before its STOP");
    const uint8_t opcode = bytes_[next_++];
    if (opcode == '.') break;
    QRT_CHECK_OK(step(opcode));
  }
  if (stack_.size() != 1 || !marks_.empty())
    return fail(kMalformed, "stops with " + std::to_string(stack_.size()) +
                                " values on its stack where 1 belongs");
  out_.root = stack_[0];
  out_.end = base_ + next_;
  return std::move(out_);
}

Error PickleMachine::fail(int id, const std::string& what) const {
  std::string text = "pickle at byte " + std::to_string(base_ + at_) + " " + what;
  if (id == kMalformed) text += "; the file is damaged or cut short, fetch it again";
  if (id == kLimit) text += "; save only the model's state_dict()";
  return Error{id, text};
}

// ---- operands and stack -------------------------------------------------------------------------

bool PickleMachine::take(size_t n, const uint8_t** p) {
  if (bytes_.size() - next_ < n) return false;
  *p = bytes_.data() + next_;
  next_ += n;
  return true;
}

bool PickleMachine::number(size_t n, uint64_t* value) {
  const uint8_t* p;
  if (!take(n, &p)) return false;
  *value = 0;
  for (size_t i = 0; i < n; ++i) *value |= uint64_t{p[i]} << (8 * i);
  return true;
}

bool PickleMachine::line(std::string_view* text) {
  const auto* from = bytes_.data() + next_;
  const auto* end = static_cast<const uint8_t*>(std::memchr(from, '\n', bytes_.size() - next_));
  if (!end) return false;
  *text = {reinterpret_cast<const char*>(from), static_cast<size_t>(end - from)};
  next_ += text->size() + 1;
  return true;
}

PickleId PickleMachine::pop() {
  const PickleId id = stack_.back();
  stack_.pop_back();
  return id;
}

Result<void> PickleMachine::push(const Node& node) {
  stack_.push_back(static_cast<PickleId>(out_.nodes.size()));
  out_.nodes.push_back(node);
  return {};
}

Result<void> PickleMachine::push_integer(uint64_t value, Kind kind) {
  Node n;
  n.kind = kind;
  n.integer = static_cast<int64_t>(value);
  return push(n);
}

Result<void> PickleMachine::push_items(Kind kind, size_t count) {
  if (available() < count) return underflow();
  Node n;
  n.kind = kind;
  n.slot = static_cast<uint32_t>(out_.items.size());
  out_.items.emplace_back(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
  stack_.resize(stack_.size() - count);
  return push(n);
}

bool PickleMachine::unmark(size_t* count) {
  if (marks_.empty()) return false;
  *count = stack_.size() - marks_.back();
  marks_.pop_back();
  return true;
}

// ---- opcodes ------------------------------------------------------------------------------------

// Sorted by operand: bytes of a little-endian number, values above a mark, nothing.
Result<void> PickleMachine::step(uint8_t opcode) {
  struct NumberOpcode {
    uint8_t opcode, bytes;
  };
  constexpr NumberOpcode kNumber[] = {{0x80, 1}, {0x95, 8}, {'K', 1},  {'M', 2}, {'J', 4},
                                      {0x8a, 1}, {'X', 4},  {0x8c, 1}, {'T', 4}, {'U', 1},
                                      {'q', 1},  {'r', 4},  {'h', 1},  {'j', 4}};
  for (const NumberOpcode& op : kNumber) {
    if (op.opcode != opcode) continue;
    uint64_t n = 0;
    if (!number(op.bytes, &n)) return cut();
    return step_number(opcode, n);
  }
  if (opcode == 't' || opcode == 'e' || opcode == 'u') {
    size_t count = 0;
    if (!unmark(&count)) return underflow();
    return step_marked(opcode, count);
  }
  return step_plain(opcode);
}

Result<void> PickleMachine::step_number(uint8_t opcode, uint64_t n) {
  switch (opcode) {
    case 0x80:
      return protocol(n);
    case 0x95:  // FRAME: a hint for readers of streams
      return {};
    case 'K':  // BININT1, BININT2
    case 'M':
      return push_integer(n);
    case 'J':  // BININT, signed
      return push_integer(static_cast<uint64_t>(int64_t{static_cast<int32_t>(n)}));
    case 0x8a:
      return long1(n);
    case 'X':   // BINUNICODE
    case 0x8c:  // SHORT_BINUNICODE
    case 'T':   // BINSTRING
    case 'U':   // SHORT_BINSTRING
      return text(n);
    case 'q':  // BINPUT, LONG_BINPUT
    case 'r':
      return put(n);
    default:  // BINGET, LONG_BINGET
      return get(n);
  }
}

Result<void> PickleMachine::step_marked(uint8_t opcode, size_t count) {
  if (opcode == 't') return push_items(Kind::tuple, count);
  return extend(opcode == 'e' ? Kind::list : Kind::dict, count);
}

Result<void> PickleMachine::step_plain(uint8_t opcode) {
  switch (opcode) {
    case '(':  // MARK
      if (marks_.size() == kMaxMarks) return fail(kLimit, "nests deeper than 64 levels");
      marks_.push_back(stack_.size());
      return {};
    case '0':  // POP
      if (available() == 0) return underflow();
      stack_.pop_back();
      return {};
    case 'N':
      return push(Node{});
    case 0x88:  // NEWTRUE, NEWFALSE
    case 0x89:
      return push_integer(opcode == 0x88, Kind::boolean);
    case 'G':
      return real();
    case ')':  // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3
      return push_items(Kind::tuple, 0);
    case 0x85:
    case 0x86:
    case 0x87:
      return push_items(Kind::tuple, opcode - 0x84u);
    case ']':
      return push_items(Kind::list, 0);
    case '}':
      return push_items(Kind::dict, 0);
    case 'a':
      return extend(Kind::list, 1);
    case 's':
      return extend(Kind::dict, 2);
    case 0x94:  // MEMOIZE
      return put(memo_.size());
    case 'c':
      return global_lines();
    case 0x93:
      return global_stack();
    case 'R':
      return reduce();
    case 'b':
      return build();
    case 'Q':
      return persistent();
    default:
      break;
  }
  constexpr char kHex[] = "0123456789abcdef";
  return fail(kForbidden, std::string("uses opcode 0x") + kHex[opcode >> 4] + kHex[opcode & 15] +
                              ", which is not among those a state dict needs; save only the "
                              "model's state_dict()");
}

Result<void> PickleMachine::protocol(uint64_t version) {
  if (version >= 2 && version <= 5) return {};
  return fail(kMalformed, "has protocol " + std::to_string(version) + "; 2 to 5 are read");
}

Result<void> PickleMachine::long1(uint64_t n) {
  const uint8_t* p;
  if (!take(n, &p)) return cut();
  if (n > 8) {
    Node big;
    big.kind = Kind::big_integer;
    big.text = {reinterpret_cast<const char*>(p), n};
    return push(big);
  }
  uint64_t value = n > 0 && (p[n - 1] & 0x80) ? ~uint64_t{0} : 0;  // the sign extends
  for (size_t i = n; i-- > 0;) value = (value << 8) | p[i];
  return push_integer(value);
}

Result<void> PickleMachine::real() {
  const uint8_t* p;
  if (!take(8, &p)) return cut();
  uint64_t bits = 0;
  for (int i = 0; i < 8; ++i) bits = (bits << 8) | p[i];  // big-endian, unlike all others
  Node n;
  n.kind = Kind::real;
  n.real = std::bit_cast<double>(bits);
  return push(n);
}

Result<void> PickleMachine::text(uint64_t length) {
  const uint8_t* p;
  if (length > bytes_.size() || !take(length, &p)) return cut();
  if (length > kMaxString) return fail(kLimit, "has a string of more than 4096 bytes");
  Node n;
  n.kind = Kind::string;
  n.text = {reinterpret_cast<const char*>(p), length};
  return push(n);
}

// Moves the top `count` values into the list or dict below them.
Result<void> PickleMachine::extend(Kind kind, size_t count) {
  if (available() < count + 1) return underflow();
  const PickleId into = stack_[stack_.size() - count - 1];
  if (out_.nodes[into].kind != kind || (kind == Kind::dict && count % 2 != 0))
    return fail(kMalformed, "adds elements to what cannot hold them");
  auto& items = out_.items[out_.nodes[into].slot];
  items.insert(items.end(), stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
  stack_.resize(stack_.size() - count);
  return {};
}

Result<void> PickleMachine::put(uint64_t index) {
  if (available() == 0) return underflow();
  if (index >= kMaxOpcodes) return fail(kLimit, "uses a memo index beyond 1 000 000");
  memo_[static_cast<uint32_t>(index)] = stack_.back();
  return {};
}

Result<void> PickleMachine::get(uint64_t index) {
  const auto found = memo_.find(static_cast<uint32_t>(index));
  if (found == memo_.end())
    return fail(kMalformed, "recalls memo " + std::to_string(index) + ", which was never set");
  stack_.push_back(found->second);
  return {};
}

Result<void> PickleMachine::global_lines() {
  std::string_view module, name;
  if (!line(&module) || !line(&name)) return cut();
  return global(module, name);
}

Result<void> PickleMachine::global_stack() {
  if (available() < 2) return underflow();
  const Node name = out_.nodes[pop()], module = out_.nodes[pop()];
  if (name.kind != Kind::string || module.kind != Kind::string)
    return fail(kMalformed, "names a global by what is no string");
  return global(module.text, name.text);
}

size_t bytes_of(TorchType type) {
  switch (type) {
    case TorchType::f64:
    case TorchType::i64:
      return 8;
    case TorchType::f32:
    case TorchType::i32:
      return 4;
    case TorchType::f16:
    case TorchType::bf16:
    case TorchType::i16:
      return 2;
    case TorchType::u8:
    case TorchType::i8:
    case TorchType::boolean:
      return 1;
  }
  return 1;
}

const char* name_of(TorchType type) {
  constexpr const char* kNames[] = {"f64", "f32", "f16", "bf16", "u8",
                                    "i8",  "i16", "i32", "i64",  "bool"};
  return kNames[static_cast<int>(type)];
}

bool Pickle::find(PickleId dict, std::string_view key, PickleId* value) const {
  if (nodes[dict].kind != Kind::dict) return false;
  const auto pairs = items_of(dict);
  for (size_t i = pairs.size() / 2; i-- > 0;) {
    const Node& k = nodes[pairs[2 * i]];
    if (k.kind != Kind::string || k.text != key) continue;
    *value = pairs[2 * i + 1];
    return true;
  }
  return false;
}

Result<Pickle> read_pickle(std::span<const uint8_t> bytes, size_t base) {
  return PickleMachine(bytes, base).run();
}

}  // namespace qrt::import
