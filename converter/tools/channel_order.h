// Channels of one value under two names: a method may reorder the channels between
// two layers (quant/permute.h), which changes nothing but where each one stands.
// Here the order is found again from what the channels hold.
#ifndef QRT_CONVERTER_TOOLS_CHANNEL_ORDER_H_
#define QRT_CONVERTER_TOOLS_CHANNEL_ORDER_H_

#include <cstdint>
#include <vector>

#include "converter/eval/evaluate.h"

namespace qrt::verify {

// order[c] is the channel of `want` that channel c of `got` is. Empty: as they stand. Channels are
// on axis 1; both tensors have the same shape.
using ChannelOrder = std::vector<int64_t>;

// Pairs channels so that pairs are as near as possible, nearest first. What compression does to a
// channel is far less than the difference between channels, so an order counts only if it halves
// the squared difference that the channels have as they stand.
ChannelOrder find_order(const eval::Tensor& got, const eval::Tensor& want);

// `values` holds a run of `span` for each channel of the order, `rows` times: every run goes from
// where the file has it to where the graph does.
std::vector<float> restored(const std::vector<float>& values, const ChannelOrder&, int64_t rows,
                            int64_t span);

}  // namespace qrt::verify

#endif  // QRT_CONVERTER_TOOLS_CHANNEL_ORDER_H_
