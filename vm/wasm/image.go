package wasm

import (
	"bytes"
	"crypto/sha256"

	"github.com/wallaby-ao/wallaby/vm"
)

// image is a copy of a guest's memory that can be brought up to date cheaply.
type image struct {
	space *Reservation
	bytes []byte
	// held marks the pages that the image has ever written to, heldPages counts
	// them: the others are not in memory.
	held      []bool
	heldPages uint64
	// hashes are of snapshot pages of the image, by their number.
	hashes map[int][sha256.Size]byte
}

// osPageBytes is the grain at which memories are compared and copied.
const osPageBytes = 4096

// newImage makes an empty image of a memory of up to max bytes.
func newImage(max uint64) (*image, error) {
	space, err := Reserve(max)
	if err != nil {
		return nil, err
	}
	return &image{space: space, hashes: map[int][sha256.Size]byte{}}, nil
}

// update makes the image equal to memory by copying the pages that differ; it looks
// at those that were touched only. What lies beyond a smaller memory is kept, to be
// compared when it grows again.
func (i *image) update(memory []byte, touched []bool) bool {
	if !i.resize(len(memory)) {
		return false
	}
	for page := range len(memory) / osPageBytes {
		if at := page * osPageBytes; i.held[page] || mayHold(touched, page) {
			i.put(at, memory[at:at+osPageBytes])
		}
	}
	return true
}

// mayHold reports whether a page may hold anything but zeros, by an instance's
// account of what was touched.
func mayHold(touched []bool, page int) bool { return page >= len(touched) || touched[page] }

// resize makes the image larger, with zeros.
func (i *image) resize(size int) bool {
	if i.bytes = i.space.Commit(uint64(size)); i.bytes == nil {
		return false
	}
	if missing := size/osPageBytes - len(i.held); missing > 0 {
		i.held = append(i.held, make([]bool, missing)...)
	}
	return true
}

// put writes pages from the byte start on.
func (i *image) put(start int, pages []byte) {
	for n := 0; n < len(pages); n += osPageBytes {
		page, at := pages[n:n+osPageBytes], start+n
		held := &i.held[at/osPageBytes]
		switch {
		case *held:
			if !copyPage(i.bytes[at:], page) {
				continue
			}
		case !isZero(page):
			copy(i.bytes[at:], page)
			*held = true
			i.heldPages++
		default:
			continue
		}
		delete(i.hashes, at/vm.PageBytes)
	}
}

// hash gives the hash of a snapshot page of a memory that the image is an older state
// of. Comparing is many times quicker than hashing, and most pages are as they were.
func (i *image) hash(at int, page []byte) [sha256.Size]byte {
	if at+len(page) > len(i.bytes) || !bytes.Equal(i.bytes[at:at+len(page)], page) {
		return sha256.Sum256(page)
	}
	hash, known := i.hashes[at/vm.PageBytes]
	if !known {
		hash = sha256.Sum256(page)
		i.hashes[at/vm.PageBytes] = hash
	}
	return hash
}

// fill makes a new instance's memory equal to the image. It looks only at pages
// that one of them has written to: written says which those are of the
// instance.
func (i *image) fill(memory []byte, written []bool) {
	for page, held := range i.held[:len(i.bytes)/osPageBytes] {
		at := page * osPageBytes
		switch {
		case held:
			copy(memory[at:], i.bytes[at:at+osPageBytes])
		case page < len(written) && written[page]:
			clear(memory[at : at+osPageBytes])
		}
	}
}

// writtenPages marks the pages that are not all zero.
func writtenPages(memory []byte, touched []bool) []bool {
	written := make([]bool, len(memory)/osPageBytes)
	for page := range written {
		written[page] = mayHold(touched, page) && !isZero(memory[page*osPageBytes:(page+1)*osPageBytes])
	}
	return written
}

// residentBytes is the memory that the image takes.
func (i *image) residentBytes() uint64 { return i.heldPages * osPageBytes }

// putBack makes a memory of the image's size equal to it.
func (i *image) putBack(memory []byte, touched []bool) {
	for page := range len(i.bytes) / osPageBytes {
		if at := page * osPageBytes; i.held[page] || mayHold(touched, page) {
			copyPage(memory[at:], i.bytes[at:at+osPageBytes])
		}
	}
}

// copyPage makes to equal to from, and reports whether it was not. Comparing first
// leaves untouched pages of both sides untouched.
func copyPage(to, from []byte) bool {
	if bytes.Equal(to[:len(from)], from) {
		return false
	}
	copy(to, from)
	return true
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
