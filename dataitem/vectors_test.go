package dataitem

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// vector is one item of testdata: made by three npm libraries and checked by
// an independent reader.
type vector struct {
	Name          string
	Note, Why     string
	Recommend     string
	Valid         bool
	SignatureType SignatureType `json:"signature_type"`
	ID            string
	OwnerAddress  string `json:"owner_address"`
	NativeAddress string `json:"native_address"`
	Target        b64
	Anchor        b64
	Tags          Tags
	Data          b64
	Message       string `json:"signing_message_hex"`
	Raw           b64
}

func readVectors(tb testing.TB, name string) []vector {
	tb.Helper()
	var file struct{ Items, Bundles []vector }
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(b, &file); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	vectors := append(file.Items, file.Bundles...)
	if len(vectors) == 0 {
		tb.Fatalf("%s holds no vectors", name)
	}
	return vectors
}

func parseAndVerify(b []byte) (*Item, error) {
	it, err := Parse(b)
	if err != nil {
		return nil, err
	}
	return it, it.Verify()
}

func TestValidVectors(t *testing.T) {
	for _, v := range readVectors(t, "items_valid.json") {
		t.Run(v.Name, func(t *testing.T) {
			it, err := parseAndVerify(v.Raw)
			if v.SignatureType == MultiAptos {
				if !errors.Is(err, ErrUnsupported) {
					t.Fatalf("type 6 must be refused as unsupported, got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			message := it.SigningMessage()
			got := []string{it.ID().String(), it.OwnerAddress().String(), hex.EncodeToString(message[:])}
			if diff := cmp.Diff([]string{v.ID, v.OwnerAddress, v.Message}, got); diff != "" {
				t.Error(diff)
			}
			if v.SignatureType == Ethereum && it.Address() != v.NativeAddress {
				t.Errorf("address %s, want %s", it.Address(), v.NativeAddress)
			}
			if string(it.Target) != string(v.Target) || string(it.Anchor) != string(v.Anchor) {
				t.Error("target or anchor differ")
			}
			if len(it.Tags)+len(v.Tags) > 0 {
				if diff := cmp.Diff(v.Tags, it.Tags); diff != "" {
					t.Error(diff)
				}
			}
			if v.Data != nil && string(it.Data) != string(v.Data) {
				t.Error("data differs")
			}
		})
	}
}

func TestInvalidVectorsAreRefused(t *testing.T) {
	for _, v := range readVectors(t, "items_invalid.json") {
		if _, err := parseAndVerify(v.Raw); err == nil {
			t.Errorf("%s was accepted: %s", v.Name, v.Why)
		}
	}
}

func TestDebatableVectorsFollowTheRecommendation(t *testing.T) {
	for _, v := range readVectors(t, "items_debatable.json") {
		_, err := parseAndVerify(v.Raw)
		if accept := strings.HasPrefix(v.Recommend, "accept"); accept != (err == nil) {
			t.Errorf("%s: recommended %q, got error %v (%s)", v.Name, v.Recommend, err, v.Note)
		}
	}
}

func TestBundleVectors(t *testing.T) {
	verifyAll := func(b []byte) error {
		items, err := ParseBundle(b)
		if err != nil {
			return err
		}
		return Walk(items, 8, func(_ int, _, it *Item) error { return it.Verify() })
	}
	for _, v := range readVectors(t, "bundles.json") {
		if err := verifyAll(v.Raw); (err == nil) != v.Valid {
			t.Errorf("%s: valid %v, got error %v (%s)", v.Name, v.Valid, err, v.Note)
		}
	}
}

func TestWalkReachesNestedItems(t *testing.T) {
	for _, v := range readVectors(t, "bundles.json") {
		if v.Name != "nested" {
			continue
		}
		items, err := ParseBundle(v.Raw)
		if err != nil {
			t.Fatal(err)
		}
		deepest := 0
		err = Walk(items, 8, func(depth int, parent, it *Item) error {
			if (depth == 0) != (parent == nil) {
				t.Errorf("item %s at depth %d has parent %v", it.ID(), depth, parent)
			}
			deepest = max(deepest, depth)
			return nil
		})
		if err != nil || deepest == 0 {
			t.Fatalf("deepest %d, %v", deepest, err)
		}
		return
	}
	t.Fatal("the nested vector is gone")
}

func TestEveryPrefixIsRefused(t *testing.T) {
	seen := map[SignatureType]bool{}
	for _, v := range readVectors(t, "items_valid.json") {
		if v.SignatureType == MultiAptos {
			continue
		}
		// Verifying every prefix of every item takes minutes; parsing fails for
		// all but those that only lose data, and one item a type shows the rest.
		thorough := !seen[v.SignatureType]
		seen[v.SignatureType] = true
		for n := range len(v.Raw) {
			it, err := Parse(v.Raw[:n])
			if err == nil && (thorough || n+4 > len(v.Raw)) {
				err = it.Verify()
			} else if err == nil {
				continue
			}
			if err == nil {
				t.Fatalf("%s: the first %d of %d bytes were accepted", v.Name, n, len(v.Raw))
			}
		}
	}
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	for _, v := range readVectors(t, "items_valid.json") {
		step := 1
		switch v.SignatureType {
		case MultiAptos:
			continue
		case Arweave:
			// One flip in every eleventh byte, a different bit each time, keeps
			// RSA affordable and still meets every field.
			step = 11*8 + 1
		case Ethereum, TypedEthereum:
			step = 7
		}
		if len(v.Raw) > 4096 {
			continue
		}
		raw := append([]byte(nil), v.Raw...)
		for bit := 0; bit < 8*len(raw); bit += step {
			raw[bit/8] ^= 1 << (bit % 8)
			if _, err := parseAndVerify(raw); err == nil {
				t.Fatalf("%s: accepted with bit %d flipped", v.Name, bit)
			}
			raw[bit/8] ^= 1 << (bit % 8)
		}
	}
}

func TestParseAllocatesNoMoreThanItsInputDeserves(t *testing.T) {
	hostile := []byte(nil)
	// A bundle that claims 2^56 items in 96 bytes.
	hostile = appendUint256(hostile, 1<<56)
	hostile = append(hostile, make([]byte, 64)...)
	allocated := allocatedBytes(func() {
		if _, err := ParseBundle(hostile); err == nil {
			t.Fatal("accepted")
		}
	})
	if allocated > 1024 {
		t.Errorf("refusing %d hostile bytes allocated %d", len(hostile), allocated)
	}
	for _, v := range readVectors(t, "items_valid.json") {
		allocated := allocatedBytes(func() {
			if _, err := Parse(v.Raw); err != nil {
				t.Fatal(err)
			}
		})
		// A tag costs 32 bytes of headers and a doubling slice beside its text.
		if limit := int64(1024 + 2*TagBlockBytesMax + 128*len(v.Tags)); allocated > uint64(limit) {
			t.Errorf("%s: %d bytes in, %d allocated, limit %d", v.Name, len(v.Raw), allocated, limit)
		}
	}
}

// allocatedBytes is what one call of fn allocates, averaged over many so that
// the runtime's own allocations do not show.
func allocatedBytes(fn func()) uint64 {
	const runs = 200
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		fn()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / runs
}

func TestIDText(t *testing.T) {
	id := ID{1, 2, 3}
	back, err := ParseID(id.String())
	if err != nil || back != id {
		t.Fatalf("%v, %v", back, err)
	}
	for _, bad := range []string{"", "x", strings.Repeat("A", 42) + "B", strings.Repeat("A", 42) + "=", strings.Repeat("/", 43), base64.StdEncoding.EncodeToString(id[:])} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
