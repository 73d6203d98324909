#!/usr/bin/env bash
# Shift-add means what it says: the loops of kernels/shift that add up products hold no instruction
# that multiplies, on any instruction set. usage: shifts.sh BUILD_DIR OBJDUMP
set -euo pipefail
build=${1:?usage: shifts.sh BUILD_DIR OBJDUMP} objdump=${2:-objdump}
functions='9add_chunkI|11add_shifted' multiplies='mul|madd|mla|mls|dot|vdpb|vdpw'
bad=0 seen=0
for object in $(find "$build/kernels" -path '*shift/*.o'); do
  listing=$("$objdump" -d --no-show-raw-insn "$object" |
    awk -v pick="$functions" -v no="$multiplies" '
      /^[0-9a-f]+ </ { name = $2; if (name ~ pick) print "function", name }
      name ~ pick && $2 ~ no { print "multiplies", name, $0 }')
  seen=$((seen + $(grep -c '^function' <<<"$listing" || true)))
  if grep '^multiplies' <<<"$listing"; then echo "shifts: in $object (above)"; bad=1; fi
done
echo "shifts: $seen loops looked at"
[ "$seen" -gt 0 ] || bad=1
exit $bad
