package node

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/wallaby-ao/wallaby/raft"
)

// JoinToken lets a new machine have the directory of one node, once. It says
// whom to believe, so that nobody in between can answer in the cluster's name.
type JoinToken struct {
	Authority raft.Pin
	Secret    JoinSecret
}

// JoinSecret is the part of a token that only its holder knows. Being random, and
// too long to be guessed, it may be stored as a plain hash.
type JoinSecret [16]byte

func (s JoinSecret) hash() [sha256.Size]byte { return sha256.Sum256(s[:]) }

// joinPrefix says what the text is, and its format.
const joinPrefix = "wallaby-join-1-"

// ErrNoToken is returned for text that is not a whole join token.
var ErrNoToken = errors.New("this is not a whole join token: copy all of what wallaby cluster token prints, from " + joinPrefix + " on")

// newJoinToken makes a token for the cluster of an authority.
func newJoinToken(authority raft.Pin) (JoinToken, error) {
	t := JoinToken{Authority: authority}
	if _, err := rand.Read(t.Secret[:]); err != nil {
		return t, fmt.Errorf("read randomness: %w", err)
	}
	return t, nil
}

// String gives the text that ParseJoinToken reads. It ends with a checksum, so
// that a slip in copying is told from a token that is not good any more.
func (t JoinToken) String() string {
	b := append(bytes.Clone(t.Authority[:]), t.Secret[:]...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return joinPrefix + base64.RawURLEncoding.EncodeToString(b)
}

// ParseJoinToken reads a token.
func ParseJoinToken(text string) (t JoinToken, err error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), joinPrefix)
	b, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	size := len(t.Authority) + len(t.Secret)
	// The decoder passes over line ends.
	if !ok || strings.ContainsAny(encoded, "\r\n") || err != nil || len(b) != size+4 || binary.BigEndian.Uint32(b[size:]) != crc32.ChecksumIEEE(b[:size]) {
		return JoinToken{}, ErrNoToken
	}
	copy(t.Authority[:], b)
	copy(t.Secret[:], b[len(t.Authority):])
	return t, nil
}
