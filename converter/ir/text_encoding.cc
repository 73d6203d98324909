// Encodings of constants in the text form; the grammar stands in text.h.
#include "converter/base/text.h"
#include "converter/ir/edit.h"
#include "converter/ir/text_lists.h"

namespace qrt::ir::detail {
namespace {

constexpr const char* kEntryNames[] = {"f32", "f16", "i8"};

// ---- printing ----

std::string text_of(const quant::Codebook& book) {
  std::string text =
      cat("codebook {books=", book.books, ", count=", book.count, ", dim=", book.dim,
          ", scope_rows=", book.scope_rows, ", entry=", kEntryNames[static_cast<int>(book.entry)],
          "} entries ", list_text(book.entries));
  if (!book.entry_scales.empty()) text += " scales " + list_text(book.entry_scales);
  text += " codes " + list_text(book.codes);
  if (!book.levels.empty()) text += " levels " + list_text(book.levels);
  if (!book.level_of.empty()) text += " level_of " + list_text(book.level_of);
  if (book.table_bits != 0) text += cat(" tables (", book.table_bits, ", ", book.table_shift, ")");
  return text;
}

std::string text_of(const quant::Integers& v) {
  return cat("integers ", list_text(v.values), " scales ", list_text(v.scales));
}

std::string scales_text(const quant::Scales& s) {
  std::string axis = "output ";
  if (s.axis == quant::ScaleAxis::layer) axis = "layer ";
  if (s.axis == quant::ScaleAxis::group) axis = cat("group ", s.group, " ");
  return " scales " + axis + list_text(s.values);
}

std::string taps_text(int32_t taps) {
  return taps == 1 ? "" : cat(", taps=", taps);
}

std::string text_of(const quant::Table& t) {
  std::string text = cat("table {bits=", t.bits, taps_text(t.taps), "}");
  text +=
      t.integers.empty() ? " values " + list_text(t.values) : " integers " + list_text(t.integers);
  text += " codes " + list_text(t.codes) + scales_text(t.scales);
  if (!t.offset.empty()) text += " offset " + list_text(t.offset);
  return text;
}

std::string text_of(const quant::Affine& a) {
  std::string text =
      cat("affine {bits=", a.bits, a.is_signed ? ", signed=true" : "", taps_text(a.taps), "}");
  if (!a.zero_halves.empty()) text += " zero_halves " + list_text(a.zero_halves);
  return text + " codes " + list_text(a.codes) + scales_text(a.scales);
}

std::string text_of(const quant::BitPlanes& p) {
  return cat("bit_planes {group=", p.group, p.ternary5 ? ", ternary5=true" : "", taps_text(p.taps),
             "} counts ", list_text(p.counts), " signs ", list_text(p.signs), " alphas ",
             list_text(p.alphas));
}

// ---- parsing ----

struct Size {
  int64_t outputs, inputs;
};

bool read_levels(Cursor& c, int64_t outputs, quant::Codebook* book) {
  if (c.take_word("levels") && !read_list(c, -1, &book->levels)) return false;
  if (c.take_word("level_of") && !read_list(c, outputs, &book->level_of)) return false;
  return !c.take_word("tables") || (c.expect("(") && c.number(&book->table_bits) && c.expect(",") &&
                                    c.number(&book->table_shift) && c.expect(")"));
}

// { KEY = VALUE , ... } as `field` of the setter knows them.
template <class Field>
bool read_keys(Cursor& c, const char* what, const Field& field) {
  if (!c.expect("{") || c.take("}")) return c.complaint().empty();
  do {
    Setter setter{c, {}};
    if (!c.name(&setter.key) || !c.expect("=")) return false;
    field(setter);
    if (!setter.found) return c.complain(cat(what, " has no attribute ", setter.key));
    if (!setter.good) return false;
  } while (c.take(","));
  return c.expect("}");
}

bool read(Cursor& c, Size size, quant::Codebook* book) {
  const bool good = read_keys(c, "codebook", [&](Setter& s) {
    s.field("books", book->books);
    s.field("count", book->count);
    s.field("dim", book->dim);
    s.field("scope_rows", book->scope_rows);
    s.word("entry", book->entry, kEntryNames);
  });
  if (!good) return false;
  if (book->dim < 1 || book->count < 1 || book->books < 1 || book->scope_rows < 0)
    return c.complain("count, dim, books and the outputs must be at least 1");
  // Sizes for `fill`; what they must be otherwise, quant::check() says.
  const int64_t scopes =
      book->scope_rows == 0 ? 1 : (size.outputs + book->scope_rows - 1) / book->scope_rows;
  const int64_t centroids = element_count({scopes, book->books, book->count});
  const int64_t entries = element_count({scopes, book->books, book->count, book->dim});
  const int64_t codes =
      element_count({book->books, (size.inputs + book->dim - 1) / book->dim, size.outputs});
  if (entries < 0 || codes < 0) return c.complain("the codebook is too large");
  if (!c.expect("entries") || !read_list(c, entries, &book->entries)) return false;
  if (c.take_word("scales") && !read_list(c, centroids, &book->entry_scales)) return false;
  if (!c.expect("codes") || !read_list(c, codes, &book->codes)) return false;
  return read_levels(c, size.outputs, book);
}

bool read(Cursor& c, Size size, quant::Integers* v) {
  return read_list(c, size.outputs * size.inputs, &v->values) && c.expect("scales") &&
         read_list(c, size.outputs, &v->scales);
}

bool read_scales(Cursor& c, Size size, quant::Scales* s) {
  if (!c.expect("scales")) return false;
  int64_t count = size.outputs;
  s->axis = quant::ScaleAxis::output;
  if (c.take_word("layer")) {
    s->axis = quant::ScaleAxis::layer;
    count = 1;
  } else if (c.take_word("group")) {
    s->axis = quant::ScaleAxis::group;
    if (!c.number(&s->group)) return false;
    if (s->group < 1) return c.complain("a group has at least one input");
    count *= (size.inputs + s->group - 1) / s->group;
  } else if (!c.expect("output")) {
    return false;
  }
  return read_list(c, count, &s->values);
}

bool read(Cursor& c, Size size, quant::Table* t) {
  const bool good = read_keys(c, "table", [&](Setter& s) {
    s.field("bits", t->bits);
    s.field("taps", t->taps);
  });
  if (!good) return false;
  if (t->bits < 1 || t->bits > 8) return c.complain("bits must be 1 to 8");
  const int64_t numbers = int64_t{1} << t->bits;
  if (c.take_word("values") ? !read_list(c, numbers, &t->values)
                            : !c.expect("integers") || !read_list(c, numbers, &t->integers))
    return false;
  if (!c.expect("codes") || !read_list(c, size.outputs * size.inputs, &t->codes) ||
      !read_scales(c, size, &t->scales))
    return false;
  return !c.take_word("offset") || read_list(c, -1, &t->offset);
}

bool read(Cursor& c, Size size, quant::Affine* a) {
  const bool good = read_keys(c, "affine", [&](Setter& s) {
    s.field("bits", a->bits);
    s.field("signed", a->is_signed);
    s.field("taps", a->taps);
  });
  if (!good) return false;
  if (c.take_word("zero_halves") && !read_list(c, -1, &a->zero_halves)) return false;
  return c.expect("codes") && read_list(c, size.outputs * size.inputs, &a->codes) &&
         read_scales(c, size, &a->scales);
}

bool read(Cursor& c, Size size, quant::BitPlanes* p) {
  const bool good = read_keys(c, "bit_planes", [&](Setter& s) {
    s.field("group", p->group);
    s.field("ternary5", p->ternary5);
    s.field("taps", p->taps);
  });
  if (!good) return false;
  if (p->group < 0) return c.complain("group is negative");
  const int64_t groups = p->group == 0 ? 1 : (size.inputs + p->group - 1) / p->group;
  if (!c.expect("counts") || !read_list(c, size.outputs * groups, &p->counts)) return false;
  int64_t planes = 0, signs = 0;
  for (size_t i = 0; i < p->counts.size(); ++i) {
    const int64_t first = static_cast<int64_t>(i) % groups * p->group;
    const int64_t width =
        groups == 1 ? size.inputs : std::min<int64_t>(p->group, size.inputs - first);
    planes += p->counts[i];
    signs += p->counts[i] * width;
  }
  return c.expect("signs") && read_list(c, signs, &p->signs) && c.expect("alphas") &&
         read_list(c, planes, &p->alphas);
}

template <class Kind>
void finish(Cursor& c, const std::vector<int64_t>& shape,
            std::shared_ptr<const quant::Encoding>* encoding) {
  Kind kind;
  if (shape.empty() || shape[0] < 1) {
    c.complain("there must be an output");
    return;
  }
  const Size size{shape[0], element_count(shape) / shape[0]};
  if (!read(c, size, &kind)) return;
  quant::Encoding made = std::move(kind);
  const Result<void> checked = quant::check(made, size.outputs, size.inputs);
  if (checked.ok())
    *encoding = std::make_shared<const quant::Encoding>(std::move(made));
  else
    c.complain(checked.error().message);
}

}  // namespace

std::string encoding_text(const quant::Encoding& e) {
  return std::visit([](const auto& kind) { return text_of(kind); }, e);
}

bool read_encoding(Cursor& c, const std::vector<int64_t>& shape,
                   std::shared_ptr<const quant::Encoding>* encoding) {
  if (c.take_word("codebook")) return finish<quant::Codebook>(c, shape, encoding), true;
  if (c.take_word("integers")) return finish<quant::Integers>(c, shape, encoding), true;
  if (c.take_word("table")) return finish<quant::Table>(c, shape, encoding), true;
  if (c.take_word("affine")) return finish<quant::Affine>(c, shape, encoding), true;
  if (c.take_word("bit_planes")) return finish<quant::BitPlanes>(c, shape, encoding), true;
  return false;
}

}  // namespace qrt::ir::detail
