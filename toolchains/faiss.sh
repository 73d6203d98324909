#!/usr/bin/env bash
# Builds Debian's faiss once more, with AVX2, for kernels_bench to compare with: the package itself is
# compiled for any amd64 and emulates the vectors of its table scans, which would be a straw man.
# Writes OUT_DIR/lib/libfaiss_avx2.a and OUT_DIR/include; needs apt's network, no rights.
#
# usage: toolchains/faiss.sh OUT_DIR      then: cmake --preset bench -DQRT_FAISS_ROOT=OUT_DIR
set -euo pipefail
out=$(mkdir -p "${1:?usage: faiss.sh OUT_DIR}" && cd "$1" && pwd)
if [ -f "$out/lib/libfaiss_avx2.a" ]; then exit 0; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
# A private copy of the machine's own sources, which need not name source packages.
mkdir -p lists/partial parts
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
  case $file in
    *.list) if [ -f "$file" ]; then sed -n 's/^deb /deb-src /p' "$file" >"parts/${file##*/}"; fi ;;
    *.sources) sed 's/^Types:.*/Types: deb-src/' "$file" >"parts/${file##*/}" ;;
  esac
done
private=(-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/parts"
  -o Dir::State::lists="$work/lists" -o APT::Sandbox::User=root)
apt-get -qq "${private[@]}" update
apt-get -qq "${private[@]}" source --download-only faiss >/dev/null
mkdir source
tar -xzf faiss_*.orig.tar.gz -C source --strip-components=1
cmake -S source -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DFAISS_OPT_LEVEL=avx2 -DFAISS_ENABLE_GPU=OFF \
  -DFAISS_ENABLE_PYTHON=OFF -DBUILD_TESTING=OFF ${CMAKE_CXX_COMPILER_LAUNCHER:+-DCMAKE_CXX_COMPILER_LAUNCHER="$CMAKE_CXX_COMPILER_LAUNCHER"} >/dev/null
cmake --build build --target faiss_avx2 -j "${JOBS:-$(nproc)}" >/dev/null
mkdir -p "$out/lib" "$out/include"
cp build/faiss/libfaiss_avx2.a "$out/lib/"
(cd source && find faiss -name '*.h' -exec cp --parents {} "$out/include/" \;)
