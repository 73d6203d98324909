#!/usr/bin/env bash
# The tables of converter/quant/README.md: method pq on real networks, with and without each repair.
# usage: QRT_DATA=DIR bench/pq_table.sh BUILD_DIR [resnet20 | resnet20-small | squeezenet]...
# needs: cmake --build BUILD_DIR --target pq_table; python3-numpy and python3-onnx for ResNet-20
set -euo pipefail
build=${1:?usage: pq_table.sh BUILD_DIR [NETWORK]...}; shift
: "${QRT_DATA:?set QRT_DATA to the folder with cifar10/, imagenet/, lowbit/, deepcompression/}"
source_dir=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
off="recapture=no retarget=no normalise=no refit=no reassign=no scale=no bias=no dense=no permute=0"

# rows OPTIONS: everything, everything but one, nothing, and nothing without activations.
rows() {
  local way
  printf '%s\n' --row "all repairs: $*"
  for way in permute=0 recapture=no retarget=no normalise=yes refit=no reassign=no scale=no bias=no dense=no; do
    printf '%s\n' --row "$way: $* $way"
  done
  printf '%s\n' --row "k-means, then scale and bias: $* $off scale=yes bias=yes recapture=yes" \
    --row "k-means alone: $* $off" --row "k-means alone, a Gram matrix per block: $* $off gram=per_block" \
    --row "k-means alone, unweighted: $* $off gram=none"
}

resnet20() {
  local cifar=$QRT_DATA/cifar10/cifar10_dev1000.bin examples=$source_dir/examples/resnet20
  if [ ! -e "$work/test.npy" ]; then
    /usr/bin/env python3 "$examples/build.py" "$QRT_DATA/lowbit/cifar_resnet20_f32.th" "$work/resnet20.onnx"
    /usr/bin/env python3 "$examples/images.py" "$cifar" "$work/calibration.npy" --count 200
    /usr/bin/env python3 "$examples/images.py" "$cifar" "$work/test.npy" --first 200
  fi
  "$build/bin/pq_table" "$work/resnet20.onnx" --calibrate "$work/calibration.npy" \
    --test "$work/test.npy" --labels "$work/test.labels.txt" "$@"
}

squeezenet() {
  local val=$QRT_DATA/imagenet/val227
  sort "$QRT_DATA/imagenet/val227_labels.csv" | grep -v '^file' | tail -n +151 | cut -d, -f2 > "$work/labels"
  "$build/bin/pq_table" "$QRT_DATA/deepcompression/squeezenet_dc_decoded_f32.onnx" \
    --preprocess '{"channels": "bgr", "scale": 1, "mean": [104, 117, 123], "std": [1, 1, 1]}' \
    --calibrate "$val" --calibrate-rows 150 --test "$val" --test-first 150 --test-rows 500 \
    --labels "$work/labels" "$@"
}

for network in "${@:-resnet20}"; do
  echo "## $network"
  case $network in
    resnet20) readarray -t list < <(rows block_3x3=4); resnet20 --seeds 3 "${list[@]}" ;;
    resnet20-small) readarray -t list < <(rows block_3x3=9); resnet20 --seeds 3 "${list[@]}" ;;
    books) resnet20 --seeds 3 --row "1 x 256, d 9: block_3x3=9 clip=largest" \
      --row "2 x 16, d 9: block_3x3=9 centroids_conv=16 centroids_fc=16 books=2" \
      --row "3 x 16, d 9: block_3x3=9 centroids_conv=16 centroids_fc=16 books=3" ;;
    squeezenet) squeezenet --row "all repairs: block_3x3=4 centroids_fc=256" \
      --row "permute=0: block_3x3=4 permute=0" --row "k-means alone: block_3x3=4 $off" \
      --row "k-means alone, unweighted: block_3x3=4 $off gram=none" ;;
    *) echo "pq_table.sh: no network '$network'; resnet20, resnet20-small, books or squeezenet" >&2; exit 2 ;;
  esac
done
