// Real models and data for tests that want them: the folder QRT_DATA names.
// Absent, such tests say so and pass. The .npy reader here trusts its files.
#ifndef QRT_TESTS_SUPPORT_REAL_DATA_H_
#define QRT_TESTS_SUPPORT_REAL_DATA_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace qrt::test {

// The path of a file under QRT_DATA; empty if the variable is not set.
inline std::string real_data(const std::string& file) {
  const char* folder = std::getenv("QRT_DATA");
  return folder && *folder ? std::string(folder) + "/" + file : std::string();
}

struct NpyFloats {
  std::vector<int64_t> shape;
  std::vector<float> data;
};

// A little-endian C-order file of f4, i8 or i1, as floats.
inline NpyFloats read_npy(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  NpyFloats out;
  if (bytes.size() < 10) return out;
  const size_t start = 10 + static_cast<uint8_t>(bytes[8]) + 256 * static_cast<uint8_t>(bytes[9]);
  const std::string header = bytes.substr(10, start - 10);
  const char* at = header.c_str() + header.find('(', header.find("shape")) + 1;
  size_t count = 1;
  for (char* end = nullptr; *at != ')'; at = end + std::strspn(end, ", ")) {
    out.shape.push_back(std::strtoll(at, &end, 10));
    count *= static_cast<size_t>(out.shape.back());
  }
  out.data.resize(count);
  const auto numbers = [&](auto value) {
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(&value, bytes.data() + start + i * sizeof value, sizeof value);
      out.data[i] = static_cast<float>(value);
    }
  };
  if (header.find("f4") != std::string::npos)
    numbers(float{});
  else if (header.find("<i8") != std::string::npos)
    numbers(int64_t{});
  else if (header.find("<i4") != std::string::npos)
    numbers(int32_t{});
  else if (header.find("u1") != std::string::npos)
    numbers(uint8_t{});
  else
    numbers(int8_t{});
  return out;
}

// Writes f32 rows as the reader above takes them.
inline void write_npy(const std::string& path, const NpyFloats& rows) {
  std::string head = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (int64_t dim : rows.shape) head += std::to_string(dim) + ", ";
  head += "), }";
  std::ofstream file(path, std::ios::binary);
  file << "\x93NUMPY" << '\1' << '\0' << static_cast<char>(head.size()) << '\0' << head;
  file.write(reinterpret_cast<const char*>(rows.data.data()),
             static_cast<std::streamsize>(4 * rows.data.size()));
}

// The first `count` rows.
inline NpyFloats first_rows(NpyFloats rows, int64_t count) {
  rows.data.resize(rows.data.size() / static_cast<size_t>(rows.shape[0]) *
                   static_cast<size_t>(count));
  rows.shape[0] = count;
  return rows;
}

// Largest difference relative to the largest expected magnitude; infinite where sizes differ.
inline double relative_error(const std::vector<float>& got, const std::vector<float>& want) {
  if (got.size() != want.size() || got.empty()) return 1e30;
  double difference = 0, magnitude = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double d = static_cast<double>(got[i]) - want[i];
    difference = d != d ? 1e30 : std::max(difference, d < 0 ? -d : d);
    magnitude = std::max(magnitude, static_cast<double>(want[i] < 0 ? -want[i] : want[i]));
  }
  return difference / magnitude;
}

}  // namespace qrt::test

#endif  // QRT_TESTS_SUPPORT_REAL_DATA_H_
