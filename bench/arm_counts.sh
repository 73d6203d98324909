#!/usr/bin/env bash
# Instructions per multiply-add of our NEON kernels and of XNNPACK's arm64 ones on the same shapes,
# counted exactly under emulation: one instruction per translation block, one line of log for each,
# the difference of two repeat counts, so that start-up and packing cancel. Prints Markdown.
# Instructions are not time: what they cost depends on the core.
#
# usage: bench/arm_counts.sh BUILD_DIR [CPU]      CPU of qemu-aarch64: cortex-a53, cortex-a76 (default), max
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:?usage: arm_counts.sh BUILD_DIR [CPU]} cpu=${2:-cortex-a76}
toolchains/arm-sysroot.sh arm64 "$build/sysroot-arm64"
export QRT_SYSROOT="$PWD/$build/sysroot-arm64"
[ -f "$build/arm-bench/build.ninja" ] || cmake --preset linux-aarch64 -B "$build/arm-bench" \
  -DQRT_BUILD_TESTS=OFF -DQRT_BUILD_TOOLS=OFF -DQRT_BUILD_BENCH=ON >/dev/null
cmake --build "$build/arm-bench" --target arm_driver -j "${JOBS:-$(nproc)}" >/dev/null
emulate() { qemu-aarch64 -cpu "$cpu" -L "$QRT_SYSROOT" "$@"; }
driver=$build/arm-bench/bin/arm_driver

# CASE REPEATS: instructions executed.
count() {
  emulate -singlestep -d exec,nochain -D /dev/stdout "$driver" "$1" "$2" | grep -c '^Trace'
}

echo "qemu-aarch64 -cpu $cpu, $(aarch64-linux-gnu-g++ --version | head -1)"
echo
echo "| layer | M, K, N | candidate | instructions | per multiply-add | XNNPACK f32 / this | XNNPACK s8 / this |"
echo "|---|---|---|--:|--:|--:|--:|"
emulate "$driver" --list | while IFS='|' read -r number layer m k n name; do
  instructions=$(($(count "$number" 2 </dev/null) - $(count "$number" 1 </dev/null)))
  case $name in
    "XNNPACK f32") f32=$instructions s8=0 ;;
    "XNNPACK s8") s8=$instructions ;;
  esac
  awk -v l="$layer" -v m="$m" -v k="$k" -v n="$n" -v name="$name" -v i="$instructions" -v f="$f32" -v s="$s8" \
    'BEGIN { printf "| %s | %d, %d, %d | %s | %d | %.4f | %.2f | %s |\n", l, m, k, n, name, i, i / (m * k * n), f / i,
             (s > 0 ? sprintf("%.2f", s / i) : "-") }'
done
