#!/usr/bin/env bash
# onnx_cases must see a wrong answer: a case of ONNX's passes, the same case with its input in place
# of its output fails, one whose data is cut is refused. usage: self_test.sh ONNX_CASES
set -euo pipefail
program=${1:?usage: self_test.sh ONNX_CASES}
source=/usr/share/libonnx-testdata/data/node/test_relu
[ -d "$source" ] || { echo "SKIPPED: no $source; install libonnx-testdata"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/node"
for name in right swapped cut; do cp -r "$source" "$folder/node/$name"; done
cp "$folder/node/swapped/test_data_set_0/"{input_0.pb,output_0.pb}
truncate -s 100 "$folder/node/cut/test_data_set_0/input_0.pb"

expect() {  # NAME EXIT_CODE TEXT
  local code=0 out
  out=$("$program" --data "$folder" --list "$1") || code=$?
  [ "$code" = "$2" ] && grep -q "$1: $3" <<<"$out" && return
  printf '%s: exit code %s, expected %s and "%s" in:\n%s\n' "$1" "$code" "$2" "$3" "$out"
  exit 1
}
expect right 0 passed
expect swapped 1 WRONG
expect cut 0 refused
