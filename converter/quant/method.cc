// The table behind method.h, made of the rows of methods.inc.
#include "converter/quant/method.h"

#include "converter/base/text.h"

namespace qrt::quant {

namespace {

constexpr Method kMethods[] = {
#define QRT_METHOD(name, run, plan, search, summary, options) \
  {#name, summary, options, run, plan, search},
#include "converter/quant/methods.inc"
#undef QRT_METHOD
};

}  // namespace

std::span<const Method> methods() {
  return kMethods;
}

Result<const Method*> find_method(std::string_view name) {
  std::vector<std::string> known;
  for (const Method& m : kMethods) {
    if (name == m.name) return &m;
    known.push_back(m.name);
  }
  return fail(710, "there is no quantization method '", name,
              "'; choose from: ", join(known, ", "));
}

}  // namespace qrt::quant
