// Parsing the text form of a graph; the grammar stands in text.h. Every error
// names its line. The parser reads what people write in tests, so it is strict:
// an unknown key or a value used before its line is an error.
#include <map>

#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/ir/text.h"
#include "converter/ir/text_cursor.h"
#include "converter/ir/text_fields.h"

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

  // `count` values in any of the forms of DATA; -1 leaves the count to the list.
  template <class T>
  bool list(Cursor& c, int64_t count, std::vector<T>* out) {
    if (c.take_word("hash")) {
      return c.complain("the values were printed as a hash; write them as { ... } or fill");
    }
    T value{};
    if (c.take_word("fill")) {
      if (!c.number(&value)) return false;
      if (count > kMaxFill) return c.complain(cat("fill of more than ", kMaxFill, " values"));
      out->assign(static_cast<size_t>(count < 0 ? 1 : count), value);
      return true;
    }
    if (!c.expect("{")) return false;
    while (!c.take("}")) {
      if ((!out->empty() && !c.expect(",")) || !c.number(&value)) return false;
      out->push_back(value);
    }
    return count < 0 || static_cast<int64_t>(out->size()) == count ||
           c.complain(cat("found ", out->size(), " values; the shape has ", count));
  }

  bool codebook(Cursor& c, const std::vector<int64_t>& shape, Constant* constant);
  bool levels(Cursor& c, int64_t outputs, quant::Codebook* book);
  bool integers(Cursor& c, const std::vector<int64_t>& shape, Constant* constant);
  bool constant(Cursor& c) {
    Value value;
    Constant constant;
    if (!c.expect("%") || !c.name(&value.name) || !c.expect(":") || !type(c, &value) ||
        !c.expect("=")) {
      return false;
    }
    const int64_t count = element_count(value.shape);
    constant.type = value.type;
    if (c.take_word("codebook")) {
      if (!codebook(c, value.shape, &constant)) return false;
    } else if (c.take_word("integers")) {
      if (!integers(c, value.shape, &constant)) return false;
    } else if (is_float(value.type) ? !list(c, count, &constant.data)
                                    : !list(c, count, &constant.ints)) {
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

  static constexpr int64_t kMaxFill = 1 << 28;
  Graph graph_;
  std::map<std::string, ValueId> ids_;
  std::string line_;
};

bool Parser::codebook(Cursor& c, const std::vector<int64_t>& shape, Constant* constant) {
  quant::Codebook book;
  std::string key, word;
  if (!c.expect("{")) return false;
  do {
    if (!c.name(&key) || !c.expect("=")) return false;
    int32_t* const number = key == "books"        ? &book.books
                            : key == "count"      ? &book.count
                            : key == "dim"        ? &book.dim
                            : key == "scope_rows" ? &book.scope_rows
                                                  : nullptr;
    if (number != nullptr) {
      if (!c.number(number)) return false;
    } else if (key == "entry" && c.name(&word)) {
      book.entry = word == "f32"  ? quant::EntryType::f32
                   : word == "i8" ? quant::EntryType::i8
                                  : quant::EntryType::f16;
    } else {
      return c.complain(cat("codebook has no attribute ", key));
    }
  } while (c.take(","));
  if (shape.empty() || shape[0] < 1 || book.dim < 1 || book.count < 1 || book.books < 1 ||
      book.scope_rows < 0) {
    return c.complain("count, dim, books and the outputs must be at least 1");
  }
  // Sizes for `fill`; what they must be otherwise, quant::check() says.
  const int64_t inputs = element_count(shape) / shape[0];
  const int64_t scopes =
      book.scope_rows == 0 ? 1 : (shape[0] + book.scope_rows - 1) / book.scope_rows;
  const int64_t centroids = element_count({scopes, book.books, book.count});
  const int64_t entries = element_count({scopes, book.books, book.count, book.dim});
  const int64_t codes = element_count({book.books, (inputs + book.dim - 1) / book.dim, shape[0]});
  if (entries < 0 || codes < 0) return c.complain("the codebook is too large");
  if (!c.expect("}") || !c.expect("entries") || !list(c, entries, &book.entries)) return false;
  if (c.take_word("scales") && !list(c, centroids, &book.entry_scales)) return false;
  if (!c.expect("codes") || !list(c, codes, &book.codes)) return false;
  if (!levels(c, shape[0], &book)) return false;
  Result<void> checked = quant::check(book, shape[0], inputs);
  if (!checked.ok()) return c.complain(checked.error().message);
  constant->encoding = std::make_shared<const quant::Encoding>(std::move(book));
  return true;
}

bool Parser::levels(Cursor& c, int64_t outputs, quant::Codebook* book) {
  if (c.take_word("levels") && !list(c, -1, &book->levels)) return false;
  if (c.take_word("level_of") && !list(c, outputs, &book->level_of)) return false;
  return !c.take_word("tables") || (c.expect("(") && c.number(&book->table_bits) && c.expect(",") &&
                                    c.number(&book->table_shift) && c.expect(")"));
}

bool Parser::integers(Cursor& c, const std::vector<int64_t>& shape, Constant* constant) {
  quant::Integers v;
  if (shape.empty() || shape[0] < 1) return c.complain("there must be an output");
  const int64_t count = element_count(shape);
  if (!list(c, count, &v.values) || !c.expect("scales") || !list(c, shape[0], &v.scales))
    return false;
  Result<void> checked = quant::check(v, shape[0], count / shape[0]);
  if (!checked.ok()) return c.complain(checked.error().message);
  constant->encoding = std::make_shared<const quant::Encoding>(std::move(v));
  return true;
}

}  // namespace

Result<Graph> parse(const std::string& text) {
  return Parser().run(text);
}

}  // namespace qrt::ir
