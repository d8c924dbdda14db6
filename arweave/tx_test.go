package arweave

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/dataitem"
)

type vectors struct {
	Transactions []txVector `json:"transactions"`
	Invalid      []txVector `json:"invalid"`
	Merkle       []struct {
		DataSize int    `json:"data_size"`
		SHA256   string `json:"sha256"`
		DataRoot string `json:"data_root"`
		Chunks   []struct {
			Min      uint64 `json:"min"`
			Max      uint64 `json:"max"`
			DataPath string `json:"data_path"`
			Offset   uint64 `json:"offset,string"`
		} `json:"chunks"`
	} `json:"merkle"`
}

type txVector struct {
	Name    string          `json:"name"`
	Why     string          `json:"why"`
	Message string          `json:"signing_message_hex"`
	Owner   string          `json:"owner_address"`
	Tx      json.RawMessage `json:"tx"`
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	b, err := os.ReadFile("testdata/l1_tx.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Transactions) == 0 || len(v.Invalid) == 0 || len(v.Merkle) == 0 {
		t.Fatal("the vectors are incomplete")
	}
	return v
}

// generated is the data that the vectors describe by a rule.
func generated(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + (i>>8)*13 + (i>>16)*29 + 5)
	}
	return b
}

func TestValidTransactions(t *testing.T) {
	for _, v := range readVectors(t).Transactions {
		t.Run(v.Name, func(t *testing.T) {
			tx, err := ParseTx(v.Tx)
			if err != nil {
				t.Fatal(err)
			}
			message := tx.SigningMessage()
			if got := hex.EncodeToString(message[:]); got != v.Message {
				t.Errorf("signing message %s, want %s", got, v.Message)
			}
			if got := tx.Address().String(); got != v.Owner {
				t.Errorf("owner %s, want %s", got, v.Owner)
			}
			if err := tx.Verify(); err != nil {
				t.Error(err)
			}
			if len(tx.Data) == 0 && tx.DataSize > 0 {
				if err := tx.CheckData(generated(int(tx.DataSize))); err != nil {
					t.Error(err)
				}
			}
			again, err := json.Marshal(tx)
			if err != nil {
				t.Fatal(err)
			}
			reread, err := ParseTx(again)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tx, reread); diff != "" {
				t.Errorf("written and read again: %s", diff)
			}
		})
	}
}

func TestInvalidTransactions(t *testing.T) {
	for _, v := range readVectors(t).Invalid {
		t.Run(v.Name, func(t *testing.T) {
			tx, err := ParseTx(v.Tx)
			if err == nil {
				err = tx.Verify()
			}
			if err == nil {
				t.Errorf("accepted, although %s", v.Why)
			}
		})
	}
}

func TestMerkleTrees(t *testing.T) {
	for _, v := range readVectors(t).Merkle {
		data := generated(v.DataSize)
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != v.SHA256 {
			t.Fatalf("%d bytes: the generator differs from the vectors'", v.DataSize)
		}
		tree := NewTree(data)
		if got := encode(tree.Root[:]); got != v.DataRoot {
			t.Errorf("%d bytes: root %s, want %s", v.DataSize, got, v.DataRoot)
		}
		if len(tree.Chunks) != len(v.Chunks) {
			t.Errorf("%d bytes: %d chunks, want %d", v.DataSize, len(tree.Chunks), len(v.Chunks))
			continue
		}
		for i, chunk := range tree.Chunks {
			want := v.Chunks[i]
			if got := encode(chunk.Proof); got != want.DataPath || chunk.End-1 != want.Offset {
				t.Errorf("%d bytes, chunk %d: ends %d with proof %s, want %d and %s", v.DataSize, i, chunk.End, got, want.Offset+1, want.DataPath)
			}
			place, err := CheckChunk(tree.Root[:], uint64(v.DataSize), chunk.End-1, chunk.Proof, data[chunk.Start:chunk.End])
			if err != nil || place.Start != chunk.Start || place.End != chunk.End {
				t.Errorf("%d bytes, chunk %d: placed at %+v, %v", v.DataSize, i, place, err)
			}
		}
	}
}

func TestProofRefusesEveryChange(t *testing.T) {
	data := generated(3*ChunkBytesMax + 5)
	tree := NewTree(data)
	chunk := tree.Chunks[1]
	body := data[chunk.Start:chunk.End]
	check := func(size, offset uint64, proof, body []byte) error {
		_, err := CheckChunk(tree.Root[:], size, offset, proof, body)
		return err
	}
	size := uint64(len(data))
	if err := check(size, chunk.Start, chunk.Proof, body); err != nil {
		t.Fatalf("the honest proof: %v", err)
	}
	for i := range chunk.Proof {
		changed := append([]byte(nil), chunk.Proof...)
		changed[i] ^= 1
		if check(size, chunk.Start, changed, body) == nil {
			t.Errorf("accepted with byte %d of the proof changed", i)
		}
	}
	last := tree.Chunks[len(tree.Chunks)-1]
	if check(size+1, last.Start, last.Proof, data[last.Start:]) == nil {
		t.Error("accepted with another data_size")
	}
	if check(size, size, chunk.Proof, body) == nil || check(size, chunk.End, chunk.Proof, body) == nil {
		t.Error("accepted at another offset")
	}
	if check(size, chunk.Start, chunk.Proof[:len(chunk.Proof)-1], body) == nil || check(size, chunk.Start, nil, body) == nil {
		t.Error("accepted with a cut proof")
	}
	if check(size, chunk.Start, chunk.Proof, body[1:]) == nil {
		t.Error("accepted with another chunk")
	}
}

func TestSignIsVerifiableAndDeterministic(t *testing.T) {
	signer := testSigner(t)
	tx := Tx{Tags: dataitem.Tags{{Name: "App-Name", Value: "test"}, {Name: "b", Value: "\xff\x00"}}, Reward: "1", LastTx: make([]byte, 48)}
	tx.SetData(generated(300_000))
	if err := tx.Sign(signer); err != nil {
		t.Fatal(err)
	}
	if err := tx.Verify(); err != nil {
		t.Fatal(err)
	}
	id := tx.ID
	if err := tx.Sign(signer); err != nil {
		t.Fatal(err)
	}
	if tx.ID != id {
		t.Error("signing twice gave two ids")
	}
	tx.Tags[1].Value = "\xff\x01"
	if tx.Verify() == nil {
		t.Error("a changed tag was accepted")
	}
}

func TestFieldRules(t *testing.T) {
	signer := testSigner(t)
	own := dataitem.AddressOf(signer.Owner())
	for name, tx := range map[string]Tx{
		"anchor too long":      {LastTx: make([]byte, 49)},
		"target to self":       {Target: own[:]},
		"target too short":     {Target: own[:31]},
		"quantity, no target":  {Quantity: "1"},
		"negative reward":      {Reward: "-1"},
		"leading zero":         {Reward: "01"},
		"size without root":    {DataSize: 1},
		"root without size":    {DataRoot: own[:]},
		"tags over the limit":  {Tags: dataitem.Tags{{Name: "a", Value: string(make([]byte, TxTagBytesMax))}}},
		"root of another size": {DataSize: 1, DataRoot: own[:5]},
	} {
		if err := tx.Sign(signer); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

func FuzzParseTx(f *testing.F) {
	v := readVectors(f)
	for _, list := range [][]txVector{v.Transactions, v.Invalid} {
		for _, vector := range list {
			f.Add([]byte(vector.Tx))
		}
	}
	f.Add([]byte(`{"format":2,"tags":[{}],"data_size":"9223372036854775807"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		tx, err := ParseTx(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(tx)
		if err != nil {
			t.Fatal(err)
		}
		reread, err := ParseTx(again)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if tx.SigningMessage() != reread.SigningMessage() || tx.ID != reread.ID {
			t.Fatal("written and read again, it is another transaction")
		}
	})
}
