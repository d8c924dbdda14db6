#!/usr/bin/env bash
# Builds the static binary bin/wallaby. The Lua runtime is in it if scripts/runtime.sh has
# built that, so that the binary needs no other file.
set -euo pipefail
cd "$(dirname "$0")/.."

flags=()
if [ -f lua/runtime.wasm ]; then
	flags+=(-tags embedruntime)
fi
CGO_ENABLED=0 "${GO:-go}" build -trimpath ${flags[@]+"${flags[@]}"} -o bin/wallaby ./cmd/wallaby
