// One change to the full model, and the error that opening it must give.
#ifndef QRT_TESTS_SUPPORT_MUTATION_H_
#define QRT_TESTS_SUPPORT_MUTATION_H_

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "runtime/model/model.h"
#include "tests/support/full_model.h"

namespace qrt::testing {

struct Mutation {
  const char* what;
  void (*change)(FullModel&);
  int id;  // of the refusal; 0: it opens all the same
};

inline Status open_bytes(const std::vector<uint8_t>& file) {
  const AlignedBytes bytes(file);
  Arena keep(default_allocator());
  Model model;
  return open_model(bytes.bytes(), keep, model);
}

template <class Change>
void check_mutation(const char* what, Change change, int id) {
  FullModel f = full_model();
  change(f);
  const Status status = open_bytes(f.b.finish());
  INFO(what << ": QRT-E" << status.id() << " " << std::string(status.what()) << " (found "
            << status.found() << ", allowed " << status.allowed() << ")");
  CHECK(static_cast<int>(status.id()) == id);
}

template <size_t N>
void check_mutations(const Mutation (&mutations)[N]) {
  for (const Mutation& m : mutations) check_mutation(m.what, m.change, m.id);
}

}  // namespace qrt::testing

#endif  // QRT_TESTS_SUPPORT_MUTATION_H_
