package dataitem

import (
	"bytes"
	"crypto/sha512"
	"strconv"
	"sync/atomic"
)

// DeepHashBlob is Arweave's deep hash of one byte string.
func DeepHashBlob(b []byte) [48]byte {
	return joinHashes(lengthHash(len(b)), sha512.Sum384(b))
}

// lengthHashes has the hashes of what stands before byte strings of usual lengths,
// once they were asked for.
var lengthHashes [1024]atomic.Pointer[[48]byte]

// lengthHash hashes what stands before a byte string.
func lengthHash(length int) [48]byte {
	if length < len(lengthHashes) {
		if known := lengthHashes[length].Load(); known != nil {
			return *known
		}
	}
	hash := sha512.Sum384(strconv.AppendInt([]byte("blob"), int64(length), 10))
	if length < len(lengthHashes) {
		lengthHashes[length].Store(&hash)
	}
	return hash
}

// DeepHashList is Arweave's deep hash of a list of already hashed parts.
func DeepHashList(parts ...[48]byte) [48]byte {
	return extend(startList(len(parts)), parts...)
}

// startList hashes what stands before a list.
func startList(length int) [48]byte {
	return sha512.Sum384(strconv.AppendInt([]byte("list"), int64(length), 10))
}

// extend goes on with the hash of a list.
func extend(sum [48]byte, parts ...[48]byte) [48]byte {
	for _, part := range parts {
		sum = joinHashes(sum, part)
	}
	return sum
}

func joinHashes(a, b [48]byte) [48]byte {
	var both [96]byte
	copy(both[:48], a[:])
	copy(both[48:], b[:])
	return sha512.Sum384(both[:])
}

// SigningMessage is what the owner signs: the deep hash of eight byte strings
// with the tags as one raw block, as every deployed library does it (the text
// of ANS-104 shows seven and is wrong).
func (it *Item) SigningMessage() [48]byte {
	return signingMessage(it.SignatureType, it.Owner, it.Target, it.Anchor, it.TagBytes, it.Data)
}

func signingMessage(t SignatureType, owner, target, anchor, tagBytes, data []byte) [48]byte {
	return signingMessageAfter(ownerHash(t, owner), target, anchor, tagBytes, data)
}

// ownerHash is the part of a signing message that all items of an owner share.
func ownerHash(t SignatureType, owner []byte) [48]byte {
	return extend(startList(8), itemBlob, versionBlob, DeepHashBlob(strconv.AppendUint(nil, uint64(t), 10)), DeepHashBlob(owner))
}

var (
	itemBlob    = DeepHashBlob([]byte("dataitem"))
	versionBlob = DeepHashBlob([]byte("1"))
	emptyBlob   = DeepHashBlob(nil)
)

func signingMessageAfter(owner [48]byte, rest ...[]byte) [48]byte {
	for _, b := range rest {
		blob := emptyBlob
		if len(b) > 0 {
			blob = DeepHashBlob(b)
		}
		owner = joinHashes(owner, blob)
	}
	return owner
}

// lastOwner is who signed last: a node signs with one key, again and again.
var lastOwner atomic.Pointer[hashedOwner]

type hashedOwner struct {
	t     SignatureType
	owner []byte
	hash  [48]byte
}

// signersHash is ownerHash for one who signs.
func signersHash(t SignatureType, owner []byte) [48]byte {
	if last := lastOwner.Load(); last != nil && last.t == t && bytes.Equal(last.owner, owner) {
		return last.hash
	}
	hash := ownerHash(t, owner)
	lastOwner.Store(&hashedOwner{t, bytes.Clone(owner), hash})
	return hash
}
