#!/usr/bin/env bash
# The innermost loops of the kernels keep their sums in registers: a compiler that spills them
# to the stack makes them up to 2.5 times slower, and no other test would notice. x86 objects only;
# the functions looked at are named below; of multiply_bytes only what lies between its products,
# behind which it may spill. usage: spills.sh BUILD_DIR OBJDUMP
set -euo pipefail
build=${1:?usage: spills.sh BUILD_DIR OBJDUMP} objdump=${2:-objdump}
functions='8multiplyI|8codebook4tileI|7look_upI|5buildI|12build_narrowI|11build_splitI|11fill_narrowI|5sweepI|11sweep_codesI|12sweep_planesI|4passI|7DotLoopI.*j4ELb.*4part|7DotLoopI.*(9VbmiTrits|4Vnni).*j0ELb.*4part|10SpreadLoopI.*4many|10count_rowsI.*V512'
behind='14multiply_bytesI'
bad=0 seen=0
for object in $(find "$build/kernels" -name 'x86_*.o'); do
  listing=$("$objdump" -d --no-show-raw-insn "$object" |
    awk -v pick="$functions" -v behind="$behind" '
      /^[0-9a-f]+ </ { name = $2; held = ""; if (name ~ pick || name ~ behind) print "function", name }
      name ~ pick && /[yz]mm/ && /\(%rsp\)/ { print "spill", name, $0 }
      name ~ behind && /vpdpbusd/ { if (dots == name) printf "%s", held; held = ""; dots = name }
      name ~ behind && dots == name && /[yz]mm/ && /\(%rsp\)/ { held = held "spill " name " " $0 "\n" }')
  seen=$((seen + $(grep -c '^function' <<<"$listing" || true)))
  if grep '^spill' <<<"$listing"; then echo "spills: in $object (above)"; bad=1; fi
done
echo "spills: $seen innermost functions looked at"
if "$objdump" -i | grep -q x86-64 && [ -n "$(find "$build/kernels" -name 'x86_*.o')" ]; then
  [ "$seen" -gt 0 ] || bad=1
fi
exit $bad
