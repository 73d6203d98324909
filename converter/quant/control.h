// How a long run is watched and resumed. A method tells its Progress how far it is,
// and gives every finished layer to its Journal, where an interrupted run finds it
// again. Keys are fingerprints of all that a result depends on (weights, settings,
// Gram matrix, seed), so a found result is the one that would be computed.
#ifndef QRT_CONVERTER_QUANT_CONTROL_H_
#define QRT_CONVERTER_QUANT_CONTROL_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "converter/quant/encoding.h"

namespace qrt::quant {

struct ProgressStep {
  double done = 0;       // share of the expected work, in [0, 1]; never falls
  double resumed = 0;    // what of it an earlier run had done
  std::string_view now;  // the layer or stage at work; lives only during the call
};
using Progress = std::function<void(const ProgressStep&)>;

// Results that outlive an interruption. Values are opaque to it.
class Journal {
 public:
  virtual ~Journal() = default;
  // The value recorded under `key` by this run or the interrupted one; null if there is none. Lives
  // until the next record().
  virtual const std::string* find(const std::string& key) const = 0;
  // Never fails: a journal that cannot be written stops recording, and says so to the user.
  virtual void record(const std::string& key, const std::string& value) = 0;
};

// Both may be absent: then nobody watches, and nothing is kept.
struct RunControl {
  Progress progress;
  Journal* journal = nullptr;  // borrowed
};

// Adds up work in units of the caller's choice (say, distances computed) against an expected total.
class Meter {
 public:
  Meter(const RunControl& control, double total) : control_(control), total_(total) {}
  void begin(std::string_view now);  // tells what is being worked on
  void finish(double units, bool resumed = false);

 private:
  void tell() const;
  const RunControl& control_;
  double total_, done_ = 0, resumed_ = 0;
  std::string now_;
};

// A codebook as bytes for a journal, and back. Bytes that are no codebook give nothing; whether the
// codebook fits a layer is check()'s question.
std::string to_bytes(const Codebook&);
std::optional<Codebook> codebook_from(std::string_view bytes);

// The same for Affine and BitPlanes; other encodings are no bytes.
std::string to_bytes(const Encoding&);
std::optional<Encoding> encoding_from(std::string_view bytes);

}  // namespace qrt::quant

#endif  // QRT_CONVERTER_QUANT_CONTROL_H_
