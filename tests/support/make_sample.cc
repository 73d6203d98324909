// Writes the sample model of model_builder.h to the path it is given.
#include <cstdio>

#include "tests/support/model_builder.h"

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: make_sample FILE.qrt\n"), 2;
  const std::vector<uint8_t> file = qrt::testing::sample_model().finish();
  FILE* f = std::fopen(argv[1], "wb");
  if (f == nullptr) return std::perror(argv[1]), 2;
  const bool written = std::fwrite(file.data(), 1, file.size(), f) == file.size();
  return std::fclose(f) == 0 && written ? 0 : 2;
}
