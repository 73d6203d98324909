// Data for calibration, checks and comparisons: .npy files, pictures and
// directories of either, as tensors for the inputs of a graph.
#ifndef QRT_CONVERTER_CLI_DATA_H_
#define QRT_CONVERTER_CLI_DATA_H_

#include <optional>
#include <string>
#include <vector>

#include "converter/eval/evaluate.h"
#include "converter/ir/graph.h"
#include "runtime/tools/io/preprocess.h"

namespace qrt::cli {

// One tensor per graph input, in their order. `args` are "PATH" (a graph with one input) or
// "name=PATH"; a PATH is a .npy file, a picture, or a directory of one or the other, whose rows
// follow each other in the order of their names. At most `max_rows` rows are read; `skipped`
// (optional) gets how many more there were, `row_files` (optional) the picture that each row was
// made of, "" for rows of arrays. Throws ToolError 401, 410..427.
std::vector<eval::Tensor> load_inputs(const ir::Graph&, const std::string& option,
                                      const std::vector<std::string>& args,
                                      const std::optional<io::Preprocessing>&, int64_t max_rows,
                                      int64_t* skipped = nullptr,
                                      std::vector<std::string>* row_files = nullptr);

// One reproducible row for every input: floats with mean 0 and deviation about 1, zeros where
// the input takes integers.
std::vector<eval::Tensor> random_inputs(const ir::Graph&);

// Rows [first, first + count) of inputs whose graph values are batched, the others whole.
std::vector<eval::Tensor> some_rows(const ir::Graph&, const std::vector<eval::Tensor>& inputs,
                                    int64_t first, int64_t count);

// The first `count` rows, or all where there are fewer.
std::vector<eval::Tensor> first_rows(const ir::Graph&, const std::vector<eval::Tensor>& inputs,
                                     int64_t count);

// Rows that the tensors hold: dimension 0 over the graph's own, 1 where nothing is batched.
int64_t row_count(const ir::Graph&, const std::vector<eval::Tensor>& inputs);

std::vector<std::string> read_labels(const std::string& path);

}  // namespace qrt::cli

#endif  // QRT_CONVERTER_CLI_DATA_H_
