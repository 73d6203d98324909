#!/usr/bin/env bash
# Every C and C++ file is formatted as .clang-format says. usage: format.sh SOURCE_DIR [fix]
set -euo pipefail
cd "${1:?usage: format.sh SOURCE_DIR [fix]}"
mode=(--dry-run -Werror)
if [ "${2:-}" = fix ]; then mode=(-i); fi
find runtime kernels schema converter bench tests examples -type f \
  \( -name '*.h' -o -name '*.hpp' -o -name '*.cc' -o -name '*.c' \) ! -path '*/third_party/*' \
  -print0 | xargs -0 clang-format-14 "${mode[@]}"
