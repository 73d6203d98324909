// Files as the tools need them: whole small files in, mapped models, and outputs
// that appear under their name only when they are complete.
#ifndef QRT_RUNTIME_TOOLS_IO_FILES_H_
#define QRT_RUNTIME_TOOLS_IO_FILES_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace qrt::io {

// Reads all of a regular file of at most `limit` bytes. Throws ToolError 401.
std::vector<uint8_t> read_file(const std::string& path, uint64_t limit);

// A file mapped read-only; unmapped at the end. Throws ToolError 401.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// Writes to "PATH.partial-PID" and renames it at commit(), so that nobody ever
// sees half a file; without commit() nothing is left behind. Devices and pipes
// are written directly. Throws ToolError 402.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  void write(const void* data, size_t bytes);
  void write(const std::string& text) { write(text.data(), text.size()); }
  void commit();

 private:
  [[noreturn]] void fail(const char* what) const;
  std::string path_, partial_;  // partial_ empty: written directly
  std::FILE* file_ = nullptr;
};

// Ctrl-C, kill and a closed terminal end the process as ever, but leave no partial file behind.
void remove_partials_when_interrupted();

// True when both paths lead to one existing file, by whatever names or links.
bool same_file(const std::string& a, const std::string& b);

// Checks that `path` could be created, before hours of work go into it. Throws 402.
void check_writable(const std::string& path);

}  // namespace qrt::io

#endif  // QRT_RUNTIME_TOOLS_IO_FILES_H_
