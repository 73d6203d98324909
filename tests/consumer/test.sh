#!/usr/bin/env bash
# Installs the library into a folder of its own, moves that folder, and builds programs against it
# in the ways users do. usage: test.sh CMAKE BUILD_DIR MAKE_SAMPLE CC
set -euo pipefail
cmake=${1:?usage: test.sh CMAKE BUILD_DIR MAKE_SAMPLE CC} build=${2:?} make_sample=${3:?} cc=${4:?}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$cmake" --install "$build" --component library --prefix "$work/first" >"$work/install.log"
mv "$work/first" "$work/prefix"
"$make_sample" "$work/sample.qrt"
libdir=$(dirname "$(find "$work/prefix" -name 'libqrt.so' | head -1)")
export PKG_CONFIG_PATH=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir

lines=$(wc -l <"$here/run_model.c")
if [ "$lines" -gt 25 ]; then echo "run_model.c has $lines lines; allowed are 25"; exit 1; fi
"$cc" -std=c11 -Wall -Wextra -pedantic -Werror "$here/run_model.c" $(pkg-config --cflags --libs qrt) -o "$work/plain"
plain=$("$work/plain" "$work/sample.qrt")
echo "cc + pkg-config: top index $plain"

"$cc" -std=c11 "$here/run_model.c" $(pkg-config --cflags qrt) "$libdir/libqrt.a" \
  $(pkg-config --static --libs-only-l qrt | sed 's/-lqrt\b//') -o "$work/static"
static=$("$work/static" "$work/sample.qrt")
echo "static library: top index $static"

"$cmake" -S "$here" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_C_COMPILER="$cc" >"$work/cmake.log"
"$cmake" --build "$work/build" >>"$work/cmake.log"
found=$("$work/build/run_model_c" "$work/sample.qrt")
wrapped=$("$work/build/run_model_cc" "$work/sample.qrt")
echo "find_package: top index $found in C, $wrapped in C++"
[ "$plain" = "$static" ] && [ "$plain" = "$found" ] && [ "$plain" = "$wrapped" ]

status=0
"$work/plain" "$work/missing.qrt" 2>"$work/message" || status=$?
[ "$status" = 2 ] && grep -q 'QRT-E0030' "$work/message"
