// PKWARE APPNOTE 4.3: an archive is read from its end. The end record names the
// central directory, whose entries name local headers, whose data follows them.
// Every offset is checked against the file before it is used, and the local
// header must agree with the directory: two readers must not see two archives.
#include "converter/import/zip.h"

#include <algorithm>
#include <array>
#include <string>

namespace qrt::import {
namespace {

constexpr int kDamaged = 655;
constexpr int kUnsupported = 656;
constexpr size_t kEndBytes = 22, kCentralBytes = 46, kLocalBytes = 30;
constexpr size_t kEnd64Bytes = 56 + 20;  // the record and its locator
constexpr uint32_t kEnd64Mark = 0x06064b50;
constexpr uint32_t kEndMark = 0x06054b50, kCentralMark = 0x02014b50, kLocalMark = 0x04034b50;

using Bytes = std::span<const uint8_t>;

Error damaged(size_t at, const std::string& what) {
  return Error{kDamaged, "zip archive at byte " + std::to_string(at) + ": " + what +
                             "; the file is damaged or cut short, fetch it again"};
}

Error unsupported(size_t at, const std::string& what) {
  return Error{kUnsupported, "zip archive at byte " + std::to_string(at) + ": " + what +
                                 "; torch.save writes plain stored archives, save it that way"};
}

uint32_t u16(Bytes b, size_t at) {
  return b[at] | uint32_t{b[at + 1]} << 8;
}
uint32_t u32(Bytes b, size_t at) {
  return u16(b, at) | u16(b, at + 2) << 16;
}

std::string_view name_at(Bytes b, size_t at, size_t length) {
  return {reinterpret_cast<const char*>(b.data()) + at, length};
}

// CRC-32 of IEEE 802.3, reflected, one byte per step.
uint32_t crc32(Bytes bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> t{};
    for (uint32_t i = 0; i < 256; ++i) {
      t[i] = i;
      for (int bit = 0; bit < 8; ++bit) t[i] = (t[i] >> 1) ^ (t[i] & 1 ? 0xedb88320u : 0u);
    }
    return t;
  }();
  uint32_t crc = ~0u;
  for (const uint8_t b : bytes) crc = table[(crc ^ b) & 0xff] ^ (crc >> 8);
  return ~crc;
}

// The end record stands in the last 22 bytes, or earlier if a comment follows it.
bool find_end(Bytes file, size_t* at) {
  if (file.size() < kEndBytes) return false;
  const size_t last = file.size() - kEndBytes;
  const size_t first = last - std::min<size_t>(last, 0xffff);
  for (size_t i = last + 1; i-- > first;) {
    if (u32(file, i) != kEndMark || i + kEndBytes + u16(file, i + 20) != file.size()) continue;
    *at = i;
    return true;
  }
  return false;
}

// The entry whose central header stands at `at`; data must end before `directory`.
Result<ZipEntry> read_entry(Bytes file, size_t at, size_t directory) {
  const uint32_t flags = u16(file, at + 8), method = u16(file, at + 10);
  const uint32_t crc = u32(file, at + 16), packed = u32(file, at + 20), size = u32(file, at + 24);
  const size_t local = u32(file, at + 42), name_length = u16(file, at + 28);
  const std::string_view name = name_at(file, at + kCentralBytes, name_length);
  if (flags & 0x41) return unsupported(at, "an entry is encrypted");
  if (method != 0)
    return unsupported(at, "an entry is compressed (method " + std::to_string(method) + ")");
  if (packed == 0xffffffff || size == 0xffffffff || local == 0xffffffff)
    return unsupported(at, "an entry needs ZIP64");
  if (packed != size) return damaged(at, "a stored entry has two sizes");
  if (local > directory || directory - local < kLocalBytes || u32(file, local) != kLocalMark)
    return damaged(at, "an entry points to no local header");
  const size_t head = kLocalBytes + u16(file, local + 26) + u16(file, local + 28);
  if (directory - local < head || directory - local - head < size)
    return damaged(local, "an entry reaches into the directory");
  if (u16(file, local + 8) != method ||
      name_at(file, local + kLocalBytes, u16(file, local + 26)) != name)
    return damaged(local, "a local header disagrees with the directory");
  const ZipEntry entry{name, file.subspan(local + head, size)};
  if (crc32(entry.bytes) != crc) return damaged(local + head, "the checksum of an entry is wrong");
  return entry;
}

}  // namespace

bool looks_like_zip(Bytes file) {
  return file.size() >= 4 && u32(file, 0) == kLocalMark;
}

Result<std::vector<ZipEntry>> read_zip(Bytes file) {
  size_t end = 0;
  if (!find_end(file, &end)) return damaged(file.size(), "it has no end record");
  const size_t count = u16(file, end + 10), bytes = u32(file, end + 12);
  const size_t directory = u32(file, end + 16);
  if (u16(file, end + 4) != 0 || u16(file, end + 6) != 0 || u16(file, end + 8) != count)
    return unsupported(end, "it is split over several files");
  if (directory == 0xffffffff || count == 0xffff) return unsupported(end, "it needs ZIP64");
  if (directory > end || bytes > end - directory)
    return damaged(end, "its directory lies outside the file");
  // PyTorch puts ZIP64's version of the end record in between whether it is needed or not.
  const size_t gap = end - directory - bytes;
  if (gap != 0 && (gap != kEnd64Bytes || u32(file, end - gap) != kEnd64Mark))
    return damaged(end - gap, "unknown bytes follow the directory");
  std::vector<ZipEntry> entries;
  size_t at = directory, total = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t left = directory + bytes - at;
    if (left < kCentralBytes || u32(file, at) != kCentralMark)
      return damaged(at, "its directory ends before entry " + std::to_string(i));
    const size_t length =
        kCentralBytes + u16(file, at + 28) + u16(file, at + 30) + u16(file, at + 32);
    if (left < length) return damaged(at, "its directory is cut inside an entry");
    auto entry = read_entry(file, at, directory);
    if (!entry.ok()) return entry.error();
    // Entries that share bytes would be read, and paid for, many times over.
    if ((total += entry->bytes.size() + kLocalBytes) > directory)
      return damaged(at, "its entries overlap");
    entries.push_back(*entry);
    at += length;
  }
  return entries;
}

}  // namespace qrt::import
