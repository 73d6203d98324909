// The sizes and times of a converted model as qrt-convert prints them.
#include <algorithm>

#include "converter/base/printed.h"
#include "converter/cli/convert.h"

namespace qrt::cli {
namespace {

constexpr size_t kWidest = 60;

struct Row {
  std::string name, shape, encoding, bits, indices, centroids, other, ms, dense_ms;
};

std::string line(const Row& r, size_t name_width, bool timed) {
  std::string out = printed("%-*s  %13s  %-20s %8s %10s %10s %10s", static_cast<int>(name_width),
                            r.name.c_str(), r.shape.c_str(), r.encoding.c_str(), r.bits.c_str(),
                            r.indices.c_str(), r.centroids.c_str(), r.other.c_str());
  if (timed) out += printed(" %9s %9s", r.ms.c_str(), r.dense_ms.c_str());
  return out.substr(0, out.find_last_not_of(' ') + 1) + "\n";
}

std::string fixed(double v, int digits) {
  return printed("%.*f", digits, v);
}

// The times of the layers of the size report, found by name in the order of the file: names need
// not differ. What is not taken remains for the line of all others.
class Times {
 public:
  explicit Times(const std::vector<LayerTime>& all) : all_(all), taken_(all.size()) {}

  const LayerTime* find(const std::string& layer) {
    for (size_t i = 0; i < all_.size(); ++i)
      if (!taken_[i] && all_[i].name == layer) {
        taken_[i] = true;
        return &all_[i];
      }
    return nullptr;
  }

  TotalTime rest() const {
    TotalTime t;
    for (size_t i = 0; i < all_.size(); ++i)
      if (!taken_[i]) t.ms += all_[i].ms, t.dense_ms += all_[i].dense_ms;
    return t;
  }

 private:
  const std::vector<LayerTime>& all_;
  std::vector<bool> taken_;
};

}  // namespace

std::string size_table(const emit::SizeReport& r, const std::vector<LayerTime>& times) {
  size_t width = 15;
  for (const emit::LayerBytes& l : r.layers)
    width = std::max(width, std::min(l.layer.size(), kWidest));
  const bool timed = !times.empty();
  Times by_name(times);
  std::string out = line(
      {"layer", "weights", "encoding", "bits/w", "indices", "centroids", "other", "ms", "dense ms"},
      width, timed);
  uint64_t scalars = 0;
  for (const emit::LayerBytes& l : r.layers) {
    scalars += static_cast<uint64_t>(l.outputs) * static_cast<uint64_t>(l.inputs);
    const LayerTime* t = by_name.find(l.layer);
    out += line(
        {l.layer.substr(0, kWidest), std::to_string(l.outputs) + " x " + std::to_string(l.inputs),
         l.encoding, fixed(l.bits_per_weight(), 3), std::to_string(l.codes),
         std::to_string(l.entries), std::to_string(l.entry_scales + l.dense + l.vectors),
         t ? fixed(t->ms, 3) : "", t ? fixed(t->dense_ms, 3) : ""},
        width, timed);
  }
  if (timed) {
    const TotalTime rest = by_name.rest();
    out += line(
        {"other operators", "", "", "", "", "", "", fixed(rest.ms, 3), fixed(rest.dense_ms, 3)},
        width, true);
  }
  const uint64_t other = r.entry_scales + r.dense + r.vectors;
  const double bits =
      scalars == 0 ? 0
                   : 8.0 * static_cast<double>(r.codes + r.entries + r.entry_scales + r.dense) /
                         static_cast<double>(scalars);
  const TotalTime all = total_time(times);
  out += line(
      {"total", std::to_string(scalars), "", fixed(bits, 3), std::to_string(r.codes),
       std::to_string(r.entries), std::to_string(other), fixed(all.ms, 3), fixed(all.dense_ms, 3)},
      width, timed);
  out += "file " + std::to_string(r.file_bytes) + " bytes (structure and alignment " +
         std::to_string(r.rest) + "), " +
         fixed(4.0 * static_cast<double>(scalars) / static_cast<double>(r.file_bytes), 2) +
         " x smaller than its weights in f32\n";
  return out;
}

std::string points_text(const std::vector<ReportPoint>& points) {
  std::string text;
  for (const ReportPoint& p : points) {
    text += p.setting + ": " + std::to_string(p.bytes) + " bytes, top-1 " +
            percent_text(p.accuracy.top1, p.accuracy.rows) + ", top-5 " +
            percent_text(p.accuracy.top5, p.accuracy.rows);
    if (p.output_error) text += ", output error " + fixed(100 * *p.output_error, 2) + " %";
    text += "\n";
  }
  return text;
}

std::string int8_table(const int8::Report& report) {
  std::string text;
  for (const int8::FittedLayer& l : report.fit.layers) {
    std::string why = l.why.empty() ? "" : ", " + l.why;
    if (l.table_bits > 0)
      why += " (" + std::to_string(l.table_bits) + " bits >> " + std::to_string(l.table_shift) +
             ", " + fixed(l.table_gain, 1) + " x)";
    text += printed("%-40s %-8s %2zu level%s weights %5.1f dB, output %5.1f dB%s\n",
                    l.layer.c_str(), l.encoding.c_str(), l.levels, l.levels == 1 ? ", " : "s,",
                    l.rounding_db, l.snr_db, why.c_str());
  }
  for (const double db : report.fit.output_snr_db)
    text += "int8 against f32 at the output, on the calibration data: " + fixed(db, 1) + " dB\n";
  return text;
}

}  // namespace qrt::cli
