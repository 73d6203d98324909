// Rows out of .npy files, one file per model input.
#include <cstring>

#include "runtime/tools/io/error.h"
#include "runtime/tools/io/npy.h"
#include "runtime/tools/run.h"

namespace qrt::tools {
namespace {

using io::NpyReader;
using io::NpyType;
using io::ToolError;

bool is_float(NpyType t) {
  return t == NpyType::f32 || t == NpyType::f16 || t == NpyType::f64;
}

// One input: its file and how many rows that holds.
struct Source {
  std::unique_ptr<NpyReader> file;
  uint64_t rows = 1, row_elements = 1;
};

[[noreturn]] void wrong_shape(const NpyReader& f, const qrt_tensor& t) {
  std::vector<int64_t> want = dims(t);
  throw ToolError(418, f.path() + ": shape " + io::shape_text(f.shape()) + " does not fit input '" +
                           t.name + "'; expected " + io::shape_text(want) +
                           (want.empty() ? "" : " or a multiple of its first dimension") +
                           "; reshape or transpose the array");
}

// Rows of a file for an input of shape `t`: the shape itself, n of it along the first
// dimension, or the shape without a leading 1.
uint64_t count_rows(const NpyReader& f, const qrt_tensor& t) {
  const std::vector<int64_t> want = dims(t), &have = f.shape();
  if (have == want) return 1;
  if (!want.empty() && want[0] == 1 && have == std::vector<int64_t>(want.begin() + 1, want.end()))
    return 1;
  if (want.empty() || have.size() != want.size() || want[0] == 0 || have[0] % want[0] != 0 ||
      !std::equal(want.begin() + 1, want.end(), have.begin() + 1))
    wrong_shape(f, t);
  const auto rows = static_cast<uint64_t>(have[0] / want[0]);
  if (rows == 0)
    throw ToolError(418, f.path() + ": the array is empty: shape " + io::shape_text(have) +
                             " holds no row for input '" + t.name + "'; give at least one");
  return rows;
}

void check_type(const NpyReader& f, const qrt_tensor& t) {
  const auto want = static_cast<NpyType>(t.dtype);
  if (f.type() == want || (t.dtype == QRT_F32 && is_float(f.type()))) return;
  throw ToolError(417, f.path() + ": element type " + name_of(f.type()) + " does not fit input '" +
                           t.name + "', which takes " + name_of(want) +
                           "; convert it with .astype('" + name_of(want) + "')");
}

class NpyFeed : public Feed {
 public:
  NpyFeed(const RunOptions& o, const Model& model) {
    const std::vector<qrt_tensor> ports = model.inputs();
    sources_.resize(ports.size());
    for (const NamedFile& arg : resolve_ports("--input", o.inputs, ports)) {
      Source& s = sources_[arg.port];
      s.file = std::make_unique<NpyReader>(arg.file);
      check_type(*s.file, ports[arg.port]);
      s.rows = count_rows(*s.file, ports[arg.port]);
      s.row_elements = elements(ports[arg.port]);
      rows_ = std::max(rows_, s.rows);
    }
    for (size_t i = 0; i < ports.size(); ++i)
      if (sources_[i].file == nullptr)
        throw ToolError(419, std::string("--input: input '") + ports[i].name + "' (" +
                                 qrt_dtype_name(ports[i].dtype) + " " +
                                 io::shape_text(dims(ports[i])) + ") has no file; add --input " +
                                 ports[i].name + "=FILE.npy");
    for (size_t i = 0; i < ports.size(); ++i)
      if (sources_[i].rows != rows_)
        throw ToolError(418, sources_[i].file->path() + ": " + std::to_string(sources_[i].rows) +
                                 " rows for input '" + ports[i].name +
                                 "' where another input has " + std::to_string(rows_) +
                                 "; give all inputs the same number");
  }

  uint64_t rows() const override { return rows_; }
  std::string row_name(uint64_t row) const override { return "row " + std::to_string(row); }

  void fill(const std::vector<qrt_tensor>& inputs, uint64_t first, uint64_t count) override {
    for (size_t i = 0; i < inputs.size(); ++i) {
      Source& s = sources_[i];
      const uint64_t from = first * s.row_elements, n = count * s.row_elements;
      if (n > elements(inputs[i]))
        throw ToolError(418, s.file->path() + ": input '" + inputs[i].name +
                                 "' does not grow with the batch; use --batch 1");
      std::memset(inputs[i].data, 0, inputs[i].bytes);
      if (inputs[i].dtype == QRT_F32) {
        s.file->read_f32(from, n, static_cast<float*>(inputs[i].data));
      } else {
        s.file->read(from, n, inputs[i].data);
      }
    }
  }

 private:
  std::vector<Source> sources_;
  uint64_t rows_ = 1;
};

}  // namespace

std::unique_ptr<Feed> make_npy_feed(const RunOptions& o, const Model& model) {
  return std::make_unique<NpyFeed>(o, model);
}

std::vector<NamedFile> resolve_ports(const char* option, const std::vector<std::string>& args,
                                     const std::vector<qrt_tensor>& ports) {
  std::vector<NamedFile> out;
  std::vector<bool> taken(ports.size());
  for (const std::string& arg : args) {
    size_t port = ports.size(), length = 0;
    for (size_t i = 0; i < ports.size(); ++i) {
      const std::string prefix = std::string(ports[i].name) + "=";
      if (prefix.size() > length && arg.compare(0, prefix.size(), prefix) == 0)
        port = i, length = prefix.size();
    }
    if (port == ports.size() && ports.size() == 1 && arg.find('=') == std::string::npos) port = 0;
    if (port == ports.size() || taken[port]) {
      std::string names;
      for (const qrt_tensor& t : ports) names += (names.empty() ? "" : ", ") + std::string(t.name);
      throw ToolError(
          419, std::string(option) + " " + arg + ": " +
                   (port < ports.size() ? "it is given twice" : "the model has no such port") +
                   "; its ports are " + names + "; write " + option + " NAME=FILE.npy once each");
    }
    taken[port] = true;
    out.push_back({port, arg.substr(length)});
  }
  return out;
}

}  // namespace qrt::tools
