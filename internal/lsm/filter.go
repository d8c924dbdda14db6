package lsm

// filter says of most keys that a table does not have that it does not. It is a
// Bloom filter in blocks of one cache line (Putze, Sanders, Singler, 2007), made
// of the keys' xxHash64.
type filter []byte

const (
	filterBlockBytes = 64
	// filterBits for each key, of which filterProbes are set, let about one key in
	// a hundred through that is not there.
	filterBits   = 10
	filterProbes = 6
)

func newFilter(hashes []uint64) filter {
	blocks := (len(hashes)*filterBits + 8*filterBlockBytes - 1) / (8 * filterBlockBytes)
	f := make(filter, max(1, blocks)*filterBlockBytes)
	for _, hash := range hashes {
		block := f.block(hash)
		for i := range uint32(filterProbes) {
			bit := probed(hash, i)
			block[bit/8] |= 1 << (bit % 8)
		}
	}
	return f
}

// block gives the part of the filter that a key is in.
func (f filter) block(hash uint64) []byte {
	blocks := uint64(len(f) / filterBlockBytes)
	return f[hash>>32*blocks>>32*filterBlockBytes:][:filterBlockBytes]
}

// may reports whether a key may be there.
func (f filter) may(hash uint64) bool {
	block := f.block(hash)
	for i := range uint32(filterProbes) {
		bit := probed(hash, i)
		if block[bit/8]&(1<<(bit%8)) == 0 {
			return false
		}
	}
	return true
}

// probed gives the bit of a block that a key's probe number i is at.
func probed(hash uint64, i uint32) uint32 {
	low := uint32(hash)
	return (low + i*(low>>17|low<<15)) >> 23
}
