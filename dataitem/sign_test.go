package dataitem

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

// testSigners are one signer of each type that we sign with.
func testSigners(tb testing.TB) map[string]Signer {
	tb.Helper()
	b, err := os.ReadFile("testdata/keys.json")
	if err != nil {
		tb.Fatal(err)
	}
	var keys struct {
		Arweave  json.RawMessage `json:"arweave_1"`
		Ethereum string          `json:"ethereum_1"`
		Ed25519  string          `json:"ed25519_1"`
	}
	if err := json.Unmarshal(b, &keys); err != nil {
		tb.Fatal(err)
	}
	arweave, err := ParseJWK(keys.Arweave)
	if err != nil {
		tb.Fatal(err)
	}
	ethereumKey, _ := hex.DecodeString(keys.Ethereum)
	ethereum, err := NewEthereumSigner(ethereumKey)
	if err != nil {
		tb.Fatal(err)
	}
	seed, _ := hex.DecodeString(keys.Ed25519)
	ed, err := NewEd25519Signer(seed)
	if err != nil {
		tb.Fatal(err)
	}
	return map[string]Signer{"arweave": arweave, "ethereum": ethereum, "ed25519": ed}
}

func TestCreatedItemsParseAndVerify(t *testing.T) {
	id := bytes.Repeat([]byte{7}, 32)
	drafts := map[string]Draft{
		"empty":   {},
		"data":    {Data: []byte("hello")},
		"target":  {Target: id, Data: []byte(" ")},
		"full":    {Target: id, Anchor: id, Tags: Tags{{Name: "a", Value: "1"}, {Name: "a", Value: ""}, {Name: "ü", Value: "€"}}, Data: []byte("x")},
		"anchors": {Anchor: id},
	}
	for name, signer := range testSigners(t) {
		for what, draft := range drafts {
			created, err := Create(draft, signer)
			if err != nil {
				t.Fatalf("%s %s: %v", name, what, err)
			}
			parsed, err := parseAndVerify(created.Bytes())
			if err != nil {
				t.Fatalf("%s %s: %v", name, what, err)
			}
			if parsed.ID() != created.ID() || parsed.OwnerAddress() != AddressOf(signer.Owner()) {
				t.Errorf("%s %s: ids or owners differ", name, what)
			}
			again, err := Create(draft, signer)
			if err != nil || !bytes.Equal(again.Bytes(), created.Bytes()) {
				t.Errorf("%s %s: signing again gave other bytes (%v)", name, what, err)
			}
		}
	}
}

func TestCreateRefusesWhatParseWould(t *testing.T) {
	signer := testSigners(t)["ed25519"]
	many := make(Tags, TagsMax+1)
	for i := range many {
		many[i] = Tag{Name: "a", Value: "b"}
	}
	for name, draft := range map[string]Draft{
		"short target": {Target: []byte{1}},
		"long anchor":  {Anchor: make([]byte, 33)},
		"no tag name":  {Tags: Tags{{Value: "x"}}},
		"many tags":    {Tags: many},
		"long name":    {Tags: Tags{{Name: strings.Repeat("n", TagNameBytesMax+1)}}},
		"long value":   {Tags: Tags{{Name: "n", Value: strings.Repeat("v", TagValueBytesMax+1)}}},
		"long block":   {Tags: Tags{{Name: "a", Value: strings.Repeat("v", 3000)}, {Name: "b", Value: strings.Repeat("v", 3000)}}},
		"bad text":     {Tags: Tags{{Name: "a", Value: "\xff"}}},
	} {
		if _, err := Create(draft, signer); !errors.Is(err, ErrTags) && !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestWalletsSurviveTheirFile(t *testing.T) {
	for name, signer := range testSigners(t) {
		b, err := MarshalJWK(signer)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		back, err := ParseJWK(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(back.Owner(), signer.Owner()) || back.SignatureType() != signer.SignatureType() {
			t.Errorf("%s: another key came back", name)
		}
	}
}

func TestGeneratedKeysSign(t *testing.T) {
	for _, kind := range []SignatureType{Ed25519, Ethereum} {
		signer, err := GenerateSigner(kind, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		item, err := Create(Draft{Data: []byte("x")}, signer)
		if err != nil || item.Verify() != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if _, err := GenerateSigner(MultiAptos, rand.Reader); !errors.Is(err, ErrUnsupported) {
		t.Errorf("type 6: %v", err)
	}
}

func TestBadWalletsAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"not json":     `nope`,
		"other kind":   `{"kty":"oct"}`,
		"other curve":  `{"kty":"EC","crv":"P-256","d":"AA"}`,
		"small rsa":    `{"kty":"RSA","e":"AQAB","n":"AQAB","d":"AQ","p":"AQ","q":"AQ"}`,
		"zero key":     `{"kty":"EC","crv":"secp256k1","d":"` + strings.Repeat("A", 43) + `"}`,
		"foreign half": `{"kty":"OKP","crv":"Ed25519","d":"` + strings.Repeat("A", 43) + `","x":"` + strings.Repeat("A", 43) + `"}`,
	} {
		if _, err := ParseJWK([]byte(text)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestBundlesOfOurOwn(t *testing.T) {
	signers := testSigners(t)
	var items []*Item
	for _, signer := range signers {
		item, err := Create(Draft{Data: []byte("x")}, signer)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, item)
	}
	b, err := EncodeBundle(items...)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseBundle(b)
	if err != nil || len(back) != len(items) {
		t.Fatalf("%d items, %v", len(back), err)
	}
	for i := range back {
		if back[i].ID() != items[i].ID() || back[i].Verify() != nil {
			t.Errorf("item %d changed", i)
		}
	}
}
