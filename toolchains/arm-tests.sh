#!/usr/bin/env bash
# Cross-compiles libqrt, its tests and the qrt command for aarch64 and armhf, and runs the tests
# under emulation. usage: toolchains/arm-tests.sh BUILD_DIR [long]
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:?usage: arm-tests.sh BUILD_DIR [long]}
for target in aarch64:arm64 armhf:armhf; do
  name=${target%:*} arch=${target#*:}
  toolchains/arm-sysroot.sh "$arch" "$build/sysroot-$arch"
  export QRT_SYSROOT="$PWD/$build/sysroot-$arch"
  [ -f "$build/linux-$name/build.ninja" ] || cmake --preset "linux-$name" -B "$build/linux-$name"
  cmake --build "$build/linux-$name" -j "$(nproc)"
  if [ "${2:-}" = long ]; then  # the published networks: converted here, run there
    emulator=qemu-aarch64
    if [ "$name" = armhf ]; then emulator=qemu-arm; fi
    QRT_TARGET="$emulator -L $QRT_SYSROOT $PWD/$build/linux-$name/bin/qrt" \
      "$build/release/bin/end_to_end_tests" --test-suite=long --test-case='*emulated*'
  else
    ctest --test-dir "$build/linux-$name" -LE "long|gate" --no-tests=error --output-on-failure -j "$(nproc)"
  fi
done
