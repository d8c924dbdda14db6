package ao

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/dataitem"
)

func authorityTags(quorum string, authorities ...string) (tags dataitem.Tags) {
	for _, list := range authorities {
		tags = append(tags, dataitem.Tag{Name: TagAuthority, Value: list})
	}
	if quorum != "" {
		tags = append(tags, dataitem.Tag{Name: TagAuthorityQuorum, Value: quorum})
	}
	return tags
}

func TestAuthoritiesAreReadAsAosReadsThem(t *testing.T) {
	one, two := filledID(1).String(), filledID(2).String()
	ethereum := "0xAb5801a7D398351b8bE11C439e05C5B3259aeC9B"
	got, err := ReadAuthorities(authorityTags("2/3", one+" , "+two, strings.ToLower(ethereum), one, ethereum, ""))
	want := Authorities{Addresses: []string{one, two, strings.ToLower(ethereum)}, Quorum: 2}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	// Without a quorum the process may name what it likes.
	got, err = ReadAuthorities(authorityTags("", "anything", one))
	if diff := cmp.Diff(Authorities{Addresses: []string{"anything", one}}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff([]string{one, ethereum}, Authorities{Addresses: []string{one, two, ethereum}}.Named(0b101)); diff != "" {
		t.Error(diff)
	}
}

func TestQuorumsThatCannotBeMeant(t *testing.T) {
	one, two := filledID(1).String(), filledID(2).String()
	many := make([]string, AuthoritiesMax+1)
	for i := range many {
		many[i] = filledID(byte(i)).String()
	}
	for name, c := range map[string]struct {
		tags dataitem.Tags
		says string
	}{
		"no fraction":       {authorityTags("2", one, two), "write K/N"},
		"nobody":            {authorityTags("0/2", one, two), "write K/N"},
		"more than all":     {authorityTags("3/2", one, two), "write K/N"},
		"words":             {authorityTags("all/two", one, two), "write K/N"},
		"too few named":     {authorityTags("2/3", one, two, one), "there are 3 authorities, and the tags Authority name 2"},
		"none named":        {authorityTags("1/1"), "name 0"},
		"no address":        {authorityTags("1/2", one, "somebody"), "is no address"},
		"no hexadecimal":    {authorityTags("1/1", "0x"+strings.Repeat("g", 40)), "is no address"},
		"two quorums":       {append(authorityTags("1/1", one), authorityTags("1/1")...), "more than once"},
		"more than allowed": {authorityTags("1/65", many...), "more than 64"},
	} {
		if _, err := ReadAuthorities(c.tags); err == nil || CodeOf(err) != CodeInvalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	process := dataitem.Tags{
		{Name: TagDataProtocol, Value: DataProtocol}, {Name: TagType, Value: TypeProcess}, {Name: TagModule, Value: one}, {Name: TagScheduler, Value: "me"},
	}
	if _, _, err := CheckItem(signedItem(t, nil, append(process, authorityTags("2/1", one)...))); CodeOf(err) != CodeInvalid {
		t.Errorf("a process with such a quorum: %v", err)
	}
	if _, _, err := CheckItem(signedItem(t, nil, append(process, authorityTags("1/1", one)...))); err != nil {
		t.Error(err)
	}
}

func TestAnAuthorityIsFoundInBothFormsOfItsAddress(t *testing.T) {
	key := make([]byte, 32)
	key[31] = 1
	signer, err := dataitem.NewEthereumSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	owner := signer.Owner()
	native, hashed := dataitem.NativeAddress(owner), dataitem.AddressOf(owner).String()
	for _, address := range []string{native, strings.ToLower(native), hashed} {
		if at := (Authorities{Addresses: []string{filledID(1).String(), address}}).Find(owner); at != 1 {
			t.Errorf("%s is found at %d", address, at)
		}
	}
	if at := (Authorities{Addresses: []string{filledID(1).String(), strings.ToLower(hashed)}}).Find(owner); at != -1 {
		t.Errorf("a stranger is found at %d", at)
	}
}
