#!/bin/sh
# Builds the virtual machines that run as plugins into bin/. Each is a Go module
# of its own: wasmer and wasmtime may never share a binary.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
if [ "$($go env CGO_ENABLED)" != 1 ] || ! command -v "$($go env CC)" >/dev/null; then
	echo "make plugins needs a C compiler: install gcc (Debian: apt-get install gcc libc6-dev)" >&2
	exit 1
fi
mkdir -p bin
(cd vm/wasmtime && $go build -trimpath -ldflags '-s -w' -o ../../bin/wallaby-vm-wasmtime ./cmd/wallaby-vm-wasmtime)
# libwasmer.so lies beside the program, wherever both are moved.
(cd vm/wasmer && $go build -trimpath -ldflags '-s -w -extldflags "-Wl,-rpath,$ORIGIN"' -o ../../bin/wallaby-vm-wasmer ./cmd/wallaby-vm-wasmer)
library=$(cd vm/wasmer && $go list -m -f '{{.Dir}}' github.com/wasmerio/wasmer-go)/wasmer/packaged/lib/$($go env GOOS)-$($go env GOARCH)
for file in "$library"/libwasmer.*; do
	# A plugin may be starting: the library is never missing, and never half there.
	install -m 644 "$file" bin/library.new
	mv -f bin/library.new "bin/$(basename "$file")"
done
