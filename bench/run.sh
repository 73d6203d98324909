#!/usr/bin/env bash
# What `make bench` runs: whole networks, then single layers, one thread, pinned, each beside
# XNNPACK, oneDNN and faiss in the same process. Writes Markdown to standard output and JSON, for
# perfdiff, to BIN_DIR/../bench. usage: run.sh BIN_DIR
set -euo pipefail
bin=$(cd "${1:?usage: run.sh BIN_DIR}" && pwd)
cd "$(dirname "$0")/.."
out=$bin/../bench
mkdir -p "$out"
# oneDNN's idle OpenMP threads would spin beside the next engine of a round.
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
pin=()
if command -v taskset >/dev/null; then pin=(taskset -c "$(($(nproc) - 1))"); fi

network() {  # NAME FILE [option of qrt bench]...
  printf '\n## %s\n\n' "$1"
  "${pin[@]}" "$bin/qrt" bench "$2" --repeats 60 --thread-time --json --output "$out/$1.json" "${@:3}"
  "${pin[@]}" "$bin/qrt" bench "$2" --repeats 60 --thread-time --profile "${@:3}"
}
models=$(mktemp -d)
trap 'rm -rf "$models"' EXIT
"$bin/qrt-convert" examples/demo/model.onnx --method pq --calibrate examples/demo/calibration.npy -q -o "$models/demo.qrt"
network demo "$models/demo.qrt"
data=${QRT_DATA:-}
if [ -d "$data/killthebits" ]; then
  for name in resnet18_small_blocks resnet50_large_blocks; do
    "$bin/qrt-convert" "$data/killthebits/$name.codebook.onnx" -q -o "$models/$name.qrt"
    "$bin/qrt-convert" "$data/killthebits/$name.codebook.onnx" -q -o "$models/$name-int8.qrt" \
      --activations int8 --preprocess imagenet --calibrate "$data/imagenet/val227" --calibrate-rows 150
    network "$name" "$models/$name.qrt"
    # Integers beside the same network in f32; and both sides capped, which is per process.
    network "$name-int8" "$models/$name-int8.qrt" --f32 "$models/$name.qrt"
    network "$name-int8-avx2" "$models/$name-int8.qrt" --isa avx2
  done
else
  printf '\nSKIPPED: the published networks; QRT_DATA is not set to a folder that has killthebits/\n'
fi

printf '\n## Single layers\n\n'
"${pin[@]}" "$bin/kernels_bench" --set all --json "$out/kernels.json"
# What a CPU without VNNI and AVX-512 would do.
printf '\n## Single layers, AVX2 against AVX2\n\n'
"${pin[@]}" "$bin/kernels_bench" --set main --isa avx2 --json "$out/kernels-avx2.json"
