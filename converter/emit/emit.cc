// Writes the FlatBuffer. Children are built before their parents and the
// builder grows towards the front, so bulk data ends up at the end of the file
// and the tables in front of it. What speaks of the whole file, its size and
// checksum, is patched in last.
#include "converter/emit/emit.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "converter/base/text.h"
#include "converter/emit/bulk.h"
#include "converter/emit/tables.h"
#include "converter/lower/lower.h"
#include "schema/layout.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace qrt::emit {

namespace {

using flatbuffers::Offset;
using lower::File;
using lower::Kind;

template <class T>
using Vector = flatbuffers::Vector<Offset<T>>;

uint64_t checksum(const std::string& bytes) {
  return bytes.empty() ? XXH3_64bits("", 0) : XXH3_64bits(bytes.data(), bytes.size());
}

std::string golden_bytes(ir::ElementType type, const std::vector<float>& values) {
  if (type == ir::ElementType::f32) return f32_bytes(values);
  return int_bytes(type, {values.begin(), values.end()});
}

class Writer {
 public:
  Writer(const File& file, const FileInfo& info) : file_(file), info_(info) { collect(); }

  // Bulk data with its gaps: all of the file but tables and names.
  uint64_t bulk_bytes() const { return bulk_.padded_bytes(); }

  std::vector<uint8_t> write() {
    write_buffers();
    const auto weights = write_all<fb::Weights>(
        file_.weights.size(), [&](size_t i) { return t_.weights(file_.weights[i], stored_[i]); });
    const auto operators = write_all<fb::Operator>(
        file_.operators.size(), [&](size_t i) { return t_.op(file_.operators[i]); });
    const auto tensors = write_all<fb::Tensor>(
        file_.tensors.size(), [&](size_t i) { return t_.tensor(file_.tensors[i]); });
    const auto inputs = write_all<fb::Port>(file_.inputs.size(), [&](size_t i) {
      return port(file_.inputs[i],
                  i < info_.preprocess.size() ? info_.preprocess[i] : std::nullopt);
    });
    const auto outputs = write_all<fb::Port>(
        file_.outputs.size(), [&](size_t i) { return port(file_.outputs[i], std::nullopt); });
    const auto buffers = b_.CreateVector(buffers_);
    Offset<Vector<flatbuffers::String>> labels = 0;
    if (!info_.labels.empty())
      labels = write_all<flatbuffers::String>(
          info_.labels.size(), [&](size_t i) { return t_.required_string(info_.labels[i]); });
    const auto golden_table = golden();
    const auto provenance_table = provenance();
    const auto name = t_.string(info_.name);
    // The ones stand for numbers that are known once everything is written.
    b_.Finish(fb::CreateModel(b_, layout::kSchemaVersion, 1, 1, name, tensors, operators, weights,
                              buffers, inputs, outputs, labels, golden_table, provenance_table),
              fb::ModelIdentifier());
    return patched();
  }

 private:
  // Bulk data in the order operators use it.
  void collect() {
    std::vector<bool> done(file_.weights.size());
    stored_.resize(file_.weights.size());
    for (const lower::Operator& op : file_.operators) {
      if (lower::is_layer(op.kind) && !done[op.weights]) {
        stored_[op.weights] = bulk_.add_weights(file_.weights[op.weights]);
        done[op.weights] = true;
      }
      for (const auto* v : {&op.scale, &op.bias})
        if (!v->empty()) bulk_.add_numbers(*v);
      t_.place_thresholds(op);
    }
    for (const lower::Tensor& t : file_.tensors)
      if (t.is_constant) bulk_.add(element_bytes(t.type, t.data, t.ints));
    if (!info_.golden) return;
    const emit::Golden& golden = *info_.golden;
    for (size_t i = 0; i < golden.inputs.size(); ++i)
      bulk_.add(golden_bytes(file_.tensors[file_.inputs[i]].type, golden.inputs[i]));
    for (size_t i = 0; i < golden.outputs.size(); ++i)
      bulk_.add(golden_bytes(file_.tensors[file_.outputs[i]].type, golden.outputs[i]));
  }

  // The builder grows towards the front: the last buffer is written first.
  void write_buffers() {
    const auto& all = bulk_.buffers();
    buffers_.resize(all.size());
    std::vector<Offset<flatbuffers::Vector<uint8_t>>> data(all.size());
    for (size_t i = all.size(); i-- > 0;) {
      b_.ForceVectorAlignment(all[i]->size(), 1, layout::kAlignment);
      data[i] = b_.CreateVector(reinterpret_cast<const uint8_t*>(all[i]->data()), all[i]->size());
    }
    for (size_t i = 0; i < all.size(); ++i)
      buffers_[i] = fb::CreateBuffer(b_, data[i], checksum(*all[i]));
  }

  template <class T, class One>
  Offset<Vector<T>> write_all(size_t count, const One& one) {
    std::vector<Offset<T>> tables(count);
    for (size_t i = 0; i < count; ++i) tables[i] = one(i);
    return b_.CreateVector(tables);
  }

  Offset<fb::Port> port(uint32_t tensor, const std::optional<Preprocess>& p) {
    Offset<fb::Preprocess> how = 0;
    if (p) {
      const auto mean = b_.CreateVector(p->mean), std = b_.CreateVector(p->std);
      how = fb::CreatePreprocess(b_, p->resize_shorter, p->crop_h, p->crop_w,
                                 static_cast<fb::Channels>(p->channels), p->scale, mean, std);
    }
    return fb::CreatePort(b_, t_.required_string(file_.tensors[tensor].name), tensor, how);
  }

  Offset<fb::Golden> golden() {
    if (!info_.golden) return 0;
    const auto side = [&](const std::vector<uint32_t>& ports,
                          const std::vector<std::vector<float>>& values) {
      std::vector<uint32_t> buffers;
      for (size_t i = 0; i < values.size(); ++i)
        buffers.push_back(bulk_.add(golden_bytes(file_.tensors[ports[i]].type, values[i])));
      return b_.CreateVector(buffers);
    };
    const auto in = side(file_.inputs, info_.golden->inputs);
    const auto out = side(file_.outputs, info_.golden->outputs);
    return fb::CreateGolden(b_, in, out, info_.golden->tolerance);
  }

  Offset<fb::Provenance> provenance() {
    const auto tool = t_.string(info_.tool), source = t_.string(info_.source_sha256),
               weights = t_.string(info_.weights_sha256), method = t_.string(info_.method),
               options = t_.string(info_.options);
    return fb::CreateProvenance(b_, tool, source, weights, method, options);
  }

  // The bytes with file_bytes and checksum filled in.
  std::vector<uint8_t> patched() {
    std::vector<uint8_t> bytes(b_.GetBufferPointer(), b_.GetBufferPointer() + b_.GetSize());
    const auto* root = flatbuffers::GetRoot<flatbuffers::Table>(bytes.data());
    const auto put = [&](flatbuffers::voffset_t field, uint64_t v) {
      const auto at = static_cast<size_t>(root->GetAddressOf(field) - bytes.data());
      for (size_t i = 0; i < 8; ++i) bytes[at + i] = static_cast<uint8_t>(v >> (8 * i));
      return at;
    };
    put(fb::Model::VT_FILE_BYTES, bytes.size());
    const size_t hole = put(fb::Model::VT_CHECKSUM, 0);
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, bytes.data(), hole);
    XXH3_64bits_update(&state, bytes.data() + hole + 8, bytes.size() - hole - 8);
    put(fb::Model::VT_CHECKSUM, XXH3_64bits_digest(&state));
    return bytes;
  }

  const File& file_;
  const FileInfo& info_;
  flatbuffers::FlatBufferBuilder b_{1 << 20};
  Bulk bulk_;
  Tables t_{b_, bulk_};
  std::vector<StoredWeights> stored_;
  std::vector<Offset<fb::Buffer>> buffers_;
};

// ---- what the runtime would refuse, said with the names of the source ----

Result<void> check_finite(const std::vector<float>& v, const std::string& of, const char* what) {
  for (size_t i = 0; i < v.size(); ++i)
    if (!std::isfinite(v[i]))
      return fail(606, of, ": ", what, " value ", i, " is ", v[i],
                  "; constants must be finite: check the training run or the export");
  return {};
}

Result<void> check_values(const File& file) {
  for (const auto& w : file.weights) QRT_CHECK_OK(check_finite(w.dense, w.name, "weight"));
  for (const auto& op : file.operators) {
    QRT_CHECK_OK(check_finite(op.scale, op.name, "scale"));
    QRT_CHECK_OK(check_finite(op.bias, op.name, "bias"));
  }
  for (const auto& t : file.tensors)
    QRT_CHECK_OK(check_finite(t.data, t.name.empty() ? "an operand" : t.name, "constant"));
  return {};
}

constexpr float kLargestWhole = 1 << 24;  // beyond it floats skip whole numbers

Result<void> check_golden_side(const File& file, const std::vector<uint32_t>& ports,
                               const std::vector<std::vector<float>>& values, const char* what) {
  if (ports.size() != values.size())
    return fail(608, "golden values: ", values.size(), " ", what, "s are given; the model has ",
                ports.size());
  for (size_t i = 0; i < ports.size(); ++i) {
    const lower::Tensor& t = file.tensors[ports[i]];
    size_t want = 1;
    for (int32_t d : t.dims) want *= static_cast<size_t>(d);
    if (values[i].size() != want)
      return fail(608, "golden values of ", what, " ", t.name, ": ", values[i].size(),
                  " numbers are given; batch 1 has ", want);
    QRT_CHECK_OK(check_finite(values[i], t.name, "golden"));
    const bool whole = std::all_of(values[i].begin(), values[i].end(), [](float v) {
      return std::abs(v) <= kLargestWhole && v == std::floor(v);
    });
    if (t.type != ir::ElementType::f32 && !whole)
      return fail(608, "golden values of ", what, " ", t.name, ", which holds ",
                  ir::name_of(t.type), ", are not all whole numbers up to 2^24");
  }
  return {};
}

}  // namespace

Result<std::vector<uint8_t>> emit(const File& file, const FileInfo& info) {
  QRT_CHECK_OK(check_values(file));
  if (info.preprocess.size() > file.inputs.size())
    return fail(608, "preprocessing is given for ", info.preprocess.size(),
                " inputs; the model has ", file.inputs.size());
  if (info.golden) {
    QRT_CHECK_OK(check_golden_side(file, file.inputs, info.golden->inputs, "input"));
    QRT_CHECK_OK(check_golden_side(file, file.outputs, info.golden->outputs, "output"));
  }
  Writer writer(file, info);
  // Tables and names take some hundred bytes per operator; 64 MiB are far more than enough.
  if (writer.bulk_bytes() > layout::kMaxFileBytes - (uint64_t{64} << 20))
    return fail(607, "the file would hold ", writer.bulk_bytes(),
                " bytes of weights; the format ends at ", layout::kMaxFileBytes,
                " bytes: compress the model (--method) or split it");
  return writer.write();
}

Result<std::vector<uint8_t>> emit(const ir::Graph& graph, const FileInfo& info) {
  auto file = lower::lower(graph);
  if (!file.ok()) return file.error();
  return emit(*file, info);
}

}  // namespace qrt::emit
