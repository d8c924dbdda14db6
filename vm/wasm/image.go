package wasm

import "bytes"

// image is a copy of a guest's memory that can be brought up to date cheaply.
type image struct {
	space *Reservation
	bytes []byte
}

// osPageBytes is the grain at which memories are compared and copied.
const osPageBytes = 4096

// newImage makes an empty image of a memory of up to max bytes.
func newImage(max uint64) (*image, error) {
	space, err := Reserve(max)
	if err != nil {
		return nil, err
	}
	return &image{space: space}, nil
}

// update makes the image equal to memory by copying the pages that differ. What
// lies beyond a smaller memory is kept, to be compared when it grows again.
func (i *image) update(memory []byte) bool {
	if i.bytes = i.space.Commit(uint64(len(memory))); i.bytes == nil {
		return false
	}
	copyChanged(i.bytes, memory)
	return true
}

// copyChanged makes to equal to from. Comparing first leaves untouched pages of
// both sides untouched.
func copyChanged(to, from []byte) {
	for at := 0; at < len(from); at += osPageBytes {
		end := min(at+osPageBytes, len(from))
		if !bytes.Equal(to[at:end], from[at:end]) {
			copy(to[at:end], from[at:end])
		}
	}
}

func (i *image) close() {
	i.bytes = nil
	i.space.Free()
}

// isZero reports whether a page holds only zeros.
func isZero(page []byte) bool {
	for len(page) > 0 {
		n := min(len(page), osPageBytes)
		if !bytes.Equal(page[:n], zeros[:n]) {
			return false
		}
		page = page[n:]
	}
	return true
}

// zeros is what pages are compared with; nothing writes to it.
var zeros [osPageBytes]byte
