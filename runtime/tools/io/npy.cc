// Reading and writing the data behind .npy headers (npy_header.cc parses those).
#include "runtime/tools/io/npy.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "runtime/base/checked.h"
#include "runtime/tensor/half.h"
#include "runtime/tools/io/error.h"

namespace qrt::io {
namespace {

// NumPy's own headers are below 128 bytes; the format's limit for version 1 is 64 KiB.
constexpr size_t kHeaderLimit = size_t{12} + 65536;

uint64_t file_bytes(std::FILE* file) {
  struct stat info {};
  return ::fstat(::fileno(file), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

}  // namespace

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ",") + std::to_string(shape[i]);
  return text + "]";
}

NpyReader::NpyReader(const std::string& path) : path_(path) {
  { MappedFile probe(path); }  // refuses directories, devices and empty files with one voice
  file_ = std::fopen(path.c_str(), "rb");
  if (file_ == nullptr)
    throw ToolError(401, path + ": cannot be read: " + std::strerror(errno) +
                             "; check the path and its permissions");
  try {
    std::vector<uint8_t> start(kHeaderLimit);
    start.resize(std::fread(start.data(), 1, start.size(), file_));
    header_ = parse_npy_header(start.data(), start.size(), path);
    const uint64_t found = file_bytes(file_);
    const auto want =
        (CheckedSize(header_.elements) * size_of(header_.type) + header_.data_offset).get();
    if (!want || found != *want)
      throw ToolError(416, path + ": the data does not fit the header: shape " +
                               shape_text(header_.shape) + " of " + name_of(header_.type) +
                               " needs " + (want ? std::to_string(*want) : "too many") +
                               " bytes, the file has " + std::to_string(found) +
                               "; it is truncated or damaged, write it again");
  } catch (...) {
    std::fclose(file_);
    throw;
  }
}

NpyReader::~NpyReader() {
  std::fclose(file_);
}

void NpyReader::read(uint64_t first, uint64_t count, void* out) {
  const size_t bytes = size_of(header_.type);
  const auto offset = static_cast<off_t>(header_.data_offset + first * bytes);
  if (::fseeko(file_, offset, SEEK_SET) != 0 ||
      std::fread(out, bytes, static_cast<size_t>(count), file_) != count)
    throw ToolError(416, path_ + ": element " + std::to_string(first) +
                             " cannot be read: the file shrank or the disk failed; write it again");
}

void NpyReader::read_f32(uint64_t first, uint64_t count, float* out) {
  if (header_.type == NpyType::f32) return read(first, count, out);
  constexpr uint64_t kChunk = 16384;
  const size_t bytes = size_of(header_.type);
  for (uint64_t done = 0; done < count; done += kChunk) {
    const uint64_t n = std::min(kChunk, count - done);
    buffer_.resize(static_cast<size_t>(n) * bytes);
    read(first + done, n, buffer_.data());
    for (uint64_t i = 0; i < n; ++i) {
      const uint8_t* p = buffer_.data() + i * bytes;
      if (header_.type == NpyType::f64) {
        double v;
        std::memcpy(&v, p, sizeof v);
        out[done + i] = static_cast<float>(v);
      } else {
        out[done + i] = qrt::half_to_float(static_cast<uint16_t>(p[0] | p[1] << 8));
      }
    }
  }
}

NpyWriter::NpyWriter(const std::string& path, NpyType type, const std::vector<int64_t>& shape)
    : file_(path), element_bytes_(size_of(type)) {
  const char* descr[] = {"<f4", "<f2", "|i1", "|u1", "<i4", "<i8", "|b1", "<f8"};
  std::string text = std::string("{'descr': '") + descr[static_cast<size_t>(type)] +
                     "', 'fortran_order': False, 'shape': (";
  for (int64_t d : shape) text += std::to_string(d) + ", ";
  text += "), }";
  // Data starts on a multiple of 64; the header ends with a newline.
  while ((10 + text.size() + 1) % 64 != 0) text += ' ';
  text += '\n';
  const uint8_t start[10] = {0x93,
                             'N',
                             'U',
                             'M',
                             'P',
                             'Y',
                             1,
                             0,
                             static_cast<uint8_t>(text.size() & 255),
                             static_cast<uint8_t>(text.size() >> 8)};
  file_.write(start, sizeof start);
  file_.write(text);
}

void NpyWriter::write(const void* elements, uint64_t count) {
  file_.write(elements, static_cast<size_t>(count) * element_bytes_);
}

}  // namespace qrt::io
