// Containers of torch.save. The legacy stream, all little-endian:
//   pickle: magic number     pickle: 1001     pickle: {little_endian, type sizes}
//   pickle: the object       pickle: [storage key, ...]
//   then per key, in that order: int64 element count, raw elements.
// The zip archive: <name>/data.pkl, <name>/data/<key> for every storage, and small
// files (version, byteorder) that say nothing the pickle does not.
#include "converter/import/torch_file.h"

#include <bit>
#include <cstring>
#include <string_view>
#include <unordered_map>

#include "converter/base/half.h"
#include "converter/import/zip.h"
#include "runtime/base/checked.h"

namespace qrt::import {
namespace {

constexpr int kForeign = 651;
constexpr int kContainer = 655;
constexpr int kTensor = 657;

using Bytes = std::span<const uint8_t>;
using Kind = Pickle::Kind;

Error damaged(size_t at, const std::string& what) {
  return Error{kContainer, "checkpoint at byte " + std::to_string(at) + ": " + what +
                               "; the file is damaged or cut short, fetch it again"};
}

Error foreign(const std::string& found) {
  return Error{kForeign, "this is no PyTorch checkpoint: " + found +
                             "; a file of torch.save(model.state_dict(), ...) is expected"};
}

std::string quoted(std::string_view key) {
  std::string out = "'";
  for (const char c : key.substr(0, 60)) out += c >= 0x20 && c < 0x7f ? c : '?';
  return out + "'";
}

uint64_t u64(Bytes b, size_t at) {
  uint64_t v = 0;
  for (size_t i = 8; i-- > 0;) v = (v << 8) | b[at + i];
  return v;
}

// ---- the stream of pickles -------------------------------------------------------------------

// 0x1950a86a20f9469cfc6c, the magic number of torch.save, as the pickle writes it.
constexpr uint8_t kMagic[] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

Result<void> check_preamble(Bytes file, size_t* at) {
  auto magic = read_pickle(file, 0);
  if (!magic.ok()) return magic.error();
  const Pickle::Node& m = magic->node(magic->root);
  if (m.kind != Kind::big_integer || m.text.size() != sizeof(kMagic) ||
      std::memcmp(m.text.data(), kMagic, sizeof(kMagic)) != 0)
    return foreign("its first pickle is not the magic number of torch.save");
  auto version = read_pickle(file.subspan(magic->end), magic->end);
  if (!version.ok()) return version.error();
  const Pickle::Node& v = version->node(version->root);
  if (v.kind != Kind::integer || v.integer != 1001)
    return foreign("its protocol version is not 1001");
  auto system = read_pickle(file.subspan(version->end), version->end);
  if (!system.ok()) return system.error();
  PickleId little;
  if (!system->find(system->root, "little_endian", &little) ||
      system->node(little).kind != Kind::boolean || system->node(little).integer != 1)
    return foreign("it was not written by a little-endian machine");
  *at = system->end;
  return {};
}

Result<TorchFile> open_stream(Bytes file) {
  size_t at = 0;
  QRT_CHECK_OK(check_preamble(file, &at));
  auto object = read_pickle(file.subspan(at), at);
  if (!object.ok()) return object.error();
  const size_t keys_at = object->end;
  auto keys = read_pickle(file.subspan(keys_at), keys_at);
  if (!keys.ok()) return keys.error();
  if (keys->node(keys->root).kind != Kind::list)
    return damaged(keys_at, "the list of storages is missing");
  TorchFile out;
  out.pickle = std::move(*object);
  const std::vector<PickleStorage>& storages = out.pickle.storages;
  std::unordered_map<std::string_view, size_t> slots;
  for (size_t i = 0; i < storages.size(); ++i) slots[storages[i].key] = i;
  out.data.resize(storages.size());
  std::vector<bool> seen(storages.size(), false);
  at = keys->end;
  for (const PickleId id : keys->items_of(keys->root)) {
    const auto slot = slots.find(keys->node(id).text);
    if (slot == slots.end() || seen[slot->second])
      return damaged(at, "storage " + quoted(keys->node(id).text) + " is unknown or there twice");
    const PickleStorage& s = storages[slot->second];
    if (file.size() - at < 8) return damaged(at, "storage " + quoted(s.key) + " is missing");
    const uint64_t count = u64(file, at);
    at += 8;
    if (count != static_cast<uint64_t>(s.count))
      return damaged(at - 8, "storage " + quoted(s.key) + " has " + std::to_string(count) +
                                 " elements where the pickle says " + std::to_string(s.count));
    const auto bytes = (CheckedSize(count) * bytes_of(s.type)).get(file.size() - at);
    if (!bytes) return damaged(at, "storage " + quoted(s.key) + " reaches behind the end");
    out.data[slot->second] = file.subspan(at, *bytes);
    seen[slot->second] = true;
    at += *bytes;
  }
  for (size_t i = 0; i < storages.size(); ++i)
    if (!seen[i]) return damaged(at, "storage " + quoted(storages[i].key) + " is missing");
  if (at != file.size())
    return damaged(at, std::to_string(file.size() - at) + " bytes follow the last storage");
  return out;
}

// ---- the zip archive ---------------------------------------------------------------------------

Result<TorchFile> open_archive(Bytes file) {
  auto entries = read_zip(file);
  if (!entries.ok()) return entries.error();
  std::unordered_map<std::string_view, Bytes> by_name;
  std::string_view pickle_name;
  constexpr std::string_view kObject = "/data.pkl";
  for (const ZipEntry& e : *entries) {
    const size_t at = static_cast<size_t>(e.bytes.data() - file.data());
    if (!by_name.emplace(e.name, e.bytes).second)
      return damaged(at, "the archive holds " + quoted(e.name) + " twice");
    if (!e.name.ends_with(kObject)) continue;
    if (!pickle_name.empty()) return damaged(at, "the archive holds two objects");
    pickle_name = e.name;
  }
  if (pickle_name.empty()) return foreign("it is a zip archive without a data.pkl");
  const std::string folder(pickle_name.substr(0, pickle_name.size() - kObject.size() + 1));
  const auto order = by_name.find(folder + "byteorder");
  if (order != by_name.end() &&
      std::string_view(reinterpret_cast<const char*>(order->second.data()), order->second.size()) !=
          "little")
    return foreign("it was not written by a little-endian machine");
  const Bytes bytes = by_name[pickle_name];
  auto object = read_pickle(bytes, static_cast<size_t>(bytes.data() - file.data()));
  if (!object.ok()) return object.error();
  TorchFile out;
  out.pickle = std::move(*object);
  for (const PickleStorage& s : out.pickle.storages) {
    const auto found = by_name.find(folder + "data/" + std::string(s.key));
    if (found == by_name.end())
      return damaged(file.size(), "storage " + quoted(s.key) + " is missing from the archive");
    const auto want = (CheckedSize(static_cast<uint64_t>(s.count)) * bytes_of(s.type)).get();
    if (!want || *want != found->second.size())
      return damaged(static_cast<size_t>(found->second.data() - file.data()),
                     "storage " + quoted(s.key) + " has " + std::to_string(found->second.size()) +
                         " bytes where the pickle says " + std::to_string(s.count) + " x " +
                         name_of(s.type));
    out.data.push_back(found->second);
  }
  return out;
}

// ---- elements ----------------------------------------------------------------------------------

// Calls fn(index of the element in its storage) in row-major order.
template <class Fn>
void each_element(const PickleTensor& t, int64_t elements, Fn fn) {
  std::vector<int64_t> at(t.shape.size(), 0);
  int64_t position = t.offset;
  for (int64_t i = 0; i < elements; ++i) {
    fn(static_cast<size_t>(position));
    for (size_t axis = at.size(); axis-- > 0;) {
      position += t.strides[axis];
      if (++at[axis] < t.shape[axis]) break;
      position -= t.strides[axis] * t.shape[axis];
      at[axis] = 0;
    }
  }
}

template <class T>
T load(Bytes data, size_t index) {
  T value;
  std::memcpy(&value, data.data() + index * sizeof(T), sizeof(T));
  return value;
}

double number_at(Bytes data, TorchType type, size_t i) {
  switch (type) {
    case TorchType::f64:
      return load<double>(data, i);
    case TorchType::f32:
      return load<float>(data, i);
    case TorchType::f16:
      return half_to_float(load<uint16_t>(data, i));
    case TorchType::bf16:
      return std::bit_cast<float>(uint32_t{load<uint16_t>(data, i)} << 16);
    case TorchType::u8:
    case TorchType::boolean:
      return data[i];
    case TorchType::i8:
      return load<int8_t>(data, i);
    case TorchType::i16:
      return load<int16_t>(data, i);
    case TorchType::i32:
      return load<int32_t>(data, i);
    case TorchType::i64:
      return static_cast<double>(load<int64_t>(data, i));
  }
  return 0;
}

// Takes the tensor's elements out of the file's budget; shapes were checked by the unpickler.
Result<int64_t> charge(TorchFile& file, const PickleTensor& t) {
  int64_t elements = 1;
  for (const int64_t d : t.shape) {
    if (d == 0) return int64_t{0};
    elements *= d;  // <= the storage's count
  }
  if (static_cast<uint64_t>(elements) > file.budget)
    return Error{kTensor,
                 "its tensors share storages so often that they would outgrow the file; "
                 "save only the model's state_dict()"};
  file.budget -= static_cast<uint64_t>(elements);
  return elements;
}

}  // namespace

bool is_float(TorchType type) {
  return type == TorchType::f64 || type == TorchType::f32 || type == TorchType::f16 ||
         type == TorchType::bf16;
}

Result<TorchFile> open_torch_file(Bytes file) {
  if (file.size() < 2) return foreign("it has " + std::to_string(file.size()) + " bytes");
  if (!looks_like_zip(file) && file[0] != 0x80)
    return foreign("it begins neither like a pickle nor like a zip archive");
  auto out = looks_like_zip(file) ? open_archive(file) : open_stream(file);
  if (out.ok()) out->budget = file.size();
  return out;
}

Result<std::vector<float>> read_floats(TorchFile& file, PickleId id) {
  const PickleTensor& t = file.pickle.tensor_of(id);
  const auto elements = charge(file, t);
  if (!elements.ok()) return elements.error();
  const TorchType type = file.pickle.storages[t.storage].type;
  const Bytes data = file.data[t.storage];
  std::vector<float> out;
  out.reserve(static_cast<size_t>(*elements));
  each_element(t, *elements,
               [&](size_t i) { out.push_back(static_cast<float>(number_at(data, type, i))); });
  return out;
}

Result<std::vector<int64_t>> read_integers(TorchFile& file, PickleId id) {
  const PickleTensor& t = file.pickle.tensor_of(id);
  const TorchType type = file.pickle.storages[t.storage].type;
  if (is_float(type))
    return Error{kTensor,
                 std::string("a tensor of ") + name_of(type) + " stands where integers belong"};
  const auto elements = charge(file, t);
  if (!elements.ok()) return elements.error();
  const Bytes data = file.data[t.storage];
  std::vector<int64_t> out;
  out.reserve(static_cast<size_t>(*elements));
  each_element(t, *elements, [&](size_t i) {
    out.push_back(type == TorchType::i64 ? load<int64_t>(data, i)
                                         : static_cast<int64_t>(number_at(data, type, i)));
  });
  return out;
}

}  // namespace qrt::import
