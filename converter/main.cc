// qrt-convert: options to a pipeline, nothing more. See cli/ for both.
#include "converter/cli/convert.h"
#include "converter/eval/algebra.h"
#include "runtime/tools/io/error.h"

namespace {

int body(int argc, char** argv) {
  qrt::cli::ConvertOptions options;
  if (!qrt::cli::parse_command_line(argc, argv, options)) return qrt::io::kDone;
  qrt::eval::use_one_blas_thread();
  return qrt::cli::convert_main(options);
}

}  // namespace

int main(int argc, char** argv) {
  return qrt::io::guarded_main("qrt-convert", body, argc, argv);
}
