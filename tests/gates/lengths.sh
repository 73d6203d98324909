#!/usr/bin/env bash
# Lengths and characters of source files (aims in the folder READMEs): no file over 600 lines, no
# header over 250, ASCII only. usage: lengths.sh SOURCE_DIR
set -euo pipefail
cd "${1:?usage: lengths.sh SOURCE_DIR}"
bad=0
while read -r file; do
  lines=$(wc -l <"$file")
  cap=600
  case $file in *.h|*.hpp) cap=250 ;; esac
  case $file in */generic.h|*/generic_*.h) cap=350 ;; esac
  if [ "$lines" -gt $cap ]; then echo "lengths: $file has $lines lines; allowed are $cap"; bad=1; fi
  if LC_ALL=C grep -nP '[^\x00-\x7F]' "$file"; then echo "lengths: $file is not ASCII (above)"; bad=1; fi
done < <(find runtime kernels schema converter bench tests examples -type f \
  \( -name '*.h' -o -name '*.hpp' -o -name '*.cc' -o -name '*.c' -o -name '*.inc' -o -name '*.fbs' \))
exit $bad
