// Options of the operators that reduce or rank along axes.
#include "runtime/model/node_options.h"

namespace qrt {

Status read_options(Reader& r, const fb::Reduce& o, const Node& node, ReduceAttr& a) {
  QRT_TRY(read_enum(o.mode(), &a.mode, "the reduction is unknown"));
  const int32_t rank = input_shape(r, node).rank;
  QRT_TRY(in_range(o.axes()->size(), 0, rank, 166, "the number of axes is out of range"));
  for (bool& axis : a.axis) axis = false;
  for (uint32_t i = 0; i < o.axes()->size(); ++i) {
    const int32_t axis = o.axes()->Get(i);
    QRT_TRY(in_range(axis, 0, rank - 1, 166, "a reduced axis is out of range"));
    QRT_REQUIRE(!a.axis[axis], kBadModel, 166, "a reduced axis is named twice");
    a.axis[axis] = true;
  }
  a.keep_dims = o.keep_dims();
  return {};
}

Status read_options(Reader& r, const fb::ArgReduce& o, const Node& node, ArgReduceAttr& a) {
  a.smallest = o.smallest();
  a.last = o.last();
  a.keep_dims = o.keep_dims();
  return read_axis(r, node, o.axis(), &a.axis);
}

// At batch 1 axes are shortest: a k that fits there fits every batch.
Status read_options(Reader& r, const fb::TopK& o, const Node& node, TopKAttr& a) {
  a.smallest = o.smallest();
  a.indices = o.indices();
  QRT_TRY(read_axis(r, node, o.axis(), &a.axis));
  QRT_TRY(in_range(o.k(), 1, input_shape(r, node)[a.axis], 166, "k is out of range"));
  a.k = static_cast<int32_t>(o.k());
  return {};
}

}  // namespace qrt
