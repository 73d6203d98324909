// A file as read-only memory. Whoever may write the file while it is mapped can
// change or cut what a session reads: give libqrt files that only trusted users
// write, or read the bytes yourself and pass them to qrt_model_open_memory.
#ifndef QRT_RUNTIME_MODEL_MAPPING_H_
#define QRT_RUNTIME_MODEL_MAPPING_H_

#include "runtime/base/status.h"
#include "runtime/model/model.h"

namespace qrt {

class FileMapping {
 public:
  FileMapping() = default;
  ~FileMapping();
  FileMapping(const FileMapping&) = delete;
  FileMapping& operator=(const FileMapping&) = delete;

  // Regular files of 1 byte to 2 GiB - 1; never blocks on a pipe, never follows
  // anything but the path itself.
  Status open(const char* path);
  Bytes bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

}  // namespace qrt

#endif  // QRT_RUNTIME_MODEL_MAPPING_H_
