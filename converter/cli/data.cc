// Reading rows; all refusals name the file and the input they were meant for.
#include "converter/cli/data.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "converter/quant/rows.h"
#include "runtime/tools/io/error.h"
#include "runtime/tools/io/files.h"
#include "runtime/tools/io/image.h"
#include "runtime/tools/io/npy.h"
#include "runtime/tools/io/picture_input.h"

namespace qrt::cli {
namespace {

using io::NpyType;
using io::ToolError;

const ir::Value& input_value(const ir::Graph& g, size_t i) {
  return g.values[static_cast<size_t>(g.inputs[i])];
}

int64_t product(const std::vector<int64_t>& dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// The .npy files of a directory, sorted; empty if there are none or it is a file.
std::vector<std::string> list_npy(const std::string& path) {
  std::vector<std::string> names;
  if (DIR* dir = ::opendir(path.c_str())) {
    while (const dirent* entry = ::readdir(dir))
      if (ends_with(entry->d_name, ".npy")) names.push_back(path + "/" + entry->d_name);
    ::closedir(dir);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Collects rows for one input.
class Rows {
 public:
  Rows(const ir::Value& value, int64_t max_rows) : value_(value), max_rows_(max_rows) {
    row_ = value.shape;
    elements_ = product(row_);
  }

  void add_npy(const std::string& path) {
    io::NpyReader file(path);
    check_type(file);
    const int64_t rows = count_rows(file);
    const int64_t take = std::min(rows, max_rows_ - rows_);
    skipped_ += rows - take;
    if (take == 0) return;
    rows_ += take;
    files_.resize(static_cast<size_t>(rows_));
    const auto count = static_cast<uint64_t>(take * elements_);
    if (value_.type == ir::ElementType::f32 || value_.type == ir::ElementType::f16) {
      const size_t at = data_.size();
      data_.resize(at + count);
      file.read_f32(0, count, data_.data() + at);
    } else {
      add_integers(file, count);
    }
  }

  void add_picture(const std::string& path, const io::PictureInput& input) {
    if (rows_ == max_rows_) {
      ++skipped_;
      return;
    }
    ++rows_;
    files_.push_back(path);
    const size_t at = data_.size();
    data_.resize(at + input.values());
    input.read(path, data_.data() + at);
  }

  eval::Tensor tensor() const {
    eval::Tensor t;
    t.type = value_.type;
    t.shape = row_;
    if (!t.shape.empty()) t.shape[0] *= rows_;
    t.data = data_;
    t.ints = ints_;
    return t;
  }
  int64_t skipped() const { return skipped_; }
  const std::vector<std::string>& files() const { return files_; }

 private:
  void check_type(const io::NpyReader& file) const {
    static constexpr NpyType kTypes[] = {NpyType::f32, NpyType::f16, NpyType::i8,     NpyType::u8,
                                         NpyType::i32, NpyType::i64, NpyType::boolean};
    const NpyType want = kTypes[static_cast<size_t>(value_.type)], have = file.type();
    const auto is_float = [](NpyType t) {
      return t == NpyType::f32 || t == NpyType::f16 || t == NpyType::f64;
    };
    if (have == want || (is_float(have) && is_float(want))) return;
    throw ToolError(417, file.path() + ": element type " + name_of(have) + " does not fit input '" +
                             value_.name + "', which takes " + name_of(want) +
                             "; convert it with .astype('" + name_of(want) + "')");
  }

  int64_t count_rows(const io::NpyReader& file) const {
    const std::vector<int64_t>& have = file.shape();
    if (have == row_) return 1;
    const bool one_row = !row_.empty() && row_[0] == 1 &&
                         std::equal(row_.begin() + 1, row_.end(), have.begin(), have.end());
    if (one_row) return 1;
    const bool fits = !row_.empty() && have.size() == row_.size() && have[0] > 0 &&
                      have[0] % row_[0] == 0 &&
                      std::equal(row_.begin() + 1, row_.end(), have.begin() + 1);
    if (fits) return have[0] / row_[0];
    throw ToolError(418, file.path() + ": shape " + io::shape_text(have) + " does not fit input '" +
                             value_.name + "'; expected " + io::shape_text(row_) +
                             (row_.empty() ? "" : " or a multiple of its first dimension") +
                             "; reshape or transpose the array");
  }

  void add_integers(io::NpyReader& file, uint64_t count) {
    const size_t bytes = size_of(file.type());
    std::vector<uint8_t> raw(static_cast<size_t>(count) * bytes);
    file.read(0, count, raw.data());
    for (uint64_t i = 0; i < count; ++i) {
      uint64_t bits = 0;
      for (size_t b = 0; b < bytes; ++b) bits |= uint64_t{raw[i * bytes + b]} << (8 * b);
      const bool is_signed = file.type() != NpyType::u8 && file.type() != NpyType::boolean;
      const int spare = static_cast<int>(64 - 8 * bytes);
      ints_.push_back(is_signed ? static_cast<int64_t>(bits << spare) >> spare
                                : static_cast<int64_t>(bits));
    }
  }

  const ir::Value& value_;
  int64_t max_rows_, rows_ = 0, skipped_ = 0, elements_ = 1;
  std::vector<int64_t> row_;
  std::vector<float> data_;
  std::vector<int64_t> ints_;
  std::vector<std::string> files_;
};

void read_path(const ir::Graph& g, const std::string& path,
               const std::optional<io::Preprocessing>& preprocessing, const ir::Value& value,
               Rows& rows) {
  if (ends_with(path, ".npy")) return rows.add_npy(path);
  const std::vector<std::string> arrays = list_npy(path);
  if (!arrays.empty()) {
    for (const std::string& file : arrays) rows.add_npy(file);
    return;
  }
  const std::vector<std::string> pictures = io::list_images(path, ".npy, ");
  if (!preprocessing)
    throw ToolError(425, path + ": pictures need preprocessing to become input '" + value.name +
                             "'; give --preprocess imagenet, imagenet-crop or JSON");
  const io::PictureInput input(value.shape, preprocessing, g.name, value.name);
  for (const std::string& file : pictures) rows.add_picture(file, input);
}

}  // namespace

std::vector<eval::Tensor> load_inputs(const ir::Graph& g, const std::string& option,
                                      const std::vector<std::string>& args,
                                      const std::optional<io::Preprocessing>& preprocessing,
                                      int64_t max_rows, int64_t* skipped,
                                      std::vector<std::string>* row_files) {
  std::vector<eval::Tensor> out(g.inputs.size());
  std::vector<bool> given(g.inputs.size());
  for (const std::string& arg : args) {
    size_t port = g.inputs.size(), length = 0;
    for (size_t i = 0; i < g.inputs.size(); ++i)
      if (const std::string prefix = input_value(g, i).name + "=";
          arg.starts_with(prefix) && prefix.size() > length)
        port = i, length = prefix.size();
    if (port == g.inputs.size() && g.inputs.size() == 1) port = 0;
    if (port == g.inputs.size() || given[port])
      throw ToolError(
          419, option + " " + arg + ": " +
                   (port < given.size() ? "it is given twice" : "the model has no such input") +
                   "; write " + option + " NAME=PATH once for each of its " +
                   std::to_string(given.size()) + " inputs");
    given[port] = true;
    const ir::Value& value = input_value(g, port);
    Rows rows(value, max_rows);
    read_path(g, arg.substr(length), preprocessing, value, rows);
    out[port] = rows.tensor();
    if (skipped != nullptr) *skipped = std::max(*skipped, rows.skipped());
    const bool has_pictures = !rows.files().empty() && !rows.files()[0].empty();
    if (row_files != nullptr && (row_files->empty() || has_pictures)) *row_files = rows.files();
  }
  for (size_t i = 0; i < given.size(); ++i)
    if (!given[i])
      throw ToolError(419, option + ": input '" + input_value(g, i).name + "' of shape " +
                               io::shape_text(input_value(g, i).shape) + " has no file; add " +
                               option + " " + input_value(g, i).name + "=PATH");
  for (size_t i = 0; i < out.size(); ++i) {
    const ir::Value& value = input_value(g, i);
    const int64_t rows = value.shape.empty() ? 1 : out[i].shape[0] / value.shape[0];
    if ((value.batched || rows != 1) && rows != row_count(g, out))
      throw ToolError(418,
                      option + ": the inputs have different numbers of rows; give all the same");
  }
  return out;
}

int64_t row_count(const ir::Graph& g, const std::vector<eval::Tensor>& inputs) {
  return quant::sample_count(g, inputs);
}

std::vector<eval::Tensor> some_rows(const ir::Graph& g, const std::vector<eval::Tensor>& inputs,
                                    int64_t first, int64_t count) {
  return quant::slice_samples(g, inputs, first, first + count);
}

std::vector<eval::Tensor> first_rows(const ir::Graph& g, const std::vector<eval::Tensor>& inputs,
                                     int64_t count) {
  return some_rows(g, inputs, 0, std::min(count, row_count(g, inputs)));
}

std::vector<eval::Tensor> random_inputs(const ir::Graph& g) {
  std::vector<eval::Tensor> out;
  uint64_t state = 0x9e3779b97f4a7c15;
  for (size_t i = 0; i < g.inputs.size(); ++i) {
    const ir::Value& value = input_value(g, i);
    eval::Tensor t;
    t.type = value.type;
    t.shape = value.shape;
    const auto n = static_cast<size_t>(product(t.shape));
    if (value.type != ir::ElementType::f32 && value.type != ir::ElementType::f16) {
      t.ints.resize(n);
    } else {
      for (size_t k = 0; k < n; ++k) {
        float sum = 0;  // of 12 uniform numbers in [-1/2, 1/2): variance 1
        for (int j = 0; j < 12; ++j) {
          state ^= state << 13, state ^= state >> 7, state ^= state << 17;
          sum += static_cast<float>(state >> 40) / (1 << 24) - 0.5f;
        }
        t.data.push_back(sum);
      }
    }
    out.push_back(std::move(t));
  }
  return out;
}

std::vector<std::string> read_labels(const std::string& path) {
  const std::vector<uint8_t> bytes = io::read_file(path, uint64_t{16} << 20);
  std::vector<std::string> lines(1);
  for (uint8_t c : bytes) {
    if (c == '\n') {
      lines.emplace_back();
    } else if (c >= 0x20) {
      lines.back() += static_cast<char>(c);
    }
  }
  if (lines.back().empty()) lines.pop_back();
  return lines;
}

}  // namespace qrt::cli
