// A restricted reader of Python pickles, as PyTorch writes them. A pickle is a
// program for a stack machine that may name any function and call it; this one
// knows a fixed list of opcodes and of names, and nothing is ever called: the
// three functions a tensor needs are understood as data. Everything else is
// refused with its name and byte offset. Time and memory are linear in the bytes
// read, and the values form a flat pool, so nesting costs no stack.
#ifndef QRT_CONVERTER_IMPORT_PICKLE_H_
#define QRT_CONVERTER_IMPORT_PICKLE_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "converter/base/result.h"

namespace qrt::import {

// Element types of tensors, by the storage names of PyTorch.
enum class TorchType { f64, f32, f16, bf16, u8, i8, i16, i32, i64, boolean };
size_t bytes_of(TorchType);
const char* name_of(TorchType);

// The names a pickle may mention.
enum class Global { rebuild_tensor, rebuild_parameter, ordered_dict, storage };

using PickleId = uint32_t;  // index into Pickle's pool

struct PickleStorage {
  TorchType type;
  std::string_view key;  // names the raw data in the container
  int64_t count;         // elements the pickle claims
};

struct PickleTensor {
  uint32_t storage;  // index into Pickle::storages
  int64_t offset;    // elements
  std::vector<int64_t> shape, strides;
};

// What a pickle means. Strings and big integers are views into the bytes given to read_pickle.
class Pickle {
 public:
  enum class Kind {
    none,
    boolean,
    integer,
    big_integer,
    real,
    string,
    tuple,
    list,
    dict,
    global,
    storage,
    tensor
  };
  struct Node {
    Kind kind = Kind::none;
    Global global = Global::storage;  // global
    TorchType type = TorchType::f32;  // global of a storage
    uint32_t slot = 0;                // into items, storages or tensors
    int64_t integer = 0;              // integer, boolean
    double real = 0;
    std::string_view text;  // string, big_integer (little-endian two's complement)
  };

  const Node& node(PickleId id) const { return nodes[id]; }
  // Elements of a tuple or list; key, value, key, value, ... of a dict.
  std::span<const PickleId> items_of(PickleId id) const { return items[nodes[id].slot]; }
  const PickleTensor& tensor_of(PickleId id) const { return tensors[nodes[id].slot]; }
  // The value of a string key in a dict; the last one where it repeats. False: there is none.
  bool find(PickleId dict, std::string_view key, PickleId* value) const;

  std::vector<Node> nodes;
  std::vector<std::vector<PickleId>> items;
  std::vector<PickleStorage> storages;  // each key once
  std::vector<PickleTensor> tensors;
  PickleId root = 0;
  size_t end = 0;  // offset behind STOP, counted as `base` counts
};

// Reads one pickle from the front of `bytes`, which must outlive the result. `base` is the offset
// of bytes[0] in the file, for messages. Errors: QRT-E0652 (cut short or malformed), QRT-E0653
// (an opcode, name or call outside the list), QRT-E0654 (a limit).
Result<Pickle> read_pickle(std::span<const uint8_t> bytes, size_t base);

}  // namespace qrt::import

#endif  // QRT_CONVERTER_IMPORT_PICKLE_H_
