// Label files are small and written by hand or by scripts: every refusal names the
// line.
#include "converter/cli/accuracy.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>

#include "converter/base/text.h"
#include "runtime/tools/io/error.h"
#include "runtime/tools/io/files.h"

namespace qrt::cli {
namespace {

using io::ToolError;

std::vector<std::string> lines_of(const std::string& path) {
  const std::vector<uint8_t> bytes = io::read_file(path, uint64_t{64} << 20);
  std::vector<std::string> lines(1);
  for (const uint8_t c : bytes) {
    if (c == '\n')
      lines.emplace_back();
    else if (c != '\r')
      lines.back() += static_cast<char>(c);
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells(1);
  for (const char c : line) {
    if (c == ',')
      cells.emplace_back();
    else
      cells.back() += c;
  }
  return cells;
}

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

// Reads the cells that name classes.
class Classes {
 public:
  Classes(const std::string& path, const std::vector<std::string>& names, int64_t count)
      : path_(path), count_(count) {
    for (size_t i = 0; i < names.size(); ++i)
      index_.emplace(names[i], static_cast<int64_t>(i));  // of equal names the first
  }

  int64_t read(const std::string& text, size_t line) const {
    int64_t value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
      const auto at = index_.find(text);
      if (at == index_.end())
        throw ToolError(470, cat(path_, ": line ", line, ": '", text.substr(0, 80),
                                 "' is neither a class index nor one of the ", index_.size(),
                                 " labels; write an index from 0 to ", count_ - 1,
                                 line == 1 ? ", or class_index, class or label as the head" : ""));
      value = at->second;
    }
    if (value < 0 || value >= count_)
      throw ToolError(470, cat(path_, ": line ", line, ": class ", value, " where the model has ",
                               count_, "; write an index from 0 to ", count_ - 1));
    return value;
  }

 private:
  const std::string& path_;
  int64_t count_;
  std::map<std::string, int64_t> index_;
};

constexpr size_t kNone = SIZE_MAX;
constexpr std::initializer_list<const char*> kClassColumns = {"class_index", "class", "label"};

// The column that has one of the names, or kNone.
size_t column(const std::vector<std::string>& head, std::initializer_list<const char*> names) {
  for (const char* name : names)
    for (size_t i = 0; i < head.size(); ++i)
      if (head[i] == name) return i;
  return kNone;
}

// A line of several cells, or the name of a column where no class is called so.
bool is_head(const std::string& line, const std::vector<std::string>& names) {
  if (line.find(',') != std::string::npos) return true;
  return column({line}, kClassColumns) == 0 &&
         std::find(names.begin(), names.end(), line) == names.end();
}

}  // namespace

std::vector<int64_t> read_truth(const std::string& path, const std::vector<std::string>& names,
                                const std::vector<std::string>& row_files, int64_t classes,
                                bool rows_were_cut) {
  const std::vector<std::string> lines = lines_of(path);
  const bool is_table = !lines.empty() && is_head(lines[0], names);
  const auto head = is_table ? cells_of(lines[0]) : std::vector<std::string>();
  const size_t class_at = is_table ? column(head, kClassColumns) : 0;
  if (class_at == kNone)
    throw ToolError(470, cat(path,
                             ": line 1 names no column class_index, class or label; give the "
                             "table a head, or one class per line"));
  const bool has_files =
      std::any_of(row_files.begin(), row_files.end(), [](const auto& f) { return !f.empty(); });
  const size_t file_at = is_table && has_files ? column(head, {"file"}) : kNone;
  const size_t needed = file_at == kNone ? class_at : std::max(class_at, file_at);
  const Classes reader(path, names, classes);
  std::vector<int64_t> in_order;
  std::map<std::string, int64_t> by_file;
  for (size_t i = is_table ? 1 : 0; i < lines.size(); ++i) {
    const auto cells = is_table ? cells_of(lines[i]) : std::vector<std::string>{lines[i]};
    if (cells.size() <= needed)
      throw ToolError(470, cat(path, ": line ", i + 1, " has ", cells.size(), " cells, at least ",
                               needed + 1, " are needed; write them all, empty or not"));
    const int64_t value = reader.read(cells[class_at], i + 1);
    if (file_at == kNone)
      in_order.push_back(value);
    else if (!by_file.emplace(base_name(cells[file_at]), value).second)
      throw ToolError(470, cat(path, ": line ", i + 1, ": ", base_name(cells[file_at]),
                               " stands twice; give one line per file"));
  }
  if (file_at == kNone) {
    const bool fits = in_order.size() == row_files.size() ||
                      (rows_were_cut && in_order.size() > row_files.size());
    if (!fits)
      throw ToolError(470, cat(path, ": ", in_order.size(), " classes for ", row_files.size(),
                               " rows of data; give one line per row, in their order"));
    in_order.resize(row_files.size());
    return in_order;
  }
  for (const std::string& file : row_files) {
    const auto at = by_file.find(base_name(file));
    if (at == by_file.end())
      throw ToolError(
          470, cat(path, ": there is no line for ", base_name(file), "; add one with its class"));
    in_order.push_back(at->second);
  }
  return in_order;
}

int64_t best_class(std::span<const float> scores) {
  int64_t best = -1;
  for (size_t i = 0; i < scores.size(); ++i)
    if (scores[i] == scores[i] && (best < 0 || scores[i] > scores[static_cast<size_t>(best)]))
      best = static_cast<int64_t>(i);
  return best;
}

void Accuracy::add(std::span<const float> scores, int64_t truth) {
  ++rows;
  const auto at = static_cast<size_t>(truth);
  if (at >= scores.size() || scores[at] != scores[at]) return;
  int64_t before = 0;  // classes ranked above the true one
  for (size_t i = 0; i < scores.size(); ++i)
    before += scores[i] > scores[at] || (scores[i] == scores[at] && i < at);
  top1 += before == 0;
  top5 += before < 5;
}

Accuracy accuracy_of(std::span<const float> scores, const std::vector<int64_t>& truth) {
  Accuracy a;
  const size_t classes = truth.empty() ? 0 : scores.size() / truth.size();
  for (size_t i = 0; i < truth.size(); ++i) a.add(scores.subspan(i * classes, classes), truth[i]);
  return a;
}

std::string percent_text(int64_t hits, int64_t rows) {
  char text[80];
  const double percent =
      rows == 0 ? 0 : 100 * static_cast<double>(hits) / static_cast<double>(rows);
  std::snprintf(text, sizeof text, "%.2f %% (%lld of %lld)", percent, static_cast<long long>(hits),
                static_cast<long long>(rows));
  return text;
}

}  // namespace qrt::cli
