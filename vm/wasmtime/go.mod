module github.com/wallaby-ao/wallaby/vm/wasmtime

go 1.26.0

require github.com/wallaby-ao/wallaby v0.0.0

require (
	github.com/bytecodealliance/wasmtime-go/v39 v39.0.1
	github.com/decred/dcrd/dcrec/secp256k1/v4 v4.4.1 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/wallaby-ao/wallaby => ../..
