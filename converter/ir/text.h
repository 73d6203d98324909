// The text form of a graph: print() and parse() of graph.h. What parse() reads
// back prints the same, so that a pass test is text in, text out.
//
// Grammar (one statement a line; '#' starts a comment; blank lines are free):
//
//   graph NAME
//   input VALUE : TYPE
//   const VALUE : TYPE = DATA [source NAME]
//   node NAME = OP ( VALUE , ... ) { KEY = ATTR , ... } -> VALUE [: TYPE] [from NAME , ...]
//   output VALUE , ...
//
//   NAME   letters, digits and _ . / - + @ , or a "string" with \" \\ \n and \xHH
//   VALUE  % and a NAME
//   TYPE   f32 | f16 | i8 | u8 | i32 | i64 | boolean, then [DIM,...]; a first dimension N takes
//          the batch, 2N takes twice the batch; then, of a quantized value, bytes(SCALE, ZERO)
//          or bits(SCALE)
//   DATA   { NUMBER , ... }        the values, row-major, where there are at most 64
//        | fill NUMBER             all values are this one
//        | hash HEX                printed for larger constants; parse() refuses it
//        | codebook { books=, count=, dim=, scope_rows=, entry=f32|f16|i8 }
//            entries LIST [scales LIST] codes LIST     (LIST: { ... }, fill or hash as above)
//            [levels LIST [level_of LIST] [tables (BITS, SHIFT)]]
//        | integers LIST scales LIST
//        | table { bits=, taps= } values LIST | integers LIST codes LIST SCALES [offset LIST]
//        | affine { bits=, signed=, taps= } [zero_halves LIST] codes LIST SCALES
//        | bit_planes { group=, ternary5=, taps= } counts LIST signs LIST alphas LIST
//   SCALES scales layer LIST | scales output LIST | scales group N LIST
//   ATTR   integer, number, none (no limit), true, false, a word, or [ ... ] of integers
//
// Attributes that have their default are not printed and need not be written;
// nor need braces without attributes. A node output without TYPE gets it from infer().
#ifndef QRT_CONVERTER_IR_TEXT_H_
#define QRT_CONVERTER_IR_TEXT_H_

#include <string>

#include "converter/ir/graph.h"

namespace qrt::ir {

inline constexpr size_t kInlineValues = 64;

// A name as the text form writes it: bare where possible, else quoted.
std::string quoted_name(const std::string& name);

// f32[N,3,224,224]
std::string type_text(const Value& value);

// The shortest text that reads back as the same float.
std::string float_text(float value);

// "conv2d" to a default-constructed Conv2d; false if there is no such operator.
bool attr_of_name(const std::string& name, Attr* attr);
bool type_of_name(const std::string& name, ElementType* type);

}  // namespace qrt::ir

#endif  // QRT_CONVERTER_IR_TEXT_H_
