package arweave

import (
	"crypto/sha256"
	"encoding/binary"
)

// The sizes by which Arweave cuts data into chunks.
const (
	ChunkBytesMax = 256 << 10
	chunkBytesMin = 32 << 10
	noteBytes     = 32
	branchBytes   = 2*sha256.Size + noteBytes
	leafBytes     = sha256.Size + noteBytes
)

// Tree is the Merkle tree over the chunks of some data.
type Tree struct {
	Root [32]byte
	// Chunks are the chunks that are uploaded, in order. The empty chunk that
	// ends data of an exact multiple of ChunkBytesMax is in the tree but not
	// here.
	Chunks []Chunk
}

// Chunk is one piece [Start, End) of data with the proof that it belongs to
// the root.
type Chunk struct {
	Start, End uint64
	Proof      []byte // data_path: branches from the root, then the leaf
}

// treeNode is one node while the tree is built.
type treeNode struct {
	id          [32]byte
	end, middle uint64
	left, right *treeNode
	hash        [32]byte // leaves only: hash of the chunk
	start       uint64   // leaves only
}

// NewTree cuts data into chunks and builds the tree as Arweave does.
func NewTree(data []byte) *Tree {
	row := leaves(data)
	count := len(row)
	for len(row) > 1 {
		row = parents(row)
	}
	tree := &Tree{Root: row[0].id, Chunks: make([]Chunk, 0, count)}
	tree.collect(row[0], nil, count)
	return tree
}

// leaves cuts the data. A rest that would leave a chunk below the minimum is
// halved, and what is left at the end is appended even when it is empty.
func leaves(data []byte) []*treeNode {
	var row []*treeNode
	start := uint64(0)
	add := func(n int) {
		end := start + uint64(n)
		hash := sha256.Sum256(data[:n])
		row = append(row, &treeNode{id: leafID(hash[:], note(end)), hash: hash, start: start, end: end})
		data, start = data[n:], end
	}
	for len(data) >= ChunkBytesMax {
		n := ChunkBytesMax
		if rest := len(data) - ChunkBytesMax; rest > 0 && rest < chunkBytesMin {
			n = (len(data) + 1) / 2
		}
		add(n)
	}
	add(len(data))
	return row
}

// parents pairs nodes from the left; an odd last one moves up unchanged.
func parents(row []*treeNode) []*treeNode {
	up := make([]*treeNode, 0, (len(row)+1)/2)
	for ; len(row) >= 2; row = row[2:] {
		left, right := row[0], row[1]
		up = append(up, &treeNode{
			id: branchID(left.id[:], right.id[:], note(left.end)), end: right.end, middle: left.end, left: left, right: right,
		})
	}
	return append(up, row...)
}

func (t *Tree) collect(n *treeNode, path []byte, count int) {
	if n.left == nil {
		if n.end > n.start || count == 1 {
			t.Chunks = append(t.Chunks, Chunk{Start: n.start, End: n.end, Proof: join(path, n.hash[:], note(n.end))})
		}
		return
	}
	path = join(path, n.left.id[:], n.right.id[:], note(n.middle))
	t.collect(n.left, path, count)
	t.collect(n.right, path, count)
}

// note is an offset as 32 bytes, big-endian.
func note(n uint64) []byte {
	b := make([]byte, noteBytes)
	binary.BigEndian.PutUint64(b[noteBytes-8:], n)
	return b
}

// leafID hashes the chunk's hash once more together with where it ends.
func leafID(hash, end []byte) [32]byte { return hashOfHashes(hash, end) }

func branchID(left, right, middle []byte) [32]byte { return hashOfHashes(left, right, middle) }

func hashOfHashes(parts ...[]byte) [32]byte {
	joined := make([]byte, 0, 3*sha256.Size)
	for _, part := range parts {
		sum := sha256.Sum256(part)
		joined = append(joined, sum[:]...)
	}
	return sha256.Sum256(joined)
}

func join(parts ...[]byte) []byte {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	joined := make([]byte, 0, size)
	for _, part := range parts {
		joined = append(joined, part...)
	}
	return joined
}
