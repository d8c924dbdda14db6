#!/usr/bin/env bash
# Builds what "wallaby demo" needs, and runs it.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/runtime.sh
CGO_ENABLED=0 "${GO:-go}" build -trimpath -o bin/wallaby ./cmd/wallaby
exec bin/wallaby demo "$@"
