#!/usr/bin/env bash
# Installs every Debian package libqrt needs, and nothing else. Does nothing (and needs no
# network and no rights) when all of them are there.
#
# usage: toolchains/bootstrap.sh [build] [bench] [arm] [gates] [chromium] [models] [train]      default: build
set -euo pipefail

build="build-essential cmake ninja-build pkg-config libxnnpack-dev libpthreadpool-dev libcpuinfo-dev
  libflatbuffers-dev flatbuffers-compiler libxxhash-dev libonnx-dev libprotobuf-dev protobuf-compiler
  libopenblas-dev libssl-dev libcli11-dev nlohmann-json3-dev libpng-dev libjpeg62-turbo-dev doctest-dev
  python3 libonnx-testdata"
bench="libdnnl-dev libopenblas-dev"
arm="g++-aarch64-linux-gnu g++-arm-linux-gnueabihf qemu-user"
gates="clang-format-14 binutils"
chromium="chromium"  # only to look at reports as a user does
models="python3-numpy python3-onnx"  # to build examples/resnet20 from its checkpoint
train="python3-numpy python3-torch python3-onnx python3-pil"  # only to train the demo model again

packages=
for group in "${@:-build}"; do
  case $group in
    build|bench|arm|gates|chromium|models|train) packages+=" ${!group}" ;;
    *) echo "bootstrap.sh: unknown group '$group'; allowed are build, bench, arm, gates, chromium, models, train" >&2; exit 2 ;;
  esac
done

missing=
for package in $packages; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=" $package"
done
if [ -z "$missing" ]; then exit 0; fi

sudo=
if [ "$(id -u)" != 0 ]; then
  sudo=sudo
  command -v sudo >/dev/null || {
    echo "bootstrap.sh: missing packages:$missing; install them as root, or install sudo" >&2; exit 2; }
fi
echo "bootstrap.sh: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# An index that cannot be had need not matter; the installation below is what decides.
$sudo apt-get update -qq || true
# shellcheck disable=SC2086
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null || {
  echo "bootstrap.sh: apt-get could not install:$missing; check the network and apt's sources" >&2; exit 2; }
