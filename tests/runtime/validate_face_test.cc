// The validator, one field at a time: header, ports, preprocessing, golden values.
#include <limits>

#include "tests/support/mutation.h"

namespace qrt {
namespace {

using testing::check_mutations;
using testing::FullModel;

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST_CASE("the header") {
  check_mutations({
      {"version 0", [](FullModel& f) { f.model().schema_version = 0; }, 103},
      {"version 2", [](FullModel& f) { f.model().schema_version = 2; }, 103},
      {"name", [](FullModel& f) { f.model().name = "\x7f"; }, 109},
  });
  FullModel f = testing::full_model();
  f.model().schema_version = 2;
  CHECK(testing::open_bytes(f.b.finish()).code() == Code::unsupported);
  f = testing::full_model();
  std::vector<uint8_t> file = testing::pack(f.model());  // file_bytes 0
  CHECK(testing::open_bytes(file).id() == 104);
  f.model().file_bytes = file.size();
  CHECK(testing::open_bytes(testing::pack(f.model())).id() == 105);
  file = f.b.finish();
  file[5] = 'X';
  CHECK(testing::open_bytes(file).id() == 101);
  file = f.b.finish();
  file.resize(file.size() + 64);
  CHECK(testing::open_bytes(file).id() == 104);
}

TEST_CASE("ports, preprocessing, labels, golden values, provenance") {
  check_mutations({
      {"no inputs", [](FullModel& f) { f.model().inputs.clear(); }, 190},
      {"no outputs", [](FullModel& f) { f.model().outputs.clear(); }, 190},
      {"input tensor", [](FullModel& f) { f.model().inputs[0]->tensor = 999; }, 111},
      {"output tensor", [](FullModel& f) { f.model().outputs[0]->tensor = ~0u; }, 111},
      {"nameless", [](FullModel& f) { f.model().inputs[0]->name = ""; }, 191},
      {"control", [](FullModel& f) { f.model().inputs[0]->name = "\r"; }, 109},
      {"one name twice", [](FullModel& f) { f.b.output(f.logits); }, 191},
      {"channels",
       [](FullModel& f) {
         f.model().inputs[0]->preprocess->channels = static_cast<fb::Channels>(3);
       },
       110},
      {"gray", [](FullModel& f) { f.model().inputs[0]->preprocess->channels = fb::Channels::gray; },
       192},
      {"resize", [](FullModel& f) { f.model().inputs[0]->preprocess->resize_shorter = 1 << 20; },
       192},
      {"resize 7", [](FullModel& f) { f.model().inputs[0]->preprocess->resize_shorter = 7; }, 192},
      {"crop_h", [](FullModel& f) { f.model().inputs[0]->preprocess->crop_h = ~0u; }, 192},
      {"crop_h 0", [](FullModel& f) { f.model().inputs[0]->preprocess->crop_h = 0; }, 192},
      {"crop_w", [](FullModel& f) { f.model().inputs[0]->preprocess->crop_w = 7; }, 192},
      {"scale", [](FullModel& f) { f.model().inputs[0]->preprocess->scale = 0; }, 192},
      {"scale infinite", [](FullModel& f) { f.model().inputs[0]->preprocess->scale = kInf; }, 192},
      {"mean",
       [](FullModel& f) {
         f.model().inputs[0]->preprocess->mean = {1, 2};
       },
       192},
      {"mean infinite", [](FullModel& f) { f.model().inputs[0]->preprocess->mean = {kInf}; }, 192},
      {"std",
       [](FullModel& f) {
         f.model().inputs[0]->preprocess->std = {0, 1, 1};
       },
       192},
      {"std infinite", [](FullModel& f) { f.model().inputs[0]->preprocess->std = {kInf}; }, 192},
      {"std two",
       [](FullModel& f) {
         f.model().inputs[0]->preprocess->std = {1, 2};
       },
       192},
      {"std one", [](FullModel& f) { f.model().inputs[0]->preprocess->std = {0.5f}; }, 0},
      {"label", [](FullModel& f) { f.model().labels[1] = "a\nb"; }, 109},
      {"no labels", [](FullModel& f) { f.model().labels.clear(); }, 0},
      {"golden inputs", [](FullModel& f) { f.model().golden->inputs.push_back(0); }, 194},
      {"golden outputs", [](FullModel& f) { f.model().golden->outputs.clear(); }, 194},
      {"golden buffer", [](FullModel& f) { f.model().golden->inputs[0] = 999; }, 111},
      {"golden size", [](FullModel& f) { f.model().golden->inputs = f.model().golden->outputs; },
       194},
      {"tolerance", [](FullModel& f) { f.model().golden->tolerance = kInf; }, 194},
      {"tolerance -1", [](FullModel& f) { f.model().golden->tolerance = -1; }, 194},
      {"provenance", [](FullModel& f) { f.model().provenance->tool = "\x01"; }, 109},
      {"source", [](FullModel& f) { f.model().provenance->source_sha256 = "\x01"; }, 109},
      {"weights", [](FullModel& f) { f.model().provenance->weights_sha256 = "\x01"; }, 109},
      {"method", [](FullModel& f) { f.model().provenance->method = "\x01"; }, 109},
      {"options", [](FullModel& f) { f.model().provenance->options = "\x01"; }, 109},
      {"no provenance", [](FullModel& f) { f.model().provenance.reset(); }, 0},
  });
}

}  // namespace
}  // namespace qrt
