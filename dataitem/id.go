package dataitem

import (
	"encoding/base64"
	"fmt"
)

// ID is the 32-byte name of a data item, process, module, block or address,
// written as 43 characters of unpadded base64url.
type ID [32]byte

// IDLength is the number of characters of an ID's text form.
const IDLength = 43

// ParseID reads the 43-character text form. It refuses text whose unused low
// bits are not zero, so that every id has exactly one text.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != IDLength {
		return id, fmt.Errorf("%q is not an id: want %d base64url characters, got %d", clip(s), IDLength, len(s))
	}
	n, err := strictBase64.Decode(id[:], []byte(s))
	if err != nil {
		return ID{}, fmt.Errorf("%q is not an id: %w", clip(s), err)
	}
	if n != len(id) { // the decoder passes over line ends
		return ID{}, fmt.Errorf("%q is not an id: it has a line end in it", clip(s))
	}
	return id, nil
}

// strictBase64 reads one text for each id, and no other.
var strictBase64 = base64.RawURLEncoding.Strict()

// String gives the 43-character text form.
func (id ID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// IsZero reports whether the id is all zero bytes, which stands for "none".
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText gives the text form; the zero id gives empty text.
func (id ID) MarshalText() ([]byte, error) {
	if id.IsZero() {
		return nil, nil
	}
	return []byte(id.String()), nil
}

// UnmarshalText reads the text form; empty text gives the zero id.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = ID{}
		return nil
	}
	parsed, err := ParseID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// clip bounds text that is quoted in an error message.
func clip(s string) string {
	const max = 64
	if len(s) > max {
		return s[:max] + "…"
	}
	return s
}
