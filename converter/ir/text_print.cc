// Printing a graph; the grammar stands in text.h. Everything printed is a
// function of the graph alone: no addresses, no locale, shortest floats.
#include <charconv>
#include <cstring>
#include <locale>
#include <span>

#include "converter/base/text.h"
#include "converter/ir/text.h"
#include "converter/ir/text_fields.h"
#include "converter/ir/text_lists.h"

namespace qrt::ir {
namespace {

using detail::list_text;
using detail::number_text;

constexpr const char* kOpNames[] = {
    "conv2d",   "linear",         "pool2d",  "binary", "unary",      "affine", "softmax",
    "concat",   "transpose",      "reshape", "pad",    "gather",     "cast",   "identity",
    "shape",    "unsqueeze",      "squeeze", "slice",  "batch_norm", "resize", "tile",
    "matmul",   "conv_transpose", "select",  "reduce", "arg_reduce", "top_k",  "expand",
    "quantize", "fake_quantize",  "steps"};
static_assert(std::size(kOpNames) == std::variant_size_v<Attr>);
constexpr const char* kTypeNames[] = {"f32", "f16", "i8", "u8", "i32", "i64", "boolean"};

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::strchr("_./-+@", c) != nullptr;
}

std::string limit_text(float value, float no_limit) {
  return value == no_limit ? "none" : float_text(value);
}

// Collects "key=value" of the attributes that differ from the default `plain`.
template <class Attribute>
class Printer {
 public:
  Printer(const Attribute& attr, std::string* out) : out_(out) {
    Attribute copy = attr, plain{};
    Recorder defaults{{}}, values{{}};
    detail::fields(defaults, plain);
    detail::fields(values, copy);
    for (size_t i = 0; i < values.items.size(); ++i) {
      if (values.items[i] == defaults.items[i]) continue;
      append(*out_, values.items[i]);
    }
  }

 private:
  struct Recorder {
    std::vector<std::string> items;
    void add(const char* key, const std::string& value) { items.push_back(cat(key, "=", value)); }
    void field(const char* key, bool value) { add(key, value ? "true" : "false"); }
    void field(const char* key, int32_t value) { add(key, std::to_string(value)); }
    // Of a unary clamp, alpha is the minimum and beta the maximum.
    void field(const char* key, float value) {
      add(key, limit_text(value, std::strcmp(key, "beta") == 0 ? kNoMax : kNoMin));
    }
    void field(const char* key, const Clamp& value) {
      add(key, cat("[", limit_text(value.min, kNoMin), ",", limit_text(value.max, kNoMax), "]"));
    }
    template <class List>
    void field(const char* key, const List& values) requires requires {
      values.begin();
    }
    {
      std::string text;
      for (auto value : values) append(text, number_text(value), ",");
      add(key, cat("[", text, "]"));
    }
    template <class Enum>
    void word(const char* key, Enum value, std::span<const char* const> names) {
      const size_t index = static_cast<size_t>(value);
      add(key, index < names.size() ? names[index] : "?");
    }
  };
  std::string* out_;
};

std::string attr_text(const Attr& attr) {
  std::string text;
  std::visit([&](const auto& a) { Printer<std::decay_t<decltype(a)>> printer(a, &text); }, attr);
  return text;
}

std::string data_text(const Constant& constant) {
  std::string text;
  if (constant.encoding) {
    text = detail::encoding_text(*constant.encoding);
  } else if (constant.type == ElementType::f32 || constant.type == ElementType::f16) {
    text = list_text(constant.data);
  } else {
    text = list_text(constant.ints);
  }
  if (!constant.source.empty()) text += cat(" source ", quoted_name(constant.source));
  return text;
}

}  // namespace

const char* name_of(const Attr& attr) {
  return kOpNames[attr.index()];
}
const char* name_of(ElementType type) {
  return kTypeNames[static_cast<int>(type)];
}

bool type_of_name(const std::string& name, ElementType* type) {
  for (size_t i = 0; i < std::size(kTypeNames); ++i) {
    if (name == kTypeNames[i]) return *type = static_cast<ElementType>(i), true;
  }
  return false;
}

namespace {

template <size_t index = 0>
bool make_attr(size_t wanted, Attr* attr) {
  if constexpr (index < std::variant_size_v<Attr>) {
    if (index != wanted) return make_attr<index + 1>(wanted, attr);
    *attr = std::variant_alternative_t<index, Attr>{};
    return true;
  } else {
    return false;
  }
}

}  // namespace

bool attr_of_name(const std::string& name, Attr* attr) {
  for (size_t i = 0; i < std::size(kOpNames); ++i) {
    if (name == kOpNames[i]) return make_attr(i, attr);
  }
  return false;
}

std::string quoted_name(const std::string& name) {
  bool plain = !name.empty();
  for (char c : name) plain = plain && is_plain(c);
  if (plain) return name;
  std::string text = "\"";
  for (unsigned char c : name) {
    if (c == '"' || c == '\\') {
      text += '\\';
      text += static_cast<char>(c);
    } else if (c == '\n') {
      text += "\\n";
    } else if (c < 32 || c > 126) {
      char hex[5];
      std::snprintf(hex, sizeof hex, "\\x%02x", c);
      text += hex;
    } else {
      text += static_cast<char>(c);
    }
  }
  return text + "\"";
}

std::string float_text(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value);
  return std::string(text, end.ptr);
}

std::string type_text(const Value& value) {
  const std::string type = name_of(value.type) + shape_text(value.shape, value.batched);
  if (!value.quantization.present()) return type;
  if (value.quantization.bits)
    return cat(type, " bits(", float_text(value.quantization.scale), ")");
  return cat(type, " bytes(", float_text(value.quantization.scale), ", ", value.quantization.zero,
             ")");
}

std::string print(const Graph& graph) {
  std::string text = cat("graph ", quoted_name(graph.name), "\n");
  auto value_text = [&](ValueId id) { return cat("%", quoted_name(graph.values[id].name)); };
  for (ValueId id : graph.inputs) {
    text += cat("input ", value_text(id), ": ", type_text(graph.values[id]), "\n");
  }
  for (size_t id = 0; id < graph.values.size(); ++id) {
    const Value& value = graph.values[id];
    if (value.constant < 0) continue;
    text += cat("const ", value_text(static_cast<ValueId>(id)), ": ", type_text(value), " = ",
                data_text(graph.constants[value.constant]), "\n");
  }
  for (const Node& node : graph.nodes) {
    std::string inputs, outputs, origin;
    for (ValueId id : node.in) append(inputs, value_text(id));
    for (ValueId id : node.out) {
      append(outputs, cat(value_text(id), ": ", type_text(graph.values[id])));
    }
    for (const std::string& name : node.origin) {
      append(origin, quoted_name(name));
    }
    const std::string attrs = attr_text(node.attr);
    text += cat("node ", quoted_name(node.name), " = ", name_of(node.attr), "(", inputs, ")",
                attrs.empty() ? "" : cat(" {", attrs, "}"), " -> ", outputs,
                origin.empty() ? "" : cat(" from ", origin), "\n");
  }
  for (ValueId id : graph.outputs) text += cat("output ", value_text(id), "\n");
  return text;
}

}  // namespace qrt::ir
