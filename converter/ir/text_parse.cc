// Parsing the text form of a graph; the grammar stands in text.h. Every error
// names its line. The parser reads what people write in tests, so it is strict:
// an unknown key or a value used before its line is an error.
#include <map>

#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/ir/text.h"
#include "converter/ir/text_cursor.h"
#include "converter/ir/text_fields.h"
#include "converter/ir/text_lists.h"

namespace qrt::ir {
namespace {

using detail::Cursor;
using detail::Setter;

class Parser {
 public:
  Result<Graph> run(const std::string& text) {
    size_t begin = 0;
    for (int line = 1; begin <= text.size(); ++line) {
      size_t end = text.find('\n', begin);
      if (end == std::string::npos) end = text.size();
      line_ = text.substr(begin, end - begin);
      Cursor at(line_);
      if (!at.done() && !statement(at)) {
        return fail(570, "line ", line, ": ", at.complaint(), "; the grammar stands in ",
                    "converter/ir/text.h");
      }
      begin = end + 1;
    }
    return std::move(graph_);
  }

 private:
  bool statement(Cursor& c) {
    bool good = false;
    if (c.take_word("graph")) {
      good = c.name(&graph_.name);
    } else if (c.take_word("input")) {
      good = input(c);
    } else if (c.take_word("const")) {
      good = constant(c);
    } else if (c.take_word("node")) {
      good = node(c);
    } else if (c.take_word("output")) {
      good = outputs(c);
    } else {
      return c.complain(cat("expected graph, input, const, node or output at '", c.rest(), "'"));
    }
    return good && (c.done() || c.complain(cat("unexpected '", c.rest(), "'")));
  }

  bool type(Cursor& c, Value* value) {
    std::string word;
    if (!c.name(&word)) return false;
    if (!type_of_name(word, &value->type)) return c.complain(cat("'", word, "' is no type"));
    if (!c.expect("[")) return false;
    while (!c.take("]")) {
      if (!value->shape.empty() && !c.expect(",")) return false;
      int64_t dim = 1;
      if (value->shape.empty() && c.take("N")) {
        value->batched = true;
      } else {
        if (!c.number(&dim)) return false;
        if (value->shape.empty() && c.take("N")) value->batched = true;
      }
      if (dim < 0) return c.complain(cat("dimension ", dim, " is negative"));
      value->shape.push_back(dim);
    }
    if (element_count(value->shape) < 0) return c.complain("the shape is too large");
    Quantization& q = value->quantization;
    if (c.take_word("bits"))
      return q.bits = true, c.expect("(") && c.number(&q.scale) && c.expect(")");
    return !c.take_word("bytes") || (c.expect("(") && c.number(&q.scale) && c.expect(",") &&
                                     c.number(&q.zero) && c.expect(")"));
  }

  bool defined(Cursor& c, Value value, ValueId* id = nullptr) {
    if (!ids_.emplace(value.name, static_cast<ValueId>(graph_.values.size())).second) {
      return c.complain(cat("%", value.name, " is defined twice"));
    }
    if (id != nullptr) *id = static_cast<ValueId>(graph_.values.size());
    graph_.values.push_back(std::move(value));
    return true;
  }

  bool used(Cursor& c, ValueId* id) {
    std::string name;
    if (!c.expect("%") || !c.name(&name)) return false;
    const auto found = ids_.find(name);
    if (found == ids_.end()) return c.complain(cat("%", name, " is not defined above"));
    *id = found->second;
    return true;
  }

  bool input(Cursor& c) {
    Value value;
    ValueId id;
    if (!c.expect("%") || !c.name(&value.name) || !c.expect(":") || !type(c, &value)) return false;
    if (!defined(c, std::move(value), &id)) return false;
    graph_.inputs.push_back(id);
    return true;
  }

  bool outputs(Cursor& c) {
    do {
      ValueId id;
      if (!used(c, &id)) return false;
      graph_.outputs.push_back(id);
    } while (c.take(","));
    return true;
  }

  bool constant(Cursor& c) {
    Value value;
    Constant constant;
    if (!c.expect("%") || !c.name(&value.name) || !c.expect(":") || !type(c, &value) ||
        !c.expect("=")) {
      return false;
    }
    const int64_t count = element_count(value.shape);
    constant.type = value.type;
    if (detail::read_encoding(c, value.shape, &constant.encoding)) {
      if (!constant.encoding) return false;
    } else if (is_float(value.type) ? !detail::read_list(c, count, &constant.data)
                                    : !detail::read_list(c, count, &constant.ints)) {
      return false;
    }
    if (c.take_word("source") && !c.name(&constant.source)) return false;
    value.constant = static_cast<int32_t>(graph_.constants.size());
    graph_.constants.push_back(std::move(constant));
    return defined(c, std::move(value));
  }

  bool attributes(Cursor& c, Attr* attr) {
    if (!c.take("{") || c.take("}")) return true;
    do {
      Setter setter{c, {}};
      if (!c.name(&setter.key) || !c.expect("=")) return false;
      std::visit([&](auto& a) { detail::fields(setter, a); }, *attr);
      if (!setter.found) {
        return c.complain(cat(name_of(*attr), " has no attribute ", setter.key));
      }
      if (!setter.good) return false;
    } while (c.take(","));
    return c.expect("}");
  }

  bool node(Cursor& c) {
    Node node;
    std::string op;
    if (!c.name(&node.name) || !c.expect("=") || !c.name(&op)) return false;
    if (!attr_of_name(op, &node.attr)) return c.complain(cat("there is no operator ", op));
    if (!c.expect("(")) return false;
    while (!c.take(")")) {
      ValueId id;
      if ((!node.in.empty() && !c.expect(",")) || !used(c, &id)) return false;
      node.in.push_back(id);
    }
    Value value;
    if (!attributes(c, &node.attr) || !c.expect("->") || !c.expect("%") || !c.name(&value.name)) {
      return false;
    }
    if (c.take(":")) {
      if (!type(c, &value)) return false;
    } else {
      Result<ValueType> found = infer(graph_, node);
      if (!found.ok()) return c.complain(found.error().message);
      value.type = found->type;
      value.shape = std::move(found->shape);
      value.batched = found->batched;
    }
    value.producer = static_cast<NodeId>(graph_.nodes.size());
    if (c.take_word("from")) {
      do {
        node.origin.emplace_back();
        if (!c.name(&node.origin.back())) return false;
      } while (c.take(","));
    }
    ValueId id;
    if (!defined(c, std::move(value), &id)) return false;
    node.out = {id};
    graph_.nodes.push_back(std::move(node));
    return true;
  }

  Graph graph_;
  std::map<std::string, ValueId> ids_;
  std::string line_;
};

}  // namespace

Result<Graph> parse(const std::string& text) {
  return Parser().run(text);
}

}  // namespace qrt::ir
