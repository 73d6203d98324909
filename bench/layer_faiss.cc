// faiss's 4-bit product quantization for a single row, the peer of our lookups: bytes of 16 entries
// per block are tabulated from f32 inputs and codebooks, and a scan adds them up in u16 for every
// output. Only these two are timed, without the search for the largest sums that faiss is made for.
#include <faiss/IndexPQFastScan.h>
#include <faiss/impl/pq4_fast_scan.h>

#include <random>

#include "bench/layers.h"

// In the library, in none of its headers.
namespace faiss {
void accumulate_to_mem(int queries, size_t vectors, int blocks, const uint8_t* codes,
                       const uint8_t* tables, uint16_t* sums);
}

namespace qrt::bench {
namespace {

class FaissLayer final : public TimedLayer {
 public:
  FaissLayer(const LayerShape& s, uint32_t dim, bool tables)
      : tables_(tables),
        index_(static_cast<int>(s.cin), s.cin / dim, 4, faiss::METRIC_INNER_PRODUCT),
        x_(s.cin) {
    std::mt19937 bits(1);
    const auto number = [&bits] { return static_cast<float>(bits() >> 8) / 8388608.0f - 1.0f; };
    for (float& v : x_) v = number();
    for (float& v : index_.pq.centroids) v = number();
    index_.is_trained = true;
    index_.ntotal = s.cout;
    index_.ntotal2 = (s.cout + 31) / 32 * 32;
    index_.codes.resize(index_.ntotal2 * index_.M2 / 2);
    for (size_t i = 0; i < index_.codes.size(); ++i)
      index_.codes[i] = static_cast<uint8_t>(bits() >> 8);
    lut_.resize(index_.M2 * 16), packed_.resize(index_.M2 * 16), sums_.resize(index_.ntotal2);
    build();
  }
  void run() override {
    if (tables_) build();
    faiss::accumulate_to_mem(1, index_.ntotal2, static_cast<int>(index_.M2), index_.codes.get(),
                             packed_.get(), sums_.get());
  }
  std::string note() const override { return "u16 sums, no epilogue"; }
  double weight_bytes() const override { return static_cast<double>(index_.codes.size()); }

 private:
  void build() {
    float normalizers[2];
    index_.compute_quantized_LUT(1, x_.data(), lut_.get(), normalizers);
    faiss::pq4_pack_LUT(1, static_cast<int>(index_.M2), lut_.get(), packed_.get());
  }
  bool tables_;
  faiss::IndexPQFastScan index_;
  std::vector<float> x_;
  faiss::AlignedTable<uint8_t> lut_, packed_;
  faiss::AlignedTable<uint16_t> sums_;
};

}  // namespace

LayerPtr make_faiss(const LayerShape& s, uint32_t dim, bool tables) {
  if (!s.is_linear() || s.cin % (2 * dim) != 0) return nullptr;
  return std::make_unique<FaissLayer>(s, dim, tables);
}

}  // namespace qrt::bench
