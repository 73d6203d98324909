#!/usr/bin/env bash
# Makes a sysroot for an ARM target out of Debian's own packages, without touching
# the packages of this machine: libxnnpack-dev and friends are not multi-arch
# co-installable, so they are downloaded and unpacked, never installed.
#
# usage: toolchains/arm-sysroot.sh arm64|armhf DIR
set -euo pipefail

arch=${1:?usage: arm-sysroot.sh arm64|armhf DIR}
dir=${2:?usage: arm-sysroot.sh arm64|armhf DIR}
case $arch in
  arm64|armhf) ;;
  *) echo "arm-sysroot.sh: unknown architecture '$arch'; allowed are arm64 and armhf" >&2; exit 2 ;;
esac
if [ -e "$dir/.complete" ]; then exit 0; fi

packages="libxnnpack-dev libxnnpack0 libcpuinfo-dev libcpuinfo0 libpthreadpool-dev libpthreadpool0
  libbenchmark-dev libbenchmark1debian libflatbuffers-dev libxxhash-dev doctest-dev libcli11-dev
  nlohmann-json3-dev libc6 libstdc++6 libgcc-s1"

# A private copy of apt's state in which the foreign architecture exists.
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT
mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$dir"
dir=$(realpath "$dir")  # below, the working directory is the state's
cp /var/lib/dpkg/status "$state/status"
options=(-o APT::Architecture="$arch" -o APT::Architectures="$arch" -o Dir::State="$state"
  -o Dir::State::Lists="$state/lists" -o Dir::State::status="$state/status"
  -o Dir::Cache="$state/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none)
# One index that cannot be had (a mirror in the middle of a sync) need not matter: whether every
# package could be downloaded is what decides.
apt-get "${options[@]}" update -qq || echo "arm-sysroot.sh: some package lists are missing" >&2
cd "$state"
for package in $packages; do
  apt-get "${options[@]}" download -qq "$package" || {
    echo "arm-sysroot.sh: package $package for $arch cannot be downloaded; check the network and apt's sources" >&2
    exit 1
  }
done
for deb in ./*.deb; do dpkg -x "$deb" "$dir"; done
# Absolute links inside the packages would leave the sysroot: make them relative to it.
find "$dir" -type l -lname '/*' | while read -r link; do
  target=$(readlink "$link")
  ln -sfn "$(realpath -ms --relative-to="$(dirname "$link")" "$dir$target")" "$link"
done
touch "$dir/.complete"
