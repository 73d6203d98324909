// Size on a logarithmic axis: a saving of a factor is a step of one width wherever
// it happens. Accuracy on a linear one, cut to where the points are. Every series of points has
// a line and a color; what belongs to no series is this conversion's.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "converter/base/printed.h"
#include "converter/cli/report.h"

namespace qrt::cli {
namespace {

constexpr double kWidth = 736, kHeight = 360;
constexpr double kLeft = 56, kRight = 20, kTop = 16, kBottom = 44;

struct Axis {
  double from, to, start, end;  // values; where they lie in the picture
  double operator()(double v) const { return start + (v - from) / (to - from) * (end - start); }
};

std::string tick_x(double x, const std::string& text) {
  return printed("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#8884\"/>", x,
                 kTop, x, kHeight - kBottom) +
         printed("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" fill=\"currentColor\">", x,
                 kHeight - kBottom + 18) +
         text + "</text>\n";
}

std::string tick_y(double y, const std::string& text) {
  return printed("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#8884\"/>", kLeft,
                 y, kWidth - kRight, y) +
         printed("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\" fill=\"currentColor\">",
                 kLeft - 6, y + 4) +
         text + "</text>\n";
}

// Sizes of 1, 2 and 5 times powers of ten within the axis.
std::vector<double> round_sizes(double from, double to) {
  std::vector<double> out;
  for (double power = std::pow(10, std::floor(std::log10(from))); power <= to; power *= 10)
    for (const double digit : {1.0, 2.0, 5.0})
      if (digit * power >= from && digit * power <= to) out.push_back(digit * power);
  return out;
}

// Of the lines, in the order in which their points come first; after the last, again.
constexpr const char* kColors[] = {"#4a90d9", "#3a9d5d", "#8e5bc9", "#c98a1b", "#b5446e"};

std::vector<std::string> series_of(const std::vector<ReportPoint>& points) {
  std::vector<std::string> names;
  for (const ReportPoint& p : points)
    if (!p.is_float && std::find(names.begin(), names.end(), p.series) == names.end())
      names.push_back(p.series);
  return names;
}

const char* color_of(const std::vector<std::string>& names, const std::string& series) {
  const auto at = std::find(names.begin(), names.end(), series) - names.begin();
  return kColors[static_cast<size_t>(at) % std::size(kColors)];
}

std::string point(const ReportPoint& p, double x, double y, const char* line) {
  const char* color = p.is_this ? "#d9542b" : p.is_float ? "#777" : line;
  // Labels of points at the right edge stand to their left.
  const bool leftwards = x > kWidth * 0.7;
  return printed("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%d\" fill=\"%s\"><title>", x, y,
                 p.is_this ? 6 : 4, color) +
         escaped(p.setting) + ": " + bytes_text(p.bytes) + ", " +
         percent_text(p.accuracy.top1, p.accuracy.rows) + "</title></circle>" +
         printed("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"currentColor\">",
                 x + (leftwards ? -9 : 9), y - 7, leftwards ? "end" : "start") +
         escaped(p.mark.empty() ? p.setting : p.mark) + "</text>\n";
}

// The points of one series from the smallest to the largest.
std::string joined(const std::vector<ReportPoint>& points, const std::string& series, const Axis& x,
                   const Axis& y, const char* color) {
  std::vector<const ReportPoint*> line;
  for (const ReportPoint& p : points)
    if (!p.is_float && p.series == series) line.push_back(&p);
  std::stable_sort(line.begin(), line.end(),
                   [](const auto* a, const auto* b) { return a->bytes < b->bytes; });
  std::string path;
  for (const ReportPoint* p : line)
    path += printed(path.empty() ? "M%.1f %.1f" : " L%.1f %.1f",
                    x(std::log(std::max(1.0, static_cast<double>(p->bytes)))),
                    y(p->accuracy.top1_percent()));
  return "<path d=\"" + path + "\" fill=\"none\" stroke=\"" + color + "\"/>\n";
}

// The names of the lines, beside the text below the axis.
std::string legend(const std::vector<std::string>& names) {
  std::string out;
  double at = kLeft;
  for (const std::string& name : names) {
    if (name.empty()) continue;
    out += printed("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\" class=\"legend\"/>", at + 4,
                   kHeight - 10, color_of(names, name)) +
           printed("<text x=\"%.1f\" y=\"%.1f\" fill=\"currentColor\">", at + 12, kHeight - 6) +
           escaped(name) + "</text>\n";
    at += 24 + 8 * static_cast<double>(name.size());
  }
  return out;
}

}  // namespace

std::vector<double> round_steps(double from, double to, int most) {
  std::vector<double> out;
  if (!(to > from) || most < 1) return out;
  double step = std::pow(10, std::floor(std::log10((to - from) / most)));
  for (const double factor : {2.0, 2.5, 2.0, 2.0}) {  // 1, 2, 5, 10, 20
    if (std::floor(to / step) - std::ceil(from / step) + 1 <= most) break;
    step *= factor;
  }
  for (double k = std::ceil(from / step); k * step <= to; ++k) out.push_back(k * step);
  return out;
}

std::string accuracy_plot(const std::vector<ReportPoint>& points) {
  if (points.empty()) return "";
  double least = 1e300, most = 0, low = 100, high = 0;
  for (const ReportPoint& p : points) {
    const double bytes = std::max(1.0, static_cast<double>(p.bytes));
    least = std::min(least, bytes), most = std::max(most, bytes);
    low = std::min(low, p.accuracy.top1_percent());
    high = std::max(high, p.accuracy.top1_percent());
  }
  const double pad = std::max(1.0, 0.15 * (high - low));
  const Axis x{std::log(least / 1.25), std::log(most * 1.25), kLeft, kWidth - kRight};
  const Axis y{std::max(0.0, low - pad), std::min(100.0, high + pad) + 1e-9, kHeight - kBottom,
               kTop};
  std::string out = printed(
      "<svg id=\"plot\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" "
      "aria-label=\"top-1 accuracy against file size\">\n",
      kWidth, kHeight);
  for (const double size : round_sizes(least / 1.25, most * 1.25))
    out += tick_x(x(std::log(size)), bytes_text(static_cast<uint64_t>(size + 0.5)));
  for (const double v : round_steps(y.from, y.to, 6)) out += tick_y(y(v), printed("%g %%", v));
  for (const ReportPoint& p : points)
    if (p.is_float)  // what the others are measured by
      out += printed(
          "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#777\" "
          "stroke-dasharray=\"4 4\"/>\n",
          kLeft, y(p.accuracy.top1_percent()), kWidth - kRight, y(p.accuracy.top1_percent()));
  const std::vector<std::string> names = series_of(points);
  for (const std::string& name : names) out += joined(points, name, x, y, color_of(names, name));
  for (const ReportPoint& p : points)
    out += point(p, x(std::log(std::max(1.0, static_cast<double>(p.bytes)))),
                 y(p.accuracy.top1_percent()), color_of(names, p.series));
  out += legend(names);
  return out + printed(
                   "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" fill=\"currentColor\">size, "
                   "logarithmic</text>\n</svg>\n",
                   (kLeft + kWidth - kRight) / 2, kHeight - 6);
}

}  // namespace qrt::cli
