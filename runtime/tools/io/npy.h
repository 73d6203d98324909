// NumPy's .npy files, versions 1 to 3, little-endian and C-order: read piece by
// piece (a file may be larger than memory) or whole, written piece by piece.
// Files are hostile: every size is checked before it is used.
#ifndef QRT_RUNTIME_TOOLS_IO_NPY_H_
#define QRT_RUNTIME_TOOLS_IO_NPY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/tools/io/files.h"

namespace qrt::io {

// Element types of .npy files; the first seven are those of qrt.h.
enum class NpyType : uint8_t { f32, f16, i8, u8, i32, i64, boolean, f64 };
size_t size_of(NpyType);
const char* name_of(NpyType);  // "float32", ...: NumPy's names

struct NpyHeader {
  NpyType type = NpyType::f32;
  std::vector<int64_t> shape;  // each >= 0; empty: a scalar
  uint64_t elements = 1;
  uint64_t data_offset = 0;
};

// Parses what stands before the data. `bytes` holds the file's beginning, the whole
// header at least (npy_header_bytes says how long that is); `where` is the file's name
// for messages. Throws ToolError 410..415.
NpyHeader parse_npy_header(const uint8_t* bytes, size_t size, const std::string& where);

// An open .npy file. Throws ToolError 401, 410..416.
class NpyReader {
 public:
  explicit NpyReader(const std::string& path);
  ~NpyReader();
  NpyReader(const NpyReader&) = delete;
  NpyReader& operator=(const NpyReader&) = delete;

  const std::string& path() const { return path_; }
  const NpyHeader& header() const { return header_; }
  NpyType type() const { return header_.type; }
  const std::vector<int64_t>& shape() const { return header_.shape; }
  // Copies elements [first, first + count) as they are stored.
  void read(uint64_t first, uint64_t count, void* out);
  // The same, converted to floats; for f32, f16 and f64 files only.
  void read_f32(uint64_t first, uint64_t count, float* out);

 private:
  std::string path_;
  std::FILE* file_ = nullptr;
  NpyHeader header_;
  std::vector<uint8_t> buffer_;
};

// Writes a version 1 file of a shape known beforehand; give exactly its elements to
// write(), then commit(). Throws ToolError 402.
class NpyWriter {
 public:
  NpyWriter(const std::string& path, NpyType type, const std::vector<int64_t>& shape);
  void write(const void* elements, uint64_t count);
  void commit() { file_.commit(); }

 private:
  OutputFile file_;
  size_t element_bytes_;
};

std::string shape_text(const std::vector<int64_t>& shape);  // "[1,3,224,224]"

}  // namespace qrt::io

#endif  // QRT_RUNTIME_TOOLS_IO_NPY_H_
