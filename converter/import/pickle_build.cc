// What a state dict builds: the names it may mention and the three "calls" that
// are understood as data, each checked against what PyTorch writes.
#include "converter/import/pickle_machine.h"

#include "runtime/base/checked.h"

namespace qrt::import {
namespace {

struct StorageName {
  const char* name;
  TorchType type;
};
constexpr StorageName kStorages[] = {
    {"DoubleStorage", TorchType::f64}, {"FloatStorage", TorchType::f32},
    {"HalfStorage", TorchType::f16},   {"BFloat16Storage", TorchType::bf16},
    {"ByteStorage", TorchType::u8},    {"CharStorage", TorchType::i8},
    {"ShortStorage", TorchType::i16},  {"IntStorage", TorchType::i32},
    {"LongStorage", TorchType::i64},   {"BoolStorage", TorchType::boolean}};

}  // namespace

// Bytes of a name fit to stand in a message.
std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 80)) out += c >= 0x20 && c < 0x7f ? c : '?';
  return text.size() > 80 ? out + "..." : out;
}

Result<void> PickleMachine::global(std::string_view module, std::string_view name) {
  Node n;
  n.kind = Kind::global;
  if (module == "torch._utils" && name == "_rebuild_tensor_v2") {
    n.global = Global::rebuild_tensor;
    return push(n);
  }
  if (module == "torch._utils" && name == "_rebuild_parameter") {
    n.global = Global::rebuild_parameter;
    return push(n);
  }
  if (module == "collections" && name == "OrderedDict") {
    n.global = Global::ordered_dict;
    return push(n);
  }
  for (const StorageName& s : kStorages) {
    if ((module != "torch" && module != "torch.cuda") || name != s.name) continue;
    n.global = Global::storage;
    n.type = s.type;
    return push(n);
  }
  return fail(kForbidden, "asks for " + printable(module) + "." + printable(name) +
                              ", which is not among the names a state dict needs; nothing is "
                              "called. Save only the model's state_dict() with plain tensors");
}

// ---- what a state dict builds --------------------------------------------------------------

Result<void> PickleMachine::reduce() {
  if (available() < 2) return underflow();
  const PickleId args = pop(), callee = pop();
  if (out_.nodes[args].kind != Kind::tuple || out_.nodes[callee].kind != Kind::global)
    return fail(kForbidden, "calls what is not on the list; nothing is called");
  const std::span<const PickleId> list = out_.items_of(args);
  switch (out_.nodes[callee].global) {
    case Global::rebuild_tensor:
      return tensor(list);
    case Global::rebuild_parameter:
      if (list.empty() || out_.nodes[list[0]].kind != Kind::tensor)
        return fail(kMalformed, "makes a parameter of what is no tensor");
      stack_.push_back(list[0]);
      return {};
    case Global::ordered_dict:
      return ordered_dict(list);
    case Global::storage:
      break;
  }
  return fail(kForbidden, "calls a storage type; nothing is called");
}

// OrderedDict() or OrderedDict([[key, value], ...]).
Result<void> PickleMachine::ordered_dict(std::span<const PickleId> args) {
  Node n;
  n.kind = Kind::dict;
  std::vector<PickleId> pairs;
  if (!args.empty()) {
    if (args.size() > 1 || out_.nodes[args[0]].kind != Kind::list)
      return fail(kMalformed, "makes a dictionary of what is no list of pairs");
    for (const PickleId pair : out_.items_of(args[0])) {
      const Kind kind = out_.nodes[pair].kind;
      if ((kind != Kind::list && kind != Kind::tuple) || out_.items_of(pair).size() != 2)
        return fail(kMalformed, "makes a dictionary of what is no list of pairs");
      pairs.insert(pairs.end(), out_.items_of(pair).begin(), out_.items_of(pair).end());
      if (pairs.size() > kMaxStack) return fail(kLimit, "makes too large a dictionary");
    }
    // Copies are charged: the same list may be turned into dictionaries many times.
    if ((copied_ += pairs.size()) > kMaxOpcodes) return fail(kLimit, "copies too many values");
  }
  n.slot = static_cast<uint32_t>(out_.items.size());
  out_.items.push_back(std::move(pairs));
  return push(n);
}

// BUILD sets attributes: `_metadata` of a state dict. They are dropped.
Result<void> PickleMachine::build() {
  if (available() < 2) return underflow();
  const Node& state = out_.nodes[pop()];
  const Node& object = out_.nodes[stack_.back()];
  if (object.kind != Kind::dict || state.kind != Kind::dict)
    return fail(kForbidden, "sets attributes of what is no dictionary");
  return {};
}

// ('storage', type, key, location, count[, view])
Result<void> PickleMachine::persistent() {
  if (available() < 1) return underflow();
  const Node& id = out_.nodes[pop()];
  if (id.kind != Kind::tuple) return fail(kMalformed, "refers to a storage in an unknown form");
  const auto& args = out_.items[id.slot];
  const auto node = [&](size_t i) -> const Node& { return out_.nodes[args[i]]; };
  if (args.size() < 5 || args.size() > 6 || node(0).kind != Kind::string ||
      node(0).text != "storage" || node(1).kind != Kind::global ||
      node(1).global != Global::storage || node(2).kind != Kind::string ||
      node(4).kind != Kind::integer || node(4).integer < 0)
    return fail(kMalformed, "refers to a storage in an unknown form");
  if (args.size() == 6 && node(5).kind != Kind::none)
    return fail(kForbidden,
                "holds a view into another storage, a form PyTorch gave up in 2017; "
                "load and save the file again with a newer PyTorch");
  return storage({node(1).type, node(2).text, node(4).integer});
}

Result<void> PickleMachine::storage(const PickleStorage& s) {
  const auto [found, is_new] =
      by_key_.try_emplace(s.key, static_cast<uint32_t>(out_.storages.size()));
  if (is_new) out_.storages.push_back(s);
  const PickleStorage& first = out_.storages[found->second];
  if (first.type != s.type || first.count != s.count)
    return fail(kMalformed, "describes storage '" + printable(s.key) + "' in two ways");
  Node n;
  n.kind = Kind::storage;
  n.slot = found->second;
  return push(n);
}

bool PickleMachine::dims(PickleId id, std::vector<int64_t>* out) const {
  const Kind kind = out_.nodes[id].kind;
  if (kind != Kind::tuple && kind != Kind::list) return false;
  const auto list = out_.items_of(id);
  if (list.size() > 8) return false;
  for (const PickleId d : list) {
    if (out_.nodes[d].kind != Kind::integer || out_.nodes[d].integer < 0) return false;
    out->push_back(out_.nodes[d].integer);
  }
  return true;
}

// _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata]). The last
// element touched, offset + sum (size - 1) * stride, must lie inside the storage, and there may
// not be more elements than the storage has: no stride-0 tensor may grow in memory.
Result<void> PickleMachine::tensor(std::span<const PickleId> args) {
  PickleTensor t;
  if (args.size() < 4 || out_.nodes[args[0]].kind != Kind::storage ||
      out_.nodes[args[1]].kind != Kind::integer || out_.nodes[args[1]].integer < 0 ||
      !dims(args[2], &t.shape) || !dims(args[3], &t.strides) || t.shape.size() != t.strides.size())
    return fail(kMalformed, "describes a tensor in an unknown form");
  t.storage = out_.nodes[args[0]].slot;
  t.offset = out_.nodes[args[1]].integer;
  if (out_.tensors.size() == kMaxTensors) return fail(kLimit, "holds more than 100 000 tensors");
  const uint64_t held = static_cast<uint64_t>(out_.storages[t.storage].count);
  CheckedSize last = static_cast<uint64_t>(t.offset), elements = 1;
  bool is_empty = false;
  for (size_t i = 0; i < t.shape.size(); ++i) {
    if (t.shape[i] == 0) {
      is_empty = true;
      continue;
    }
    if (t.shape[i] == 1) t.strides[i] = 0;  // never taken, and could be of any size
    elements = elements * static_cast<uint64_t>(t.shape[i]);
    last = last +
           CheckedSize(static_cast<uint64_t>(t.shape[i] - 1)) * static_cast<uint64_t>(t.strides[i]);
  }
  if (!is_empty && (held == 0 || !last.get(held - 1) || !elements.get(held)))
    return fail(kMalformed, "describes a tensor that reaches outside its storage of " +
                                std::to_string(held) + " elements");
  Node n;
  n.kind = Kind::tensor;
  n.slot = static_cast<uint32_t>(out_.tensors.size());
  out_.tensors.push_back(std::move(t));
  return push(n);
}

}  // namespace qrt::import
