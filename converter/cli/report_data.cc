// What a conversion knows, arranged for its report.
#include <map>

#include "converter/base/file.h"
#include "converter/cli/convert.h"
#include "qrt.h"

namespace qrt::cli {

ReportData report_data(const ConvertOptions& o, const Converted& c) {
  ReportData r;
  r.model = o.model;
  r.output = o.output;
  r.tool = c.info.tool;
  r.method = c.info.method;
  r.options = c.info.options;
  r.cpu = std::string("ISA level ") + qrt_isa_name();
  r.model_sha256 = c.info.source_sha256;
  r.file_sha256 = sha256_hex(c.file.data(), c.file.size());
  r.file_bytes = c.file.size();
  r.relative_error = c.error;
  r.points = c.points;
  r.warnings = c.warnings;
  r.notes = c.notes;
  std::map<std::string, const LayerTime*> times;
  for (const LayerTime& t : c.times) times.emplace(t.name, &t);
  std::map<std::string, const quant::LayerReport*> by_name;
  for (const quant::LayerReport& l : c.layers) by_name.emplace(l.layer, &l);
  for (const emit::LayerBytes& l : c.sizes.layers) {
    ReportLayer layer;
    layer.name = l.layer;
    layer.encoding = l.encoding;
    layer.outputs = l.outputs, layer.inputs = l.inputs;
    layer.bytes = l.weight_bytes();
    layer.bits_per_weight = l.bits_per_weight();
    r.weights += static_cast<uint64_t>(l.outputs) * static_cast<uint64_t>(l.inputs);
    if (const auto at = by_name.find(l.layer); at != by_name.end()) {
      const quant::LayerReport& m = *at->second;
      layer.why_not = m.why_not;
      if (m.is_encoded) {
        layer.output_error = m.output_error;
        layer.weight_snr_db = m.weight_snr_db;
      }
    }
    if (const auto at = times.find(l.layer); at != times.end()) {
      layer.ms = at->second->ms;
      layer.dense_ms = at->second->dense_ms;
    }
    r.layers.push_back(std::move(layer));
  }
  return r;
}

}  // namespace qrt::cli
