#!/usr/bin/env bash
# The demo: compresses the small network of this folder at several settings, runs every result on
# the pictures in images/, and prints one table. usage: run.sh BIN_DIR
set -euo pipefail
bin=$(cd "${1:?usage: run.sh BIN_DIR}" && pwd)
cd "$(dirname "$0")"
exec python3 table.py "$bin"
