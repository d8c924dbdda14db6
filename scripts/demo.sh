#!/usr/bin/env bash
# Builds what "wallaby demo" needs, and runs it.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/runtime.sh
scripts/build.sh
exec bin/wallaby demo "$@"
