// Reading checkpoints: which dictionary shapes are recognised and how they become
// named parameters. kill-the-bits (facebookresearch, ICLR 2020) nests one
// dictionary per layer: {centroids [k][d], assignments [m * Cout] block-major,
// n_blocks = m, is_conv, k = kernel size}; PQF (uber-research, CVPR 2021) is flat:
// `<layer>.codes_matrix` [Cout][m] and `<layer>.codebook` [k][d].
#include "converter/import/checkpoint.h"

#include <algorithm>
#include <string_view>

#include "converter/base/file.h"
#include "converter/base/half.h"
#include "converter/base/text.h"
#include "converter/import/torch_file.h"
#include "schema/layout.h"

namespace qrt::import {
namespace {

constexpr int kUnreadable = 650;
constexpr int kBadLayer = 660;
constexpr int kNoWeights = 661;
constexpr size_t kMaxParameters = 100'000;

using Kind = Pickle::Kind;

// Two halves of a PQF layer until both were seen.
struct Halves {
  PickleId codes = 0, book = 0;
  bool has_codes = false, has_book = false;
  size_t place = 0;
};

class Reader {
 public:
  explicit Reader(TorchFile file) : file_(std::move(file)) {}

  Result<Checkpoint> run() {
    QRT_CHECK_OK(read_dict(state_dict()));
    for (const auto& [layer, halves] : pqf_) QRT_CHECK_OK(add_pqf(layer, halves));
    if (out_.parameters.empty())
      return fail(kNoWeights,
                  "the checkpoint holds no tensors under names; save model.state_dict()");
    if (out_.format.empty()) out_.format = "state dict";
    return std::move(out_);
  }

 private:
  const Pickle& pickle() const { return file_.pickle; }
  Kind kind(PickleId id) const { return pickle().node(id).kind; }

  // The dictionary of parameters: the object itself or what training scripts wrap it in.
  PickleId state_dict() const {
    PickleId inner;
    for (const char* key : {"state_dict", "model_state_dict", "model"})
      if (pickle().find(pickle().root, key, &inner) && kind(inner) == Kind::dict) return inner;
    return pickle().root;
  }

  // Every parameter gets its name here: "module." of DataParallel goes, "fc_bias" {bias} of
  // kill-the-bits is fc.bias.
  static std::string plain(std::string_view name) {
    constexpr std::string_view kModule = "module.";
    if (name.starts_with(kModule)) name.remove_prefix(kModule.size());
    return std::string(name);
  }

  Result<void> read_dict(PickleId dict) {
    if (kind(dict) != Kind::dict)
      return fail(kNoWeights, "the checkpoint is no dictionary; save model.state_dict()");
    const auto pairs = pickle().items_of(dict);
    for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
      const Pickle::Node& key = pickle().node(pairs[i]);
      if (key.kind != Kind::string) continue;
      const std::string name = plain(key.text);
      if (kind(pairs[i + 1]) == Kind::tensor) QRT_CHECK_OK(add_tensor(name, pairs[i + 1]));
      if (kind(pairs[i + 1]) == Kind::dict) QRT_CHECK_OK(read_layer(name, pairs[i + 1]));
    }
    return {};
  }

  // A dictionary of one layer: coded, or tensors under their last name.
  Result<void> read_layer(const std::string& layer, PickleId dict) {
    const auto pairs = pickle().items_of(dict);
    PickleId found;
    if (pairs.size() <= 64 &&
        (pickle().find(dict, "centroids", &found) || pickle().find(dict, "assignments", &found)))
      return add_kill_the_bits(layer, dict);
    const bool is_bias = layer.ends_with("_bias") && pairs.size() == 2;
    const std::string base = is_bias ? layer.substr(0, layer.size() - 5) : layer;
    for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
      const Pickle::Node& key = pickle().node(pairs[i]);
      if (key.kind == Kind::string && kind(pairs[i + 1]) == Kind::tensor)
        QRT_CHECK_OK(add_tensor(cat(base, ".", key.text), pairs[i + 1]));
    }
    return {};
  }

  Result<void> add_tensor(const std::string& name, PickleId id) {
    for (const char* part : {".codes_matrix", ".codebook"}) {
      if (!std::string_view(name).ends_with(part)) continue;
      const bool is_codes = part[5] == 's';
      Halves& h = pqf_[name.substr(0, name.size() - std::string_view(part).size())];
      (is_codes ? h.codes : h.book) = id;
      (is_codes ? h.has_codes : h.has_book) = true;
      h.place = place_++;
      return {};
    }
    if (name.ends_with("num_batches_tracked")) return {};  // a training counter
    auto values = read_floats(file_, id);
    if (!values.ok()) return fail(values.error().id, name, ": ", values.error().message);
    Parameter p;
    p.shape = pickle().tensor_of(id).shape;
    p.values = std::move(*values);
    return add(name, std::move(p));
  }

  Result<void> add(const std::string& name, Parameter p) {
    if (out_.parameters.size() == kMaxParameters)
      return fail(kNoWeights, "the checkpoint has more than 100 000 parameters");
    p.place = place_++;
    if (!out_.parameters.emplace(name, std::move(p)).second)
      return fail(kBadLayer, name, ": the checkpoint holds this parameter twice");
    return {};
  }

  // ---- codebooks -----------------------------------------------------------------------------

  Result<int64_t> integer_in(const std::string& layer, PickleId dict, const char* key) {
    PickleId id;
    if (!pickle().find(dict, key, &id) || (kind(id) != Kind::integer && kind(id) != Kind::boolean))
      return fail(kBadLayer, layer, ": its entry '", key,
                  "' is missing or no number; the file is no complete kill-the-bits checkpoint");
    return pickle().node(id).integer;
  }

  Result<PickleId> tensor_in(const std::string& layer, PickleId dict, const char* key) {
    PickleId id;
    if (!pickle().find(dict, key, &id) || kind(id) != Kind::tensor)
      return fail(kBadLayer, layer, ": its entry '", key,
                  "' is missing or no tensor; the file is no complete kill-the-bits checkpoint");
    return id;
  }

  Result<void> add_kill_the_bits(const std::string& layer, PickleId dict) {
    out_.format = "kill-the-bits";
    auto book = tensor_in(layer, dict, "centroids");
    if (!book.ok()) return book.error();
    auto codes = tensor_in(layer, dict, "assignments");
    if (!codes.ok()) return codes.error();
    auto blocks = integer_in(layer, dict, "n_blocks");
    if (!blocks.ok()) return blocks.error();
    auto is_conv = integer_in(layer, dict, "is_conv");
    if (!is_conv.ok()) return is_conv.error();
    auto kernel = integer_in(layer, dict, "k");
    if (!kernel.ok()) return kernel.error();
    const PickleTensor& t = pickle().tensor_of(*codes);
    if (t.shape.size() != 1 || t.shape[0] < 1 || *blocks < 1 || t.shape[0] % *blocks != 0)
      return fail(kBadLayer, layer, ": assignments ", shape_text(t.shape), " do not divide into ",
                  *blocks, " blocks (n_blocks); one dimension of n_blocks x outputs is expected");
    QRT_CHECK_OK(add_codebook(layer, *book, *codes, *blocks, t.shape[0] / *blocks, true));
    const Parameter& p = out_.parameters.at(layer + ".weight");
    const int64_t side = *kernel;
    if (*is_conv && (side < 1 || side > 255 || p.inputs % (side * side) != 0))
      return fail(kBadLayer, layer, ": its ", p.inputs, " inputs (n_blocks x block length) are no ",
                  "multiple of a ", side, " x ", side, " kernel");
    return {};
  }

  Result<void> add_pqf(const std::string& layer, const Halves& h) {
    out_.format = "PQF";
    if (!h.has_codes || !h.has_book)
      return fail(kBadLayer, layer, ": its ", h.has_codes ? "codebook" : "codes_matrix",
                  " is missing; the file is no complete PQF checkpoint");
    const PickleTensor& t = pickle().tensor_of(h.codes);
    if (t.shape.size() != 2 || t.shape[0] < 1 || t.shape[1] < 1)
      return fail(kBadLayer, layer, ": codes_matrix is ", shape_text(t.shape),
                  "; [outputs][blocks] is expected");
    QRT_CHECK_OK(add_codebook(layer, h.book, h.codes, t.shape[1], t.shape[0], false));
    out_.parameters.at(layer + ".weight").place = h.place;
    return {};
  }

  // Codes [block][output] where `is_block_major`, else [output][block].
  Result<void> add_codebook(const std::string& layer, PickleId book, PickleId codes, int64_t blocks,
                            int64_t outputs, bool is_block_major) {
    const PickleTensor& t = pickle().tensor_of(book);
    if (t.shape.size() != 2 || t.shape[0] < 1 || t.shape[0] > layout::kMaxCentroids ||
        t.shape[1] < 1 || t.shape[1] > layout::kMaxBlockDim)
      return fail(kBadLayer, layer, ": its codebook is ", shape_text(t.shape),
                  "; [centroids 1..65536][block length 1..1024] is expected");
    if (blocks > layout::kMaxDim || outputs > layout::kMaxDim)
      return fail(kBadLayer, layer, ": ", blocks, " blocks x ", outputs, " outputs is too large");
    auto numbers = read_integers(file_, codes);
    if (!numbers.ok()) return fail(numbers.error().id, layer, ": ", numbers.error().message);
    auto entries = read_floats(file_, book);
    if (!entries.ok()) return fail(entries.error().id, layer, ": ", entries.error().message);
    quant::Codebook c;
    c.count = static_cast<int32_t>(t.shape[0]);
    c.dim = static_cast<int32_t>(t.shape[1]);
    c.entries = std::move(*entries);
    const bool halves = std::all_of(c.entries.begin(), c.entries.end(), is_half);
    c.entry = halves ? quant::EntryType::f16 : quant::EntryType::f32;
    c.codes.resize(numbers->size());
    for (int64_t b = 0; b < blocks; ++b) {
      for (int64_t o = 0; o < outputs; ++o) {
        const int64_t n = (*numbers)[is_block_major ? b * outputs + o : o * blocks + b];
        if (n < 0 || n >= c.count)
          return fail(kBadLayer, layer, ": the code of output ", o, ", block ", b, " is ", n,
                      "; its codebook has centroids 0..", c.count - 1);
        c.codes[b * outputs + o] = static_cast<uint16_t>(n);
      }
    }
    Parameter p;
    p.outputs = outputs;
    p.inputs = blocks * c.dim;
    auto encoding = std::make_shared<quant::Encoding>(std::move(c));
    const auto sound = quant::check(*encoding, p.outputs, p.inputs);
    if (!sound.ok()) return fail(kBadLayer, layer, ": ", sound.error().message);
    p.encoding = std::move(encoding);
    return add(layer + ".weight", std::move(p));
  }

  TorchFile file_;
  Checkpoint out_;
  std::map<std::string, Halves> pqf_;
  size_t place_ = 0;
};

}  // namespace

Result<Checkpoint> read_checkpoint(std::span<const uint8_t> bytes) {
  auto file = open_torch_file(bytes);
  if (!file.ok()) return file.error();
  auto out = Reader(std::move(*file)).run();
  if (out.ok()) out->sha256 = sha256_hex(bytes.data(), bytes.size());
  return out;
}

Result<Checkpoint> read_checkpoint(const std::string& path) {
  auto text = read_file(path, layout::kMaxFileBytes, kUnreadable);
  if (!text.ok()) {
    Error e = text.error();
    if (e.message.starts_with(path + ": ")) e.message.erase(0, path.size() + 2);
    return e;
  }
  return read_checkpoint(std::span(reinterpret_cast<const uint8_t*>(text->data()), text->size()));
}

}  // namespace qrt::import
