#!/usr/bin/env bash
# Starts `wallaby dev` with the aos modules that clients ask for by their ids
# on the ao network. Arguments go to `wallaby dev`.
set -euo pipefail
cd "$(dirname "$0")/.."

GO=${GO:-go}
modules=testdata/modules

if ! scripts/fetch-modules.sh; then
	echo "dev: starting without the modules that are missing; add your own with --module FILE.wasm" >&2
fi
if ! scripts/runtime.sh; then
	echo "dev: wallaby build needs the Lua runtime; all else works without it" >&2
fi
if command -v npm >/dev/null && [ ! -d e2e/node_modules ]; then
	(cd e2e && npm ci --ignore-scripts --no-audit --no-fund --silent) ||
		echo "dev: aoconnect was not installed in e2e/; the node does not need it" >&2
fi

flags=()
add() { # add FILE [ID]
	if [ -f "$modules/$1" ]; then
		flags+=(--module "${2:+$2=}$modules/$1")
	fi
}
add aos2_0_6.wasm ISShJH1ij-hPPt9St5UFFr_8Ys3Kj5cyg7zrMGt7H9s
add aos2_0_3.wasm JArYBF-D8q2OmZ4Mok00sD2Y_6SYEQ7Hjx-6VZ_jl3g
add aos2_0_1.wasm Do_Uc2Sju_ffp6Ev0AnLVdPtot15rvMjP-a9VVaA5fM
add sqlite.wasm ghSkge2sIUD_F00ym5sEimC63BDBuBrq4b5OcwxOjiw
add aos2_0_4_32.wasm

# Not "go run", which takes Ctrl-C for a failure.
scripts/build.sh
exec bin/wallaby dev ${flags[@]+"${flags[@]}"} "$@"
