#!/usr/bin/env bash
# Methods of few bits on the labelled float networks: bytes of the file, right answers and output error of
# every method and number of bits, through the file and the runtime. One markdown table per network.
# usage: QRT_DATA=DIR bench/low_bit_table.sh BUILD_DIR [NETWORK]...
#        networks: those of tests/support/build_float_models.py, which makes models and samples
#        CURVE=uniform=8+4,esb,alq=2,twn,bwn chooses methods and bits; REPORTS=DIR keeps an HTML report of each
#        network with the curves of accuracy over bytes; OPTIONS="--activations int8" goes to qrt-convert
# needs: cmake --build BUILD_DIR --target qrt-convert; python3-numpy, python3-onnx
set -euo pipefail
build=${1:?usage: low_bit_table.sh BUILD_DIR [NETWORK]...}; shift
: "${QRT_DATA:?set QRT_DATA to the folder with onnx/, mnist/, kws/, cifar10/, imagenet/}"
source_dir=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
reports=${REPORTS:-$work}; mkdir -p "$reports"

python=
for candidate in ${PYTHON:-python3 /usr/bin/python3}; do
  if "$candidate" -c 'import numpy, onnx' 2> "$work/err"; then python=$candidate; break; fi
done
[ -n "$python" ] || { echo "low_bit_table.sh: no Python with numpy and onnx; toolchains/bootstrap.sh models" >&2; exit 2; }

for network in "${@:-mnist}"; do
  "$python" -B "$source_dir/tests/support/build_float_models.py" "$QRT_DATA" "$work" "$network"
  mapfile -t words < "$work/$network.args"
  # The float file itself is converted without a method; every row of --curve stands beside it.
  # shellcheck disable=SC2086
  "$build/bin/qrt-convert" "$work/$network.onnx" "${words[@]}" -o "$work/$network.qrt" ${OPTIONS:-} \
    --curve "${CURVE:-uniform,esb,alq,twn,bwn}" --report "$reports/$network.html" > "$work/log" 2> "$work/err" ||
    { tail -3 "$work/err" >&2; exit 1; }
  echo "## $network"
  echo "| conversion | bytes | right | output error |"
  echo "|---|--:|--:|--:|"
  sed -nE 's/^([a-z ]+(, [0-9.]+ bits?)?): ([0-9]+) bytes, top-1 [^(]*\(([^)]*)\), top-5 [^)]*\)(, output error (.*))?$/| \1 | \3 | \4 | \6 |/p' \
    "$work/log" | sed 's/^| this file |/| dense f32 |/'
done
