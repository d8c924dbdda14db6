package dataitem

import (
	"crypto/sha512"
	"strconv"
)

// DeepHashBlob is Arweave's deep hash of one byte string.
func DeepHashBlob(b []byte) [48]byte {
	tag := sha512.Sum384(strconv.AppendInt([]byte("blob"), int64(len(b)), 10))
	data := sha512.Sum384(b)
	return joinHashes(tag, data)
}

// DeepHashList is Arweave's deep hash of a list of already hashed parts.
func DeepHashList(parts ...[48]byte) [48]byte {
	sum := sha512.Sum384(strconv.AppendInt([]byte("list"), int64(len(parts)), 10))
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
	return DeepHashList(
		DeepHashBlob([]byte("dataitem")),
		DeepHashBlob([]byte("1")),
		DeepHashBlob(strconv.AppendUint(nil, uint64(t), 10)),
		DeepHashBlob(owner),
		DeepHashBlob(target),
		DeepHashBlob(anchor),
		DeepHashBlob(tagBytes),
		DeepHashBlob(data),
	)
}
