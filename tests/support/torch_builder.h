// Writes small files of torch.save byte by byte, valid ones and wrong ones, so
// that tests need neither Python nor binary fixtures.
#ifndef QRT_TESTS_SUPPORT_TORCH_BUILDER_H_
#define QRT_TESTS_SUPPORT_TORCH_BUILDER_H_

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wrestrict"  // false positives of GCC 12 on string + (bug 105329)
#endif

namespace qrt::test {

inline std::string little(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(i < 8 ? value >> (8 * i) & 0xff : 0);
  return out;
}
inline std::string py_int(int64_t v) {
  return "J" + little(static_cast<uint64_t>(v), 4);
}
inline std::string py_str(const std::string& s) {
  return std::string(1, 'X') + little(s.size(), 4) + s;
}
inline std::string py_global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string py_tuple(const std::vector<std::string>& items) {
  std::string out = "(";
  for (const auto& i : items) out += i;
  out += 't';
  return out;
}
inline std::string py_ints(const std::vector<int64_t>& v) {
  std::vector<std::string> items;
  for (const int64_t i : v) items.push_back(py_int(i));
  return py_tuple(items);
}
inline std::string py_dict(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string out = "}(";
  for (const auto& [key, value] : pairs) out += py_str(key) + value;
  return out + "u";
}
inline std::string pickled(const std::string& body) {
  return "\x80\x02" + body + ".";
}

template <class T>
std::string raw(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}
inline std::span<const uint8_t> bytes_of(const std::string& s) {
  return {reinterpret_cast<const uint8_t*>(s.data()), s.size()};
}

// A checkpoint under construction: tensors add their storages, the object is a pickle body.
struct TorchBuilder {
  struct Storage {
    std::string key, data;
    int64_t count;
  };
  std::vector<Storage> storages;

  // The pickle body of a tensor over a storage of its own. `strides` empty: dense.
  std::string tensor(const std::string& type, const std::vector<int64_t>& shape, int64_t count,
                     const std::string& data, std::vector<int64_t> strides = {},
                     int64_t offset = 0) {
    const std::string key = std::to_string(storages.size());
    storages.push_back({key, data, count});
    if (strides.empty()) {
      strides.resize(shape.size());
      int64_t s = 1;
      for (size_t i = shape.size(); i-- > 0; s *= shape[i]) strides[i] = s;
    }
    return py_global("torch._utils", "_rebuild_tensor_v2") +
           py_tuple({py_tuple({py_str("storage"), py_global("torch", type), py_str(key),
                               py_str("cpu"), py_int(count)}) +
                         "Q",
                     py_int(offset), py_ints(shape), py_ints(strides), "\x89",
                     py_global("collections", "OrderedDict") + ")R"}) +
           "R";
  }
  std::string floats(const std::vector<int64_t>& shape, const std::vector<float>& v) {
    return tensor("FloatStorage", shape, static_cast<int64_t>(v.size()), raw(v));
  }
  std::string bytes(const std::vector<int64_t>& shape, const std::vector<uint8_t>& v) {
    return tensor("ByteStorage", shape, static_cast<int64_t>(v.size()), raw(v));
  }

  // Storages an object does not mention do not reach its file.
  static bool mentions(const std::string& object, const Storage& s) {
    return object.find(py_str(s.key) + py_str("cpu")) != std::string::npos;
  }

  // The legacy container.
  std::string stream(const std::string& object) const {
    std::string out = pickled("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
    out += pickled(py_int(1001)) + pickled(py_dict({{"little_endian", "\x88"}})) + pickled(object);
    std::string keys = "](";
    for (const auto& s : storages)
      if (mentions(object, s)) keys += py_str(s.key);
    out += pickled(keys + "e");
    for (const auto& s : storages)
      if (mentions(object, s)) out += little(static_cast<uint64_t>(s.count), 8) + s.data;
    return out;
  }

  static uint32_t crc32(const std::string& data) {
    uint32_t crc = ~0u;
    for (const char c : data) {
      crc ^= static_cast<uint8_t>(c);
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0u);
    }
    return ~crc;
  }

  // The zip container, entries stored (or claimed to be compressed by `method`).
  std::string archive(const std::string& object, int method = 0) const {
    std::vector<std::pair<std::string, std::string>> files = {{"m/data.pkl", pickled(object)},
                                                              {"m/version", "3\n"}};
    for (const auto& s : storages) files.push_back({"m/data/" + s.key, s.data});
    std::string out, directory;
    for (const auto& [name, data] : files) {
      const std::string common = little(static_cast<uint64_t>(method), 2) + little(0, 4) +
                                 little(crc32(data), 4) + little(data.size(), 4) +
                                 little(data.size(), 4) + little(name.size(), 2);
      directory += little(0x02014b50, 4) + little(0, 2) + little(0, 4) + common + little(0, 12) +
                   little(out.size(), 4) + name;
      out += little(0x04034b50, 4) + little(0, 4) + common + little(5, 2) + name + "extra" + data;
    }
    return out + directory + little(0x06054b50, 4) + little(0, 4) + little(files.size(), 2) +
           little(files.size(), 2) + little(directory.size(), 4) + little(out.size(), 4) +
           little(0, 2);
  }
};

}  // namespace qrt::test

#endif  // QRT_TESTS_SUPPORT_TORCH_BUILDER_H_
