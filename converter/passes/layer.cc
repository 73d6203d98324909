// One view of the two layers; see layer.h.
#include "converter/passes/layer.h"

#include "converter/passes/edit.h"

namespace qrt::passes {

namespace {

struct Flags {
  bool *scale = nullptr, *bias = nullptr, *residual = nullptr;
  bool* thresholds = nullptr;  // of the layers that may have them
};

Flags flags_of(ir::Attr& attr) {
  if (auto* c = std::get_if<ir::Conv2d>(&attr))
    return {&c->scale, &c->bias, &c->residual, &c->thresholds};
  if (auto* l = std::get_if<ir::Linear>(&attr))
    return {&l->scale, &l->bias, &l->residual, &l->thresholds};
  if (auto* t = std::get_if<ir::ConvTranspose>(&attr)) return {&t->scale, &t->bias, &t->residual};
  return {};
}

}  // namespace

bool takes_codes(const ir::Node& n) {
  return std::holds_alternative<ir::Conv2d>(n.attr) || std::holds_alternative<ir::Linear>(n.attr);
}

bool is_layer(const ir::Node& n) {
  return takes_codes(n) || std::holds_alternative<ir::ConvTranspose>(n.attr);
}

size_t output_axis(const ir::Node& n, size_t rank) {
  if (const auto* c = std::get_if<ir::Conv2d>(&n.attr)) return channel_axis(c->layout, rank);
  if (const auto* t = std::get_if<ir::ConvTranspose>(&n.attr)) return channel_axis(t->layout, rank);
  return rank - 1;
}

LayerInputs inputs_of(const ir::Node& n) {
  ir::Attr attr = n.attr;
  const Flags flags = flags_of(attr);
  LayerInputs r;
  r.x = n.in[0];
  r.weight = n.in[1];
  size_t next = 2;
  if (*flags.scale) r.scale = n.in[next++];
  if (*flags.bias) r.bias = n.in[next++];
  if (*flags.residual) r.residual = n.in[next++];
  if (flags.thresholds && *flags.thresholds) r.thresholds = n.in[next++];
  return r;
}

void set_inputs(ir::Node& n, const LayerInputs& r) {
  const Flags flags = flags_of(n.attr);
  *flags.scale = r.scale >= 0;
  *flags.bias = r.bias >= 0;
  *flags.residual = r.residual >= 0;
  if (flags.thresholds) *flags.thresholds = r.thresholds >= 0;
  n.in = {r.x, r.weight};
  for (ir::ValueId v : {r.scale, r.bias, r.residual, r.thresholds})
    if (v >= 0) n.in.push_back(v);
}

ir::Clamp* clamp_of(ir::Node& n) {
  if (auto* c = std::get_if<ir::Conv2d>(&n.attr)) return &c->clamp;
  if (auto* l = std::get_if<ir::Linear>(&n.attr)) return &l->clamp;
  if (auto* t = std::get_if<ir::ConvTranspose>(&n.attr)) return &t->clamp;
  if (auto* b = std::get_if<ir::Binary>(&n.attr)) return &b->clamp;
  if (auto* a = std::get_if<ir::Affine>(&n.attr)) return &a->clamp;
  return nullptr;
}

int64_t outputs_of(const ir::Graph& g, const ir::Node& n) {
  const auto& shape = g.values[static_cast<size_t>(n.in[1])].shape;
  return shape.empty() ? 0 : shape[0];
}

}  // namespace qrt::passes
