package wazero

import (
	_ "unsafe" // for the name below

	"github.com/wallaby-ao/wallaby/vm/wasm/binary"
)

// interpreterDepth is wazero's bound on the calls that its interpreter nests,
// 2,000 and no option. Compiled code nests many more, so a deep recursion would
// end elsewhere when interpreted. Prepared modules bound their own depth.
//
//go:linkname interpreterDepth github.com/tetratelabs/wazero/internal/engine/interpreter.callStackCeiling
var interpreterDepth int

func init() { interpreterDepth = binary.CallsMax }
