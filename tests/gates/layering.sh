#!/usr/bin/env bash
# Include directions of the house: every allowed edge stands here, and every third party has one
# door. usage: layering.sh SOURCE_DIR
set -euo pipefail
cd "${1:?usage: layering.sh SOURCE_DIR}"
bad=0
complain() { echo "layering: $*"; bad=1; }

# deny FOLDER REGEX WHY [EXCEPT]: no file under FOLDER may include what REGEX matches.
deny() {
  local found
  found=$(grep -rnE "^ *# *include *[<\"]($2)" "$1" --include='*.h' --include='*.hpp' --include='*.cc' \
    --include='*.inc' --include='*.c' | grep -vE "${4:-^$}" || true)
  [ -z "$found" ] || complain "$3:"$'\n'"$found"
}
deny kernels '(runtime|converter|schema|tests|bench)/' "kernels/ includes nothing of ours outside itself"
deny schema '(runtime|converter|kernels|tests|bench)/' "schema/ is a leaf"
deny runtime '(converter|tests|bench)/' "runtime/ does not know the converter, tests or benchmarks"
deny converter 'runtime/' "converter/ sees of runtime/ only base/ and the tools' io" \
  'runtime/(base|tools/io)/|^converter/tools/'
deny converter 'kernels/' "converter/ does not include kernels"
# Doors.
deny . 'xnnpack.h' "only runtime/dense includes XNNPACK" '^\./(runtime/dense|bench|build)/'
deny . 'pthreadpool.h' "only session/threads.cc includes pthreadpool" '^\./(runtime/session/threads.cc|bench|build)'
deny . 'cpuinfo.h' "only kernels/isa.cc includes cpuinfo" '^\./(kernels/isa.cc|build)'
deny . '(flatbuffers/|qrt_generated.h)' "only runtime/model, converter/emit and tests/support include FlatBuffers" \
  '^\./(runtime/model|converter/emit|tests|build)/'
deny . '(onnx/|google/protobuf)' "only converter/import/onnx* includes onnx" \
  '^\./(converter/import/onnx[a-z_]*\.(cc|h)|tests/|build/)'
exit $bad
