#!/usr/bin/env bash
# The tables of converter/quant/README.md: methods of few bits on the labelled float networks, accuracy over
# bytes of the file, through the file and the runtime.
# usage: QRT_DATA=DIR bench/low_bit_table.sh BUILD_DIR [mnist | kws | resnet20 | squeezenet]...
#        METHODS="uniform:bits=8 alq:bits=2,groups=kernel" chooses other rows; REPORTS=DIR keeps HTML reports
# needs: cmake --build BUILD_DIR --target qrt-convert; python3-numpy, for ResNet-20 python3-onnx
set -euo pipefail
build=${1:?usage: low_bit_table.sh BUILD_DIR [NETWORK]...}; shift
: "${QRT_DATA:?set QRT_DATA to the folder with onnx/, mnist/, kws/, cifar10/, imagenet/}"
source_dir=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
methods=${METHODS:-uniform:bits=8 uniform:bits=6 uniform:bits=5 uniform:bits=4 uniform:bits=3 uniform:bits=2
  alq:bits=4 alq:bits=3 alq:bits=2 alq:bits=1.5 alq:bits=1 twn: bwn:}

# The first fifth of the samples calibrates, the others test.
prepare() {
  "${PYTHON:-/usr/bin/python3}" - "$1" "$QRT_DATA" "$work" <<'PY'
import gzip, sys
import numpy as np
network, data, work = sys.argv[1:]
if network == "mnist":
    x = np.frombuffer(gzip.open(f"{data}/mnist/t10k_first5000-images-idx3-ubyte.gz").read(), np.uint8, offset=16)
    x = x.reshape(-1, 1, 28, 28).astype(np.float32)
    y = np.frombuffer(gzip.open(f"{data}/mnist/t10k_first5000-labels-idx1-ubyte.gz").read(), np.uint8, offset=8)
else:
    # The model's own input scale: real = (q - 83) * 0.5847
    x = (np.load(f"{data}/kws/kws01_ref_mfcc_int8_500x49x10.npy").astype(np.float32) - 83) * np.float32(0.5847029089927673)
    x = x[..., None]
    head, *rows = [line.strip().split(",") for line in open(f"{data}/kws/kws_labels.csv")]
    y = np.array([int(row[head.index("class_index")]) for row in rows])
fifth = len(x) // 5
np.save(f"{work}/calibration.npy", x[:fifth])
np.save(f"{work}/test.npy", x[fifth:])
np.savetxt(f"{work}/labels", y[fifth:], fmt="%d")
PY
}

# table MODEL OPTION...: a row per method.
table() {
  local model=$1 row method options name words; shift
  echo "| method | options | bytes | top-1 | of the float network |"
  echo "|---|---|---|---|---|"
  for row in $methods; do
    method=${row%%:*}; options=${row#*:}
    words=(--method "$method"); [ -z "$options" ] || words+=("--$method" "$options")
    if [ -n "${REPORTS:-}" ]; then words+=(--report "$REPORTS/$network-$method-$options.html" --report-points 0); fi
    "$build/bin/qrt-convert" "$model" -o "$work/out.qrt" "${words[@]}" "$@" > "$work/log" 2> "$work/err" ||
      { tail -3 "$work/err" >&2; continue; }
    name=$(sed -n 's/^this file: \([0-9]*\) bytes, top-1 \([^,]*\),.*/| \1 | \2/p' "$work/log")
    echo "| \`$method\` | ${options:-defaults} $name | $(sed -n 's/^float model: [0-9]* bytes, top-1 \([^,]*\),.*/\1/p' "$work/log") |"
  done
}

for network in "${@:-mnist}"; do
  echo "## $network"
  mkdir -p "${REPORTS:-$work}"
  case $network in
    mnist | kws)
      prepare "$network"
      model=$QRT_DATA/onnx/mnist-8.onnx; [ "$network" = mnist ] || model=$QRT_DATA/onnx/mlperf_open_kws_f32.onnx
      table "$model" --calibrate "$work/calibration.npy" --calibrate-rows 200 --test "$work/test.npy" --truth "$work/labels" ;;
    resnet20)
      cifar=$QRT_DATA/cifar10/cifar10_dev1000.bin examples=$source_dir/examples/resnet20
      /usr/bin/env python3 "$examples/build.py" "$QRT_DATA/lowbit/cifar_resnet20_f32.th" "$work/resnet20.onnx"
      /usr/bin/env python3 "$examples/images.py" "$cifar" "$work/calibration.npy" --count 200
      /usr/bin/env python3 "$examples/images.py" "$cifar" "$work/test.npy" --first 200
      table "$work/resnet20.onnx" --calibrate "$work/calibration.npy" --test "$work/test.npy" --truth "$work/test.labels.txt" ;;
    squeezenet)
      val=$QRT_DATA/imagenet/val227; mkdir -p "$work/test"
      sort "$QRT_DATA/imagenet/val227_labels.csv" | grep -v '^file' | tail -n +151 | cut -d, -f2 > "$work/labels"
      for file in $(find "$val" -type f -printf '%f\n' | sort | tail -n +151); do ln -sf "$val/$file" "$work/test/$file"; done
      table "$QRT_DATA/deepcompression/squeezenet_dc_decoded_f32.onnx" \
        --preprocess '{"channels": "bgr", "scale": 1, "mean": [104, 117, 123], "std": [1, 1, 1]}' \
        --calibrate "$val" --calibrate-rows 150 --test "$work/test" --truth "$work/labels" ;;
    *) echo "low_bit_table.sh: no network '$network'; mnist, kws, resnet20 or squeezenet" >&2; exit 2 ;;
  esac
done
