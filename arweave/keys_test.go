package arweave

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/wallaby-ao/wallaby/dataitem"
)

// testSigner is a throw-away RSA wallet, so that tests need not make keys.
func testSigner(t testing.TB) dataitem.Signer {
	t.Helper()
	b, err := os.ReadFile("testdata/keys.json")
	if err != nil {
		t.Fatal(err)
	}
	var keys struct {
		Arweave json.RawMessage `json:"arweave_1"`
	}
	if err := json.Unmarshal(b, &keys); err != nil {
		t.Fatal(err)
	}
	signer, err := dataitem.ParseJWK(keys.Arweave)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}
