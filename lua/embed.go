//go:build embedruntime

package lua

import _ "embed"

//go:embed runtime.wasm
var embedded []byte
