// Fuzzes the ONNX import and what follows it. Contract: any bytes whatsoever give
// a graph that verify() accepts, folds and prints, or an error of the import's
// range; no crash, no hang. External data is never found: there is no such folder.
#include <cstdlib>
#include <cstring>
#include <string>

#include "converter/import/onnx.h"
#include "converter/passes/passes.h"
#include "tests/support/onnx_builder.h"

namespace {

using namespace qrt;
using namespace qrt::test;

// A small network with computed shapes, a codebook spelled as Gather, and an image part.
std::string sample() {
  OnnxBuilder b;
  b.input("x", {-1, 1, 4, 4});
  b.floats("book", {2, 2}, {1, 2, 3, 4});
  b.ints("codes", {2, 2}, {0, 1, 1, 0});
  b.ints("dims", {4}, {2, 1, 2, 2});
  b.ints("zero", {1}, {0});
  b.ints("rest", {1}, {-1});
  b.floats("ones", {2}, {1, 1});
  b.node("Gather", {"book", "codes"}, "blocks");
  b.node("Reshape", {"blocks", "dims"}, "w");
  set(b.node("Conv", {"x", "w"}, "c"), "auto_pad", "SAME_UPPER");
  b.node("BatchNormalization", {"c", "ones", "ones", "ones", "ones"}, "n");
  auto& pool = b.node("MaxPool", {"n"}, "p");
  set(pool, "kernel_shape", std::vector<int64_t>{3, 3});
  set(pool, "ceil_mode", 1);
  b.node("Shape", {"p"}, "size");
  b.node("Gather", {"size", "zero"}, "batch");
  set(b.node("Concat", {"batch", "rest"}, "target"), "axis", 0);
  b.node("Reshape", {"p", "target"}, "flat");
  b.node("Softmax", {"flat"}, "y");
  b.output("y");
  return b.model.SerializeAsString();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max, unsigned seed);
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  auto imported = import::import_onnx_bytes(bytes, "no/such/folder/fuzz.onnx", {});
  if (!imported.ok()) {
    const int id = imported.error().id;
    if (id < 500 || id > 571 || imported.error().message.empty()) std::abort();
    return 0;
  }
  // Constants a few bytes ask for are legal up to gigabytes; folding them is not the point here.
  size_t held = 0;
  for (const ir::Constant& constant : imported->graph.constants) held += constant.data.size();
  if (held > (1 << 20) || !passes::fold_constants(imported->graph).ok()) return 0;
  if (!ir::verify(imported->graph).ok() || ir::print(imported->graph).empty()) std::abort();
  return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max, unsigned) {
  static const std::string start = sample();
  if (size >= 64 || max < start.size()) return LLVMFuzzerMutate(data, size, max);
  std::memcpy(data, start.data(), start.size());
  return start.size();
}
