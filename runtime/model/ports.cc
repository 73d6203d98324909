// The model's face: inputs, outputs, preprocessing, labels, golden values and
// where the file came from.
#include <cmath>
#include <cstring>

#include "runtime/model/reader.h"

namespace qrt {
namespace {

constexpr int64_t kMaxPorts = 256;
constexpr int64_t kMaxImage = 1 << 14;

Status check_floats(const flatbuffers::Vector<float>* v, uint32_t channels, const char* what,
                    Span<const float>* out) {
  if (v == nullptr || v->size() == 0) return {};
  QRT_REQUIRE(v->size() == 1 || v->size() == channels, kBadModel, 192, what);
  for (const float f : *v) QRT_REQUIRE(std::isfinite(f), kBadModel, 192, what);
  *out = {v->data(), v->size()};
  return {};
}

// The crop is what the tensor holds, whichever side of it the channels lie.
Status check_crop(const Preprocess& p, uint32_t channels, const TensorInfo& t) {
  const auto c = static_cast<int32_t>(channels);
  const auto h = static_cast<int32_t>(p.crop_h), w = static_cast<int32_t>(p.crop_w);
  const Shape& s = t.shape;
  QRT_REQUIRE(s.rank == 4 && s[0] == 1 &&
                  ((s[1] == c && s[2] == h && s[3] == w) || (s[1] == h && s[2] == w && s[3] == c)),
              kBadModel, 192, "the crop and channels do not give the input's shape");
  return {};
}

Status read_preprocess(const fb::Preprocess& f, const TensorInfo& t, Preprocess* p) {
  QRT_TRY(read_enum(f.channels(), &p->channels, "the channel order is unknown"));
  QRT_TRY(in_range(f.resize_shorter(), 0, kMaxImage, 192, "resize_shorter is out of range"));
  QRT_TRY(in_range(f.crop_h(), 0, kMaxImage, 192, "crop_h is out of range"));
  QRT_TRY(in_range(f.crop_w(), 0, kMaxImage, 192, "crop_w is out of range"));
  p->resize_shorter = f.resize_shorter();
  p->crop_h = f.crop_h();
  p->crop_w = f.crop_w();
  QRT_REQUIRE((p->crop_h == 0) == (p->crop_w == 0), kBadModel, 192,
              "one side of the crop is zero, the other is not");
  QRT_REQUIRE(
      p->resize_shorter == 0 || (p->crop_h <= p->resize_shorter && p->crop_w <= p->resize_shorter),
      kBadModel, 192, "the crop is larger than the resized image");
  const uint32_t channels = p->channels == Channels::gray ? 1 : 3;
  if (p->crop_h != 0) QRT_TRY(check_crop(*p, channels, t));
  QRT_REQUIRE(std::isfinite(f.scale()) && f.scale() != 0, kBadModel, 192,
              "the preprocessing scale is zero or not finite");
  p->scale = f.scale();
  QRT_TRY(check_floats(f.mean(), channels, "the means do not fit the channels", &p->mean));
  QRT_TRY(check_floats(f.std(), channels, "the deviations do not fit the channels", &p->std));
  for (const float f_std : p->std)
    QRT_REQUIRE(f_std > 0, kBadModel, 192, "a standard deviation is not positive");
  return {};
}

Status read_port(Reader& r, const fb::Port& f, Port* port) {
  QRT_TRY(read_text(f.name(), &port->name));
  QRT_REQUIRE(port->name[0] != 0, kBadModel, 191, "an input or output has no name");
  QRT_TRY(in_range(f.tensor(), 0, static_cast<int64_t>(r.model.tensors.size()) - 1, 111,
                   "a tensor's index is out of range"));
  port->tensor = f.tensor();
  QRT_REQUIRE(r.model.tensors[port->tensor].dtype != DType::bits, kBadModel, 158,
              "an input or output of the model is stored as bits");
  if (f.preprocess() == nullptr) return {};
  Preprocess* p = r.keep.make<Preprocess>();
  if (p == nullptr) return out_of_memory();
  QRT_TRY(read_preprocess(*f.preprocess(), r.model.tensors[port->tensor], p));
  port->preprocess = p;
  return {};
}

Status read_list(Reader& r, const flatbuffers::Vector<flatbuffers::Offset<fb::Port>>& list,
                 Where where, Span<const Port>* out) {
  QRT_TRY(in_range(list.size(), 1, kMaxPorts, 190,
                   where == Where::input ? "the number of inputs is out of range"
                                         : "the number of outputs is out of range"));
  const Span<Port> ports = r.keep.array<Port>(list.size());
  if (ports.data() == nullptr) return out_of_memory();
  for (uint32_t i = 0; i < ports.size(); ++i) {
    QRT_TRY(read_port(r, *list.Get(i), &ports[i]).at(where, i));
    for (uint32_t j = 0; j < i; ++j) {
      QRT_REQUIRE(std::strcmp(ports[i].name, ports[j].name) != 0, kBadModel, 191,
                  "two inputs or two outputs have one name");
    }
  }
  *out = ports;
  return {};
}

Status read_labels(Reader& r) {
  const auto* labels = r.root.labels();
  if (labels == nullptr) return {};
  const Span<const char*> out = r.keep.array<const char*>(labels->size());
  if (out.data() == nullptr) return out_of_memory();
  for (uint32_t i = 0; i < out.size(); ++i) QRT_TRY(read_text(labels->Get(i), &out[i]));
  r.model.labels = {out.data(), out.size()};
  return {};
}

Status read_golden_side(Reader& r, const flatbuffers::Vector<uint32_t>& buffers,
                        Span<const Port> ports, Span<const Bytes>* out) {
  QRT_TRY(equal(buffers.size(), static_cast<int64_t>(ports.size()), 194,
                "the golden values do not count the model's inputs or outputs"));
  const Span<Bytes> bytes = r.keep.array<Bytes>(ports.size());
  if (bytes.data() == nullptr) return out_of_memory();
  for (uint32_t i = 0; i < ports.size(); ++i) {
    QRT_TRY(read_buffer(r, buffers.Get(i), &bytes[i]));
    const TensorInfo& t = r.model.tensors[ports[i].tensor];
    QRT_TRY(equal_size(bytes[i].size(), t.shape.elements() * size_of(t.dtype), 194,
                       "a golden value has another size than its tensor")
                .at(Where::tensor, ports[i].tensor));
  }
  *out = bytes;
  return {};
}

Status read_golden(Reader& r) {
  const fb::Golden* golden = r.root.golden();
  if (golden == nullptr) return {};
  QRT_TRY(read_golden_side(r, *golden->inputs(), r.model.inputs, &r.model.golden_inputs));
  QRT_TRY(read_golden_side(r, *golden->outputs(), r.model.outputs, &r.model.golden_outputs));
  QRT_REQUIRE(std::isfinite(golden->tolerance()) && golden->tolerance() >= 0, kBadModel, 194,
              "the golden tolerance is negative or not finite");
  r.model.golden_tolerance = golden->tolerance();
  r.model.has_golden = true;
  return {};
}

}  // namespace

Status read_ports(Reader& r) {
  QRT_TRY(read_list(r, *r.root.inputs(), Where::input, &r.model.inputs));
  QRT_TRY(read_list(r, *r.root.outputs(), Where::output, &r.model.outputs));
  QRT_TRY(read_labels(r));
  QRT_TRY(read_golden(r));
  Provenance& p = r.model.provenance;
  p = {"", "", "", "", ""};
  const fb::Provenance* f = r.root.provenance();
  if (f == nullptr) return {};
  QRT_TRY(read_text(f->tool(), &p.tool));
  QRT_TRY(read_text(f->source_sha256(), &p.source_sha256));
  QRT_TRY(read_text(f->weights_sha256(), &p.weights_sha256));
  QRT_TRY(read_text(f->method(), &p.method));
  return read_text(f->options(), &p.options);
}

}  // namespace qrt
