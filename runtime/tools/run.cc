// qrt run: feeds rows in batches, collects outputs, prints the best classes.
#include "runtime/tools/run.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <optional>

#include "runtime/tools/io/error.h"
#include "runtime/tools/io/files.h"
#include "runtime/tools/io/npy.h"

namespace qrt::tools {
namespace {

using io::ToolError;

std::vector<std::string> read_labels(const std::string& path) {
  const auto bytes = io::read_file(path, uint64_t{16} << 20);
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

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

// Prints one line per row: its name and the best classes of the first output.
class ClassPrinter {
 public:
  ClassPrinter(const RunOptions& o, const Model& model) : csv_(o.csv) {
    const qrt_tensor scores = model.outputs().at(0);
    classes_ = elements(scores);
    if (scores.dtype != QRT_F32)
      throw ToolError(419,
                      o.model + ": output '" + std::string(scores.name) + "' is " +
                          qrt_dtype_name(scores.dtype) +
                          ", classes are ranked by f32 scores; write it with --output FILE.npy");
    top_ = static_cast<size_t>(std::min<uint64_t>(o.top, classes_));
    if (!o.labels.empty()) {
      labels_ = read_labels(o.labels);
    } else {
      for (uint32_t i = 0; i < qrt_model_label_count(model.get()); ++i)
        labels_.emplace_back(qrt_model_label(model.get(), i));
    }
    if ((!o.labels.empty() || !labels_.empty()) && labels_.size() != classes_)
      throw ToolError(426, (o.labels.empty() ? o.model : o.labels) + ": " +
                               std::to_string(labels_.size()) + " labels where output '" +
                               scores.name + "' has " + std::to_string(classes_) +
                               " classes; give one line per class with --labels");
    if (csv_) print_head();
  }

  uint64_t classes() const { return classes_; }

  void print(const std::string& name, const float* scores) {
    order_.resize(static_cast<size_t>(classes_));
    std::iota(order_.begin(), order_.end(), 0u);
    // Ties go to the lower class; NaN ranks last, so that the order is always strict.
    const auto better = [scores](uint32_t a, uint32_t b) {
      const bool nan_a = scores[a] != scores[a], nan_b = scores[b] != scores[b];
      if (nan_a != nan_b) return nan_b;
      if (!nan_a && scores[a] != scores[b]) return scores[a] > scores[b];
      return a < b;
    };
    std::partial_sort(order_.begin(), order_.begin() + static_cast<long>(top_), order_.end(),
                      better);
    std::string line = csv_ ? csv_field(name) : name + ":";
    for (size_t k = 0; k < top_; ++k) {
      const uint32_t c = order_[k];
      char score[32];
      std::snprintf(score, sizeof score, "%.6g", static_cast<double>(scores[c]));
      const std::string label = labels_.empty() ? "" : labels_[c];
      if (csv_) {
        line += "," + std::to_string(c) + "," + score + "," + csv_field(label);
      } else {
        line += std::string(k == 0 ? " " : "  ") + std::to_string(c) + " " + score;
        if (!label.empty()) line += " (" + label + ")";
      }
    }
    std::printf("%s\n", line.c_str());
  }

 private:
  void print_head() const {
    std::string head = "file";
    for (size_t k = 1; k <= top_; ++k) {
      const std::string n = std::to_string(k);
      head += ",class" + n + ",score" + n + ",label" + n;
    }
    std::printf("%s\n", head.c_str());
  }

  bool csv_;
  uint64_t classes_ = 0;
  size_t top_ = 0;
  std::vector<std::string> labels_;
  std::vector<uint32_t> order_;
};

// Collects one output of all rows in a file.
struct Writer {
  size_t port;
  uint64_t row_elements;
  std::unique_ptr<io::NpyWriter> file;
};

// Inputs are read while outputs are written, and a model is mapped: neither may be replaced.
void check_overwrite(const RunOptions& o, const std::string& output) {
  std::vector<std::string> inputs = {o.model, o.labels};
  inputs.insert(inputs.end(), o.images.begin(), o.images.end());
  for (const std::string& text : o.inputs)
    inputs.insert(inputs.end(), {text, text.substr(text.find('=') + 1)});
  for (const std::string& input : inputs)
    if (io::same_file(input, output))
      throw ToolError(400, "--output " + output + " would overwrite the input " + input +
                               "; name another file");
}

std::vector<Writer> open_writers(const RunOptions& o, const Model& model, uint64_t rows) {
  const std::vector<qrt_tensor> ports = model.outputs();
  std::vector<Writer> writers;
  std::vector<std::string> names;
  for (const NamedFile& arg : resolve_ports("--output", o.outputs, ports)) {
    if (std::find(names.begin(), names.end(), arg.file) != names.end())
      throw ToolError(400,
                      "--output: " + arg.file + " is named for two outputs; give each its own");
    names.push_back(arg.file);
    check_overwrite(o, arg.file);
    std::vector<int64_t> shape = dims(ports[arg.port]);
    if (shape.empty() && rows > 1) shape.push_back(1);
    if (!shape.empty()) shape[0] *= static_cast<int64_t>(rows);
    writers.push_back({arg.port, elements(ports[arg.port]),
                       std::make_unique<io::NpyWriter>(
                           arg.file, static_cast<io::NpyType>(ports[arg.port].dtype), shape)});
  }
  return writers;
}

void check_batch(const RunOptions& o, const Session& session, const Model& model, uint64_t batch) {
  const auto one = model.outputs(), now = session.outputs();
  for (size_t i = 0; i < one.size(); ++i)
    if (batch > 1 && elements(now[i]) != batch * elements(one[i]))
      throw ToolError(418, o.model + ": output '" + std::string(one[i].name) +
                               "' does not grow with the batch; use --batch 1");
}

void print_stats(const Session& session) {
  const qrt_memory_info m = session.memory();
  const uint64_t resident = m.file_bytes + m.copied_bytes + m.weight_bytes;
  std::fprintf(
      stderr,
      "resident weight bytes: %llu (file %llu, copied %llu, other forms %llu; %.3f x file)\n"
      "arena bytes: %llu\nother bytes: %llu\npeak RSS bytes: %llu\n",
      static_cast<unsigned long long>(resident), static_cast<unsigned long long>(m.file_bytes),
      static_cast<unsigned long long>(m.copied_bytes),
      static_cast<unsigned long long>(m.weight_bytes),
      static_cast<double>(resident) / static_cast<double>(m.file_bytes),
      static_cast<unsigned long long>(m.arena_bytes), static_cast<unsigned long long>(m.keep_bytes),
      static_cast<unsigned long long>(peak_rss_bytes()));
}

// The stored golden input on this machine: exit code 1 where the outputs are not those stored.
int self_check(const RunOptions& o, const Model& model) {
  EngineOptions engine = o.engine;
  engine.batch = 1;
  Session session(model, engine);
  double error = 0, tolerance = 0;
  session.self_check(error, tolerance);
  const bool good = error <= tolerance;
  std::printf("%s: golden outputs %s: relative error %.3e, allowed %.3e\n", o.model.c_str(),
              good ? "reproduced" : "NOT reproduced", error, tolerance);
  if (o.stats) print_stats(session);
  return good ? io::kDone : io::kAnswerIsNo;
}

}  // namespace

int run(const RunOptions& o) {
  const Model model(o.model);
  if (o.self_check) return self_check(o, model);
  const std::unique_ptr<Feed> feed =
      o.images.empty() ? make_npy_feed(o, model) : make_image_feed(o, model);
  const uint64_t rows = feed->rows();
  EngineOptions engine = o.engine;
  engine.batch = static_cast<uint32_t>(std::min<uint64_t>(engine.batch, rows));
  Session session(model, engine);
  check_batch(o, session, model, engine.batch);
  std::vector<Writer> writers = open_writers(o, model, rows);
  std::optional<ClassPrinter> printer;
  if (writers.empty() || !o.images.empty()) printer.emplace(o, model);

  const std::vector<qrt_tensor> in = session.inputs(), out = session.outputs();
  for (uint64_t first = 0; first < rows; first += engine.batch) {
    const uint64_t count = std::min<uint64_t>(engine.batch, rows - first);
    feed->fill(in, first, count);
    session.run();
    for (Writer& w : writers) w.file->write(out[w.port].data, count * w.row_elements);
    for (uint64_t i = 0; printer && i < count; ++i)
      printer->print(feed->row_name(first + i),
                     static_cast<const float*>(out[0].data) + i * printer->classes());
  }
  for (Writer& w : writers) w.file->commit();
  if (o.stats) print_stats(session);
  return io::kDone;
}

}  // namespace qrt::tools
