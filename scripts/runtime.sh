#!/usr/bin/env bash
# Builds the Lua runtime lua/runtime.wasm out of Debian's sources of Lua 5.3 and the C in
# lua/runtime, with Debian's clang, lld and wasi-libc, all of which it installs if they
# are missing. The result must have the hash in lua/runtime.sha256, whoever builds it;
# --accept writes the hash of a runtime that was changed on purpose.
# Does nothing when the runtime is there and nothing it is made of is newer.
set -euo pipefail
cd "$(dirname "$0")/.."

OUT=lua/runtime.wasm
WANT=lua/runtime.sha256
LUA=lua5.3
LUA_SHA256=fc5fd69bb8736323f026672b1b7235da613d7177e72558893a0bdcd320466d60
TOOLS="clang lld wasi-libc libclang-rt-dev-wasm32"

say() { echo "runtime: $*" >&2; }
stop() {
	say "$*"
	exit 1
}

if [ "${1:-}" != --accept ] && [ -f "$OUT" ] && [ -z "$(find lua/runtime scripts/runtime.sh "$WANT" -newer "$OUT")" ]; then
	exit 0
fi
command -v apt-get >/dev/null || stop "it is built with Debian's packages, and there is no apt-get; on another system copy a built lua/runtime.wasm here"

# as_root runs what changes the system.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		stop "$TOOLS are missing; install them, or run this as root: apt-get install $TOOLS"
	fi
}

for tool in $TOOLS; do
	if ! dpkg -s "$tool" 2>/dev/null | grep -q '^Status: install ok installed'; then
		say "installing $TOOLS"
		as_root apt-get update -qq >/dev/null || true
		# shellcheck disable=SC2086
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $TOOLS >/dev/null ||
			stop "apt-get install $TOOLS did not work"
		break
	fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The source package comes through apt, with a list of sources of its own.
fetch() {
	mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/source"
	echo "deb-src ${DEBIAN_MIRROR:-http://deb.debian.org/debian} bookworm main" >"$work/apt/sources.list"
	local options=(-o "Dir::Etc::sourcelist=$work/apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/apt/lists"
		-o "Dir::Cache=$work/apt/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none)
	apt-get "${options[@]}" update -qq >/dev/null && (cd "$work/source" && apt-get "${options[@]}" source -qq --download-only "$LUA" >/dev/null)
}
fetch || stop "the source package $LUA could not be had from Debian: check the network, or name a mirror with DEBIAN_MIRROR"
tarball=$(ls "$work"/source/*.orig.tar.gz)
echo "$LUA_SHA256  $tarball" | sha256sum -c --status || stop "$(basename "$tarball") is not the source that was pinned: its hash is $(sha256sum <"$tarball" | cut -d' ' -f1)"
mkdir "$work/lua"
tar -xzf "$tarball" -C "$work/lua" --strip-components=1

here=$PWD/lua/runtime
cd "$work/lua/src"
# Lua without what a process does not have: files, programs of its own.
sources=$(ls l*.c | grep -vx -e lua.c -e luac.c -e liolib.c -e linit.c)
# It is linked in a step of its own: told to optimize, clang would have the result rewritten
# by wasm-opt on machines that have one.
target=(--target=wasm32-wasi -nostartfiles)
objects=()
mkdir "$work/objects"
for source in $sources "$here"/*.c "$here"/stack.s; do
	clang "${target[@]}" -O2 -g0 -std=gnu11 -DNDEBUG -DLUA_COMPAT_5_2 -DL_tmpnam=20 \
		-mno-bulk-memory -fno-ident -Wall -Wno-string-plus-int -Wno-deprecated-declarations -Wno-unused-command-line-argument \
		-I"$here/include" -I"$here" -I. -include "$here/throw.h" -ffile-prefix-map="$work"=. -ffile-prefix-map="$here"=runtime \
		-c "$source" -o "$work/objects/$(basename "$source").o" || stop "clang could not compile $source"
	objects+=("$work/objects/$(basename "$source").o")
done
clang "${target[@]}" "${objects[@]}" -o "$work/runtime.wasm" \
	-Wl,--no-entry -Wl,--strip-all -Wl,--export-table -Wl,-z,stack-size=1048576 -Wl,--global-base=4194304 \
	-Wl,--export-if-defined=__wasm_call_ctors -Wl,--allow-undefined ||
	stop "clang could not link it"
cd - >/dev/null

hash=$(sha256sum <"$work/runtime.wasm" | cut -d' ' -f1)
if [ "${1:-}" = --accept ]; then
	echo "$hash" >"$WANT"
elif [ "$hash" != "$(cat "$WANT" 2>/dev/null)" ]; then
	stop "what was built has the hash $hash and not the one in $WANT: with $(clang --version | head -n 1) it should be the same; if lua/runtime was changed on purpose, run $0 --accept"
fi
mv "$work/runtime.wasm" "$OUT"
say "$OUT, $(wc -c <"$OUT") bytes"
