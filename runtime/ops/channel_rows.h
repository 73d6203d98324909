// How a quantizer with one constant per element of an axis meets its tensor: as rows
// [outer][channels][inner], each row of `inner` elements under one constant. Where the axis is the
// last, a row is one element and the constants run along with the elements.
#ifndef QRT_RUNTIME_OPS_CHANNEL_ROWS_H_
#define QRT_RUNTIME_OPS_CHANNEL_ROWS_H_

#include "runtime/ops/checks.h"

namespace qrt {

struct ChannelRows {
  size_t channels = 1, inner = 1;

  // `rows` constants: 1, or as many as the axis is long.
  static ChannelRows of(const Shape& shape, int32_t axis, uint32_t rows) {
    if (rows == 1) return {};
    return {static_cast<size_t>(shape[axis]), count_of(shape, axis + 1, shape.rank)};
  }

  // Calls one(begin, end, c) for runs of elements under the constant c; along(begin, end, c) where
  // the elements' constants are c, c + 1, ... Runs are `longest` elements at most.
  template <class One, class Along>
  void walk(const Threads& threads, size_t count, size_t longest, const One& one,
            const Along& along) const {
    const bool runs_along = inner == 1 && channels > 1;
    const size_t row = runs_along ? channels : inner;
    const size_t unit = channels == 1 ? 64 : row;
    split_if_worth(threads, count, unit, kElementsWorth, [&](size_t begin, size_t end) {
      for (size_t at = begin; at < end;) {
        const size_t place = channels == 1 ? 0 : at % row;
        size_t stop = channels == 1 ? end : at + (row - place);
        if (stop - at > longest) stop = at + longest;
        if (runs_along)
          along(at, stop, place);
        else
          one(at, stop, channels == 1 ? 0 : at / inner % channels);
        at = stop;
      }
    });
  }
};

}  // namespace qrt

#endif  // QRT_RUNTIME_OPS_CHANNEL_ROWS_H_
