package ao

import (
	"encoding/hex"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/dataitem"
)

// AuthoritiesMax bounds the authorities of a process with a quorum.
const AuthoritiesMax = 64

// Authorities are those whose pushes a process trusts.
type Authorities struct {
	// Addresses are distinct and in the order of the tags.
	Addresses []string
	// Quorum is how many of them must have delivered a push before the process
	// gets it; 0: the process itself decides about each.
	Quorum int
}

// ReadAuthorities reads a process's tags Authority, of which each may be a list
// with commas, as aos reads them, and Authority-Quorum, which is K/N.
func ReadAuthorities(tags dataitem.Tags) (Authorities, error) {
	var a Authorities
	for _, list := range tags.All(TagAuthority) {
		for address := range strings.SplitSeq(list, ",") {
			address = strings.TrimSpace(address)
			if address != "" && !slices.ContainsFunc(a.Addresses, func(other string) bool { return sameAddress(address, other) }) {
				a.Addresses = append(a.Addresses, address)
			}
		}
	}
	switch quorums := tags.All(TagAuthorityQuorum); len(quorums) {
	case 0:
		return a, nil
	case 1:
		return a, a.readQuorum(quorums[0])
	}
	return a, Errorf(CodeInvalid, "tag %s must not occur more than once", TagAuthorityQuorum)
}

func (a *Authorities) readQuorum(text string) error {
	first, second, _ := strings.Cut(text, "/")
	k, err := strconv.Atoi(first)
	n, nErr := strconv.Atoi(second)
	switch {
	case err != nil || nErr != nil || k < 1 || k > n:
		return Errorf(CodeInvalid, "tag %s is %q: write K/N with 1 <= K <= N, such as 2/3", TagAuthorityQuorum, text)
	case n != len(a.Addresses):
		return Errorf(CodeInvalid, "tag %s says that there are %d authorities, and the tags %s name %d: make them equal", TagAuthorityQuorum, n, TagAuthority, len(a.Addresses))
	case n > AuthoritiesMax:
		return Errorf(CodeInvalid, "tag %s: %d authorities are more than %d", TagAuthorityQuorum, n, AuthoritiesMax)
	}
	for _, address := range a.Addresses {
		if !isAddress(address) {
			return Errorf(CodeInvalid, "tag %s: %q is no address: with a quorum every authority must be one, of 43 characters or 0x and 40 digits", TagAuthority, address)
		}
	}
	a.Quorum = k
	return nil
}

// Find says which of the authorities has a key; -1: none. An authority may stand
// in the tags in either form of its address.
func (a Authorities) Find(owner []byte) int {
	native, hashed := dataitem.NativeAddress(owner), dataitem.AddressOf(owner).String()
	return slices.IndexFunc(a.Addresses, func(address string) bool {
		return sameAddress(address, native) || address == hashed
	})
}

// Is reports whether an authority, by its place in Addresses, has this address.
func (a Authorities) Is(place int, address string) bool {
	return sameAddress(a.Addresses[place], address)
}

// Named gives the addresses whose bits are set, by place in Addresses.
func (a Authorities) Named(set uint64) (addresses []string) {
	for ; set != 0; set &= set - 1 {
		addresses = append(addresses, a.Addresses[bits.TrailingZeros64(set)])
	}
	return addresses
}

// sameAddress compares addresses; capitals in an Ethereum address are only its
// checksum.
func sameAddress(a, b string) bool {
	return a == b || strings.HasPrefix(a, "0x") && strings.EqualFold(a, b)
}

func isAddress(text string) bool {
	if digits, ok := strings.CutPrefix(text, "0x"); ok {
		b, err := hex.DecodeString(digits)
		return err == nil && len(b) == 20
	}
	_, err := ParseID(text)
	return err == nil
}
