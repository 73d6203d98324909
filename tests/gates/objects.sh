#!/usr/bin/env bash
# Objects compiled for one ISA may not hold weak symbols: the linker could keep their copy of an
# inline function for the whole program, which then dies on an older CPU. They may export only
# kernels. Objects for the baseline may not hold AVX instructions. Of libqrt.so only qrt.h is visible.
# usage: objects.sh BUILD_DIR NM OBJDUMP
set -euo pipefail
build=${1:?usage: objects.sh BUILD_DIR NM OBJDUMP} nm=${2:-nm} objdump=${3:-objdump}
objects=$(find "$build/kernels" -name '*.o')
[ -n "$objects" ] || { echo "objects: no kernel objects under $build/kernels"; exit 1; }
bad=0 isa_objects=0
for object in $objects; do
  name=$(basename "$object" .cc.o)
  case $name in
    x86_*|arm_*)
      isa_objects=$((isa_objects + 1))
      weak=$("$nm" -C "$object" | grep -E ' [VWu] ' || true)
      if [ -n "$weak" ]; then echo "objects: weak symbols in $object:"$'\n'"$weak"; bad=1; fi ;;
    *)
      if "$objdump" -d "$object" | grep -qE '%[yz]mm[0-9]'; then
        echo "objects: vector instructions beyond the baseline in $object"; bad=1
      fi ;;
  esac
done
for object in $(find "$build/runtime/CMakeFiles" -name '*.o'); do
  if "$objdump" -d "$object" | grep -qE '%[yz]mm[0-9]'; then
    echo "objects: vector instructions beyond the baseline in $object"; bad=1
  fi
done
library=$build/runtime/libqrt.so
if [ -e "$library" ]; then
  exported=$("$nm" -D --defined-only "$library" | awk '{ print $NF }')
  others=$(grep -vE '^(qrt_[a-z_]+|_edata|_end|__end__|_?_bss_(start|end)__?|__bss_start)$' <<<"$exported" || true)
  if [ -n "$others" ]; then echo "objects: libqrt.so exports"$'\n'"$others"; bad=1; fi
  grep -q '^qrt_model_open_file$' <<<"$exported" || { echo "objects: libqrt.so exports no API"; bad=1; }
fi
echo "objects: $isa_objects ISA objects looked at"
[ "$isa_objects" -gt 0 ] || bad=1
exit $bad
