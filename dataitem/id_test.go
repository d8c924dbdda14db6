package dataitem

import (
	"strings"
	"testing"
)

// TestAnIDHasOneText: a decoder that passes over line ends would take more.
func TestAnIDHasOneText(t *testing.T) {
	text := strings.Repeat("A", IDLength)
	if id, err := ParseID(text); err != nil || id.String() != text {
		t.Errorf("%s, %v", id, err)
	}
	for _, wrong := range []string{"\n" + text[1:], text[:20] + "\r" + text[21:], text[:42] + "\n", text[:42] + "B", text[1:], text + "A"} {
		if id, err := ParseID(wrong); err == nil {
			t.Errorf("%q is read as %s", wrong, id)
		}
	}
}
