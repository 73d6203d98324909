// The work file: what a conversion has finished, kept beside its output until that
// is written, so that an interrupted run resumes where it stopped.
//
//   OUT.qrt.work = "QRTWORK1" identity[64] { key, value, sha256[64] }*
//
// Keys and values carry their length as 32 and 64 bits, little-endian. The identity
// is a fingerprint of model, data, options and program: a file of another one is
// started afresh. A record that was cut off by the interruption fails its checksum
// and is cut away.
#ifndef QRT_CONVERTER_CLI_WORK_FILE_H_
#define QRT_CONVERTER_CLI_WORK_FILE_H_

#include <cstdint>
#include <map>
#include <string>

#include "converter/quant/control.h"

namespace qrt::cli {

class WorkFile : public quant::Journal {
 public:
  // Opens or creates `path` and locks it for this process. `identity` has 64 characters. Throws
  // ToolError 492 when another process holds the lock, 493 when `path` is something else than a
  // work file. Where it cannot be created or written, works without one: see trouble().
  WorkFile(const std::string& path, const std::string& identity);
  // Closes the file. What it holds stays on disk for the next run unless discard() was called or
  // nothing was recorded.
  ~WorkFile() override;
  WorkFile(const WorkFile&) = delete;
  WorkFile& operator=(const WorkFile&) = delete;

  const std::string* find(const std::string& key) const override;
  void record(const std::string& key, const std::string& value) override;

  void discard();                        // nobody will resume this run: the file goes away
  size_t kept() const { return kept_; }  // results of an earlier run that were found
  const std::string& path() const { return path_; }
  const std::string& trouble() const { return trouble_; }  // why nothing is recorded; "" if it is

 private:
  bool open();                             // false: trouble_ says why there is no file
  void load(const std::string& identity);  // records of an earlier run
  void give_up(const char* what);

  std::string path_, trouble_;
  int fd_ = -1;
  uint64_t size_ = 0;  // bytes of the header and all whole records
  size_t kept_ = 0;
  bool discarded_ = false;
  std::map<std::string, std::string> records_;
};

}  // namespace qrt::cli

#endif  // QRT_CONVERTER_CLI_WORK_FILE_H_
