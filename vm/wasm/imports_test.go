package wasm

import (
	"bytes"
	"testing"
)

// bytesInstance is an instance of which only the memory matters.
type bytesInstance struct {
	Instance
	memory []byte
}

func (i bytesInstance) Memory() []byte { return i.memory }

// TestMemcpyIsCopyWithin has the values of TypedArray.prototype.copyWithin in
// node for a memory of 8 bytes.
func TestMemcpyIsCopyWithin(t *testing.T) {
	for _, c := range []struct {
		to, from, count uint64
		want            string
	}{
		{0, 4, 4, "45674567"},
		{2, 0, 4, "01012367"}, // they overlap
		{0, 2, 4, "23454567"},
		{0, 6, 4, "67234567"}, // reads past the end
		{6, 0, 4, "01234501"}, // writes past the end
		{0, 8, 4, "01234567"},
		{9, 0, 4, "01234567"},
		{0, 1 << 40, 4, "01234567"},
		{1 << 40, 0, 4, "01234567"},
		{1, 0, 1 << 40, "00123456"},
		{0, 0, 0, "01234567"},
	} {
		memory := []byte("01234567")
		h := &host{instance: bytesInstance{memory: memory}}
		if err := memcpy(h, []uint64{c.to, c.from, c.count}); err != nil || !bytes.Equal(memory, []byte(c.want)) {
			t.Errorf("memcpy(%d, %d, %d): %s, %v, want %s", c.to, c.from, c.count, memory, err, c.want)
		}
	}
}
