// Little-endian fields without padding: the same bytes on every machine.
#include "converter/quant/control.h"

#include <algorithm>
#include <bit>
#include <type_traits>

namespace qrt::quant {
namespace {

template <class T>
void put(std::string& to, T value) {
  uint64_t bits = 0;
  if constexpr (std::is_floating_point_v<T>)
    bits = std::bit_cast<uint32_t>(value);
  else
    bits = static_cast<uint64_t>(value);
  for (size_t i = 0; i < sizeof(T); ++i) to += static_cast<char>(bits >> (8 * i) & 255);
}

template <class T>
void put_all(std::string& to, const std::vector<T>& values) {
  put(to, static_cast<uint64_t>(values.size()));
  for (const T v : values) put(to, v);
}

// Reads what put() wrote; once anything is missing, `ok` stays false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  template <class T>
  T take() {
    if (!ok || rest_.size() < sizeof(T)) {
      ok = false;
      return T{};
    }
    uint64_t bits = 0;
    for (size_t i = 0; i < sizeof(T); ++i)
      bits |= uint64_t{static_cast<unsigned char>(rest_[i])} << (8 * i);
    rest_.remove_prefix(sizeof(T));
    if constexpr (std::is_floating_point_v<T>)
      return std::bit_cast<T>(static_cast<uint32_t>(bits));
    else
      return static_cast<T>(bits);
  }
  template <class T>
  void take_all(std::vector<T>& values) {
    const auto count = take<uint64_t>();
    ok = ok && count <= rest_.size() / sizeof(T);  // before memory is asked for
    for (uint64_t i = 0; ok && i < count; ++i) values.push_back(take<T>());
  }
  bool at_end() const { return rest_.empty(); }
  bool ok = true;

 private:
  std::string_view rest_;
};

}  // namespace

void Meter::begin(std::string_view now) {
  now_ = now;
  tell();
}

void Meter::finish(double units, bool resumed) {
  done_ += units;
  if (resumed) resumed_ += units;
  tell();
}

void Meter::tell() const {
  if (!control_.progress) return;
  const auto share = [&](double units) {
    return total_ > 0 ? std::clamp(units / total_, 0.0, 1.0) : 1.0;
  };
  control_.progress({share(done_), share(resumed_), now_});
}

std::string to_bytes(const Codebook& c) {
  std::string out;
  for (const int32_t v : {c.books, c.count, c.dim, c.scope_rows, static_cast<int32_t>(c.entry)})
    put(out, v);
  put_all(out, c.entries);
  put_all(out, c.entry_scales);
  put_all(out, c.codes);
  return out;
}

std::optional<Codebook> codebook_from(std::string_view bytes) {
  Reader in(bytes);
  Codebook c;
  for (int32_t* v : {&c.books, &c.count, &c.dim, &c.scope_rows}) *v = in.take<int32_t>();
  const auto entry = in.take<int32_t>();
  if (entry < 0 || entry > static_cast<int32_t>(EntryType::i8)) return std::nullopt;
  c.entry = static_cast<EntryType>(entry);
  in.take_all(c.entries);
  in.take_all(c.entry_scales);
  in.take_all(c.codes);
  if (!in.ok || !in.at_end()) return std::nullopt;
  return c;
}

std::string to_bytes(const Encoding& e) {
  std::string out;
  if (const auto* a = std::get_if<Affine>(&e)) {
    for (const int32_t v : {0, a->bits, a->taps, int32_t{a->is_signed},
                            static_cast<int32_t>(a->scales.axis), a->scales.group})
      put(out, v);
    put_all(out, a->zero_halves);
    put_all(out, a->codes);
    put_all(out, a->scales.values);
  } else if (const auto* b = std::get_if<BitPlanes>(&e)) {
    for (const int32_t v : {1, b->group, b->taps, int32_t{b->ternary5}}) put(out, v);
    put_all(out, b->counts);
    put_all(out, b->signs);
    put_all(out, b->alphas);
  }
  return out;
}

std::optional<Encoding> encoding_from(std::string_view bytes) {
  Reader in(bytes);
  const auto kind = in.take<int32_t>();
  if (!in.ok || kind < 0 || kind > 1) return std::nullopt;
  Affine a;
  BitPlanes b;
  if (kind == 0) {
    for (int32_t* v : {&a.bits, &a.taps}) *v = in.take<int32_t>();
    a.is_signed = in.take<int32_t>() != 0;
    const auto axis = in.take<int32_t>();
    if (axis < 0 || axis > static_cast<int32_t>(ScaleAxis::group)) return std::nullopt;
    a.scales.axis = static_cast<ScaleAxis>(axis);
    a.scales.group = in.take<int32_t>();
    in.take_all(a.zero_halves);
    in.take_all(a.codes);
    in.take_all(a.scales.values);
  } else {
    for (int32_t* v : {&b.group, &b.taps}) *v = in.take<int32_t>();
    b.ternary5 = in.take<int32_t>() != 0;
    in.take_all(b.counts);
    in.take_all(b.signs);
    in.take_all(b.alphas);
  }
  if (!in.ok || !in.at_end()) return std::nullopt;
  return kind == 0 ? Encoding(std::move(a)) : Encoding(std::move(b));
}

}  // namespace qrt::quant
