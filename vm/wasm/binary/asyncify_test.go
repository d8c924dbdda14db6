package binary

import (
	"bytes"
	"testing"
)

// TestFoldAsyncify gives the folder what Binaryen writes around a call, with the
// state in global 4, and wants what there was before Asyncify.
func TestFoldAsyncify(t *testing.T) {
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	state := []byte{opGlobalGet, 4}
	stateIs := func(n byte) []byte { return join(state, []byte{opI32Const, n, opI32Eq}) }
	call := []byte{opCall, 7}
	end := []byte{opEnd}
	for name, test := range map[string]struct{ in, want []byte }{
		"rewind at the entry": {
			in:   join(stateIs(2), []byte{opIf, blockVoid, opLocalGet, 0, opLocalSet, 1, opEnd}, call, end),
			want: join(call, end),
		},
		"unwind after a call": {
			in:   join([]byte{opBlock, blockVoid}, call, stateIs(1), []byte{opBrIf, 0, opEnd}, end),
			want: join([]byte{opBlock, blockVoid}, call, []byte{opEnd}, end),
		},
		"run or rewind to here": {
			in: join(state, []byte{opI32Eqz, opLocalGet, 3, opI32Const, 5, opI32Eq, opI32Or, opIf, blockVoid},
				call, []byte{opElse}, call, call, []byte{opEnd}, end),
			want: join([]byte{opBlock, blockVoid}, call, []byte{opEnd}, end),
		},
		"a value of two": {
			in:   join([]byte{opI32Const, 1, opLocalGet, 2}, state, []byte{opSelect, opIf, blockVoid}, call, []byte{opEnd}, end),
			want: join([]byte{opLocalGet, 2, opIf, blockVoid}, call, []byte{opEnd}, end),
		},
		"an if in what is dropped": {
			in: join(state, []byte{opIf, 0x7f, opLocalGet, 0, opIf, blockVoid, opElse, opEnd, opI32Const, 1, opElse, opI32Const, 2, opEnd},
				[]byte{0x1a}, end),
			want: join([]byte{opBlock, 0x7f, opI32Const, 2, opEnd, 0x1a}, end),
		},
		"other globals stay": {
			in:   join([]byte{opGlobalGet, 3, opIf, blockVoid}, call, []byte{opEnd}, end),
			want: join([]byte{opGlobalGet, 3, opIf, blockVoid}, call, []byte{opEnd}, end),
		},
		"effects stay": {
			in:   join(call, []byte{opI32Eqz}, state, []byte{opI32And, opIf, blockVoid}, call, []byte{opEnd}, end),
			want: join(call, []byte{opI32Eqz, opI32Const, 0, opI32And, opIf, blockVoid}, call, []byte{opEnd}, end),
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := folder{state: 4, in: reader{b: test.in}}
			if got := f.fold(); !bytes.Equal(got, test.want) {
				t.Fatalf("gave %x\nwant %x", got, test.want)
			}
		})
	}
}
