// Everybody who can compute one shape, and their race.
#ifndef QRT_BENCH_FIELD_H_
#define QRT_BENCH_FIELD_H_

#include <functional>
#include <string>
#include <vector>

#include "bench/report.h"
#include "bench/rounds.h"
#include "bench/shapes.h"

namespace qrt::bench {

struct FieldOptions {
  std::string isa;   // cap of our kernels; empty: the CPU's own
  std::string ours;  // those of our candidates whose names this matches; empty: all
  size_t rounds = 11;
  double round_us = 2000;
};

class Field {
 public:
  Field(const BenchShape&, const FieldOptions&);
  std::vector<Row> race(const Ceilings&);

 private:
  using Factory = std::function<LayerPtr()>;
  struct Candidate {
    Row row;
    std::string level;  // of the instructions used, where known
    bool is_integer;
    Factory make;
    LayerPtr layer;
    double first_us = 0;
  };

  bool is_lowbit() const;  // against int8 alone
  bool is_esb() const;
  void add_peers();
  void add_ours(const std::string& level, kernels::IsaSet isa);
  void add_coded(const std::string& level, kernels::IsaSet isa, const Coding& coding,
                 const std::vector<Way>& ways);
  void add(const char* kind, const std::string& name, const std::string& level, bool is_integer,
           const Factory& make);
  // Of the many that oneDNN offers only those that may be its best stay, of ours those that are
  // not hopeless.
  void drop_slow();
  const Contestant* fastest(const std::vector<Contestant>&, const std::string& kind) const;

  const BenchShape& shape_;
  const FieldOptions& options_;
  std::vector<Candidate> field_;
};

}  // namespace qrt::bench

#endif  // QRT_BENCH_FIELD_H_
