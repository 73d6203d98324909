// See field.h.
#include "bench/field.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <regex>

#include "kernels/tables/tables.h"

namespace qrt::bench {
namespace {

// Weights that come from memory: copies take turns, so many that no cache holds them all.
class Rotating final : public TimedLayer {
 public:
  explicit Rotating(const std::function<LayerPtr()>& make) {
    constexpr double kBytes = 96e6;  // three times the largest cache of the machines at hand
    double bytes = 0;
    while (bytes < kBytes) {
      copies_.push_back(make());
      bytes += copies_.back()->weight_bytes();
    }
  }
  void run() override {
    copies_[next_]->run();
    next_ = (next_ + 1) % copies_.size();
  }
  std::string note() const override { return copies_[0]->note(); }
  double weight_bytes() const override { return copies_[0]->weight_bytes(); }

 private:
  std::vector<LayerPtr> copies_;
  size_t next_ = 0;
};

// What oneDNN says of an implementation ends in what it needs, e.g. jit:avx512_core_vnni.
std::string level_of_onednn(const std::string& name) {
  if (name.find("vnni") != std::string::npos) return "avx512vnni";
  if (name.find("avx512") != std::string::npos) return "avx512";
  return name.find("avx2") != std::string::npos ? "avx2" : "";
}

std::string text_of(const Coding& c) {
  if (c.kind == Coding::Kind::bits) return "1 x 1 bit";
  if (c.fraction >= 0)
    return "esb(" + std::to_string(c.code_bits) + "," + std::to_string(c.fraction) + ")" +
           (c.group == 0 ? "" : " by " + std::to_string(c.group));
  if (c.code_bits != 0) return std::to_string(c.code_bits) + "-bit";
  if (c.trits) return "trits";
  if (c.count == 0) return "dense i8";
  const std::string size = "d" + std::to_string(c.dim) + " x" + std::to_string(c.count);
  if (c.kind == Coding::Kind::f32) return size + " f32";
  if (c.kind == Coding::Kind::exact) return size + " exact";
  return size + " rounded to " + std::to_string(c.table_bits);
}

// Notes are "kernel: predicted times".
std::string kernel_of(const std::string& note) {
  return note.substr(0, note.find(':'));
}

// Ways of the tables family that need just this level.
std::vector<Way> ways_of(const std::string& level) {
  std::vector<Way> ways;
  for (const kernels::tables::Row& row : kernels::tables::kWays)
    if (level == level_of(row.isa)) ways.push_back({row.name});
  return ways;
}

}  // namespace

Field::Field(const BenchShape& shape, const FieldOptions& options)
    : shape_(shape), options_(options) {
  add_peers();
  kernels::IsaSet cap = kernels::detect_isa();
  if (!options.isa.empty()) kernels::isa_level(options.isa.c_str(), &cap);
  for (const char* level : {"avx2", "avx512", "avx512vnni", "avx512vbmi", "neon", "neondot"}) {
    kernels::IsaSet isa = 0;
    kernels::isa_level(level, &isa);
    if (isa != 0 && kernels::includes(kernels::detect_isa() & cap, isa)) add_ours(level, isa);
  }
  drop_slow();
}

bool Field::is_esb() const {
  return std::strcmp(shape_.set, "esb") == 0;
}
bool Field::is_lowbit() const {
  return std::strcmp(shape_.set, "lowbit") == 0 || is_esb();
}

void Field::add_peers() {
  const LayerShape& s = shape_.layer;
  if (is_lowbit()) {
    for (const OnednnChoice& c : onednn_choices(s))
      if (c.is_integer)
        add("int8", c.name, level_of_onednn(c.name), true,
            [&s, name = c.name] { return make_onednn(s, name); });
    return;
  }
  add("f32", "xnnpack f32", "", false, [&s] { return make_xnnpack(s); });
  for (const OnednnChoice& c : onednn_choices(s))
    add(c.is_integer ? "int8" : "f32", c.name, level_of_onednn(c.name), c.is_integer,
        [&s, name = c.name] { return make_onednn(s, name); });
  for (const uint32_t dim : {4u, 8u})
    for (const bool tables : {true, false})
      add("scan", "faiss 4-bit d" + std::to_string(dim) + (tables ? "" : " scan only"), "", false,
          [&s, dim, tables] { return make_faiss(s, dim, tables); });
}

void Field::add_ours(const std::string& level, kernels::IsaSet isa) {
  if (is_esb()) {
    const auto add_esb = [&](uint32_t bits, int32_t fraction, const std::vector<Way>& ways) {
      add_coded(level, isa, {Coding::Kind::exact, 0, 0, 0, bits, fraction}, ways);
    };
    add_esb(4, 1,
            {{"shift_decode"},
             {"unpack8"},
             {"unpack8", true},
             {"shift_dot"},
             {"masked_dot"},
             {"unpack_dot"}});
    for (const auto& [bits, fraction] : {std::pair{5u, 2}, {6u, 3}, {6u, 2}, {8u, 4}})
      add_esb(bits, fraction, {{"shift_decode"}, {"shift_dot"}, {"masked_dot"}});
    for (const auto& [bits, fraction] : {std::pair{4u, 1}, {6u, 3}, {6u, 2}})
      add_coded(level, isa, {Coding::Kind::exact, 0, 0, 0, bits, fraction, 32},
                {{"shift_decode"}, {"shift_dot"}});
    if (level == "avx512vnni" || level == "neondot") return;  // adding needs neither
    for (const auto& [bits, fraction] : {std::pair{4u, 1}, {2u, 0}})
      add_esb(bits, fraction, {{"shift_grouped"}, {"shift_add"}});
    return;
  }
  if (is_lowbit()) {
    for (const uint32_t bits : {1u, 2u, 4u})
      add_coded(level, isa, {Coding::Kind::exact, 0, 0, 0, bits},
                {{"unpack8"}, {"unpack8", true}, {"masked_dot"}, {"unpack_dot"}});
    Coding trits{Coding::Kind::exact, 0, 0};
    trits.trits = true;
    add_coded(
        level, isa, trits,
        {{"unpack8"}, {"unpack8", true}, {"masked_dot"}, {"masked_dot", true}, {"unpack_dot"}});
    return;
  }
  const bool is_main = std::strcmp(shape_.set, "main") == 0;
  const uint32_t dim = shape_.dim;
  const bool has_kits = level != "avx512vbmi";  // it has ways of tables alone
  if (std::strcmp(shape_.set, "bits") == 0) {
    if (level == "avx512vnni") return;  // counting needs none of it
    if (has_kits)
      add_coded(level, isa, {Coding::Kind::bits, 0, 0},
                {{"xnor_outputs", true},
                 {"xnor_words", true},
                 {"xnor_turned"},
                 {"xnor_rows"},
                 {"xnor_lines"}});
    else
      add_coded(level, isa, {Coding::Kind::bits, 0, 0}, {{"xnor_lines"}});
    return;
  }
  if (is_main && has_kits && level != "avx512vnni")  // f32 kits need no VNNI
    add_coded(level, isa, {Coding::Kind::f32, dim, 256},
              {{"decode"}, {"lookup"}, {"dot"}, {"winograd"}});
  if (has_kits)
    add_coded(level, isa, {Coding::Kind::exact, 0, 0},
              {{"dense8"}, {"dense8", true}, {"dot8"}, {"depthwise8"}});
  for (const uint32_t count : {16u, 64u, 256u}) {
    // Cold copies take 96 MB each: the ends of the scale must do.
    if ((!is_main && count != 256) || (shape_.cold && count == 64)) continue;
    std::vector<Way> exact = ways_of(level);
    if (has_kits)
      exact.insert(
          exact.end(),
          {{"decode8"}, {"decode8", true}, {"coded_dot"}, {"winograd8_2x2"}, {"winograd8_4x4"}});
    add_coded(level, isa, {Coding::Kind::exact, dim, count}, exact);
    add_coded(level, isa, {Coding::Kind::rounded, dim, count, 8}, ways_of(level));
    if (is_main && count == 256 && !shape_.cold)
      add_coded(level, isa, {Coding::Kind::rounded, dim, count, 12}, ways_of(level));
  }
}

void Field::add_coded(const std::string& level, kernels::IsaSet isa, const Coding& coding,
                      const std::vector<Way>& ways) {
  const size_t first = field_.size();
  for (const Way& way : ways) {
    const std::string name =
        level + " " + way.strategy + (way.is_resident ? " at load " : " ") + text_of(coding);
    add("ours", name, level, coding.kind != Coding::Kind::f32,
        [this, coding, way, isa] { return make_ours(shape_.layer, coding, way, isa); });
  }
  const LayerPtr chosen = make_ours(shape_.layer, coding, {}, isa);
  for (size_t i = first; i < field_.size(); ++i) {
    Row& row = field_[i].row;
    const bool is_resident = row.candidate.find(" at load ") != std::string::npos;
    row.is_chosen = chosen && !is_resident && kernel_of(chosen->note()) == kernel_of(row.note);
  }
}

void Field::add(const char* kind, const std::string& name, const std::string& level,
                bool is_integer, const Factory& make) {
  if (std::strcmp(kind, "ours") == 0 && !options_.ours.empty() &&
      !std::regex_search(name, std::regex(options_.ours)))
    return;
  LayerPtr first = make();
  if (first == nullptr) return;
  Candidate c{{}, level, is_integer, make, nullptr};
  const LayerShape& s = shape_.layer;
  c.row.layer = s.name, c.row.candidate = name, c.row.kind = kind;
  c.row.rows = s.rows(), c.row.inputs = s.inputs(), c.row.outputs = s.cout;
  c.row.ops = s.ops(), c.row.is_cold = shape_.cold;
  Contestant trial{[&first] { first->run(); }, 1, {}};
  c.first_us = calibrate_calls(trial, 0);
  c.layer = std::move(first);
  c.row.note = c.layer->note(), c.row.weight_bytes = c.layer->weight_bytes();
  field_.push_back(std::move(c));
}

void Field::drop_slow() {
  for (const char* kind : {"int8", "f32", "ours"}) {
    const bool is_ours = std::strcmp(kind, "ours") == 0;
    double best = 0;
    for (const Candidate& c : field_)
      if (c.row.kind == (is_ours ? "f32" : kind) && (best == 0 || c.first_us < best))
        best = c.first_us;
    const auto hopeless = [&](const Candidate& c) {
      return best > 0 && c.row.kind == kind && c.row.candidate != "xnnpack f32" &&
             c.first_us > (is_ours ? 10 : 1.5) * best;
    };
    field_.erase(std::remove_if(field_.begin(), field_.end(), hopeless), field_.end());
  }
}

std::vector<Row> Field::race(const Ceilings& ceilings) {
  std::vector<Contestant> all(field_.size());
  for (size_t i = 0; i < all.size(); ++i) {
    if (shape_.cold) field_[i].layer = std::make_unique<Rotating>(field_[i].make);
    all[i].run = [layer = field_[i].layer.get()] { layer->run(); };
    calibrate_calls(all[i], options_.round_us);
  }
  run_rounds(all, options_.rounds);
  const Contestant* int8 = fastest(all, "int8");
  const Contestant* f32 = fastest(all, "f32");
  std::vector<Row> rows;
  for (size_t i = 0; i < all.size(); ++i) {
    Row row = field_[i].row;
    row.us = all[i].us;
    if (int8 != nullptr) row.times_int8 = speed_ratio(*int8, all[i]);
    if (f32 != nullptr) row.times_f32 = speed_ratio(*f32, all[i]);
    const double us = median(row.us);
    const double most = arithmetic_ceiling(ceilings, field_[i].level, field_[i].is_integer);
    if (most > 0) row.of_ceiling = row.ops / us / 1000 / most;
    if (row.is_cold) row.of_ceiling = row.weight_bytes / us / 1000 / ceilings.dram;
    rows.push_back(row);
  }
  return rows;
}

const Contestant* Field::fastest(const std::vector<Contestant>& all,
                                 const std::string& kind) const {
  const Contestant* found = nullptr;
  for (size_t i = 0; i < all.size(); ++i)
    if (field_[i].row.kind == kind && (!found || median(all[i].us) < median(found->us)))
      found = &all[i];
  return found;
}

}  // namespace qrt::bench
