package arweave

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrProof is returned when a chunk's proof does not lead to the root.
var ErrProof = errors.New("chunk proof is invalid")

// proofBranchesMax bounds a proof's length: no honest tree over 2^63 bytes is
// deeper.
const proofBranchesMax = 64

// Place is where a proof puts its chunk.
type Place struct {
	Start, End uint64
	Hash       [32]byte // SHA-256 of the chunk
}

// CheckProof follows a data_path from the root to the leaf that holds the byte
// at offset of data with this size, and says where that leaf lies.
//
// The leaf must end exactly where its branch says, so that the leaves of one
// root never overlap.
func CheckProof(root []byte, size, offset uint64, proof []byte) (Place, error) {
	if len(root) != sha256.Size || size == 0 {
		return Place{}, fmt.Errorf("%w: the root has %d bytes and the data %d", ErrProof, len(root), size)
	}
	if len(proof) < leafBytes || (len(proof)-leafBytes)%branchBytes != 0 || len(proof) > leafBytes+proofBranchesMax*branchBytes {
		return Place{}, fmt.Errorf("%w: a proof cannot have %d bytes", ErrProof, len(proof))
	}
	if offset >= size {
		return Place{}, fmt.Errorf("%w: offset %d is outside of %d bytes", ErrProof, offset, size)
	}
	start, end := uint64(0), size
	for len(proof) > leafBytes {
		left, right, middle := proof[:32], proof[32:64], proof[64:branchBytes]
		if id := branchID(left, right, middle); string(id[:]) != string(root) {
			return Place{}, fmt.Errorf("%w: a branch does not hash to its parent", ErrProof)
		}
		at, err := readNote(middle)
		if err != nil {
			return Place{}, err
		}
		if at < start || at > end {
			return Place{}, fmt.Errorf("%w: a branch splits outside of its range", ErrProof)
		}
		if offset < at {
			root, end = left, at
		} else {
			root, start = right, at
		}
		proof = proof[branchBytes:]
	}
	hash, last := proof[:32], proof[32:]
	if id := leafID(hash, last); string(id[:]) != string(root) {
		return Place{}, fmt.Errorf("%w: the leaf does not hash to its parent", ErrProof)
	}
	at, err := readNote(last)
	if err != nil {
		return Place{}, err
	}
	if at != end || end <= start || end-start > ChunkBytesMax {
		return Place{}, fmt.Errorf("%w: a chunk from %d to %d that says it ends at %d", ErrProof, start, end, at)
	}
	return Place{Start: start, End: end, Hash: [32]byte(hash)}, nil
}

// CheckChunk is CheckProof for a chunk that is at hand.
func CheckChunk(root []byte, size, offset uint64, proof, chunk []byte) (Place, error) {
	place, err := CheckProof(root, size, offset, proof)
	if err != nil {
		return place, err
	}
	if uint64(len(chunk)) != place.End-place.Start || sha256.Sum256(chunk) != place.Hash {
		return place, fmt.Errorf("%w: the chunk is not the one that was proved", ErrProof)
	}
	return place, nil
}

// ProofHolds reports whether a proof's leaf is this chunk. It does not follow
// the branches: CheckChunk does.
func ProofHolds(proof, chunk []byte) bool {
	if len(proof) < leafBytes {
		return false
	}
	leaf := proof[len(proof)-leafBytes:]
	return sha256.Sum256(chunk) == [32]byte(leaf[:sha256.Size])
}

func readNote(b []byte) (uint64, error) {
	for _, high := range b[:noteBytes-8] {
		if high != 0 {
			return 0, fmt.Errorf("%w: an offset of more than 64 bits", ErrProof)
		}
	}
	return binary.BigEndian.Uint64(b[noteBytes-8:]), nil
}
