package settlement

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// referenceCheckpoint is one that the reference compute unit would make.
func referenceCheckpoint(t *testing.T) *dataitem.Item {
	t.Helper()
	b, err := os.ReadFile("../arweave/testdata/checkpoint.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Raw string }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(file.Raw)
	if err != nil {
		t.Fatal(err)
	}
	it, err := dataitem.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return it
}

func TestACheckpointOfTheReferenceIsRead(t *testing.T) {
	it := referenceCheckpoint(t)
	c, err := ParseCheckpoint(it.Tags)
	if err != nil {
		t.Fatal(err)
	}
	memory, err := c.Memory(it.Data, 1<<20)
	if err != nil || len(memory) != 131072 {
		t.Errorf("%d bytes, %v", len(memory), err)
	}
	if _, err := c.Memory(it.Data, 131071); err == nil || !strings.Contains(err.Error(), "more than 131071 bytes") {
		t.Errorf("a memory that is too large: %v", err)
	}
	other := bytes.Clone(memory)
	other[0]++
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(other); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	if _, err := c.Memory(packed.Bytes(), 1<<20); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("another memory: %v", err)
	}
	if _, err := c.Memory(it.Data[:len(it.Data)-5], 1<<20); err == nil {
		t.Error("a memory that was cut off")
	}
}

func TestCheckpointsHaveTheReferencesTagsInItsOrder(t *testing.T) {
	it := referenceCheckpoint(t)
	c, err := ParseCheckpoint(it.Tags)
	if err != nil {
		t.Fatal(err)
	}
	c.StateRoot, c.Fingerprint = ao.ID{1}, ao.ID{2}
	want := append(append(dataitem.Tags{}, it.Tags...),
		dataitem.Tag{Name: "State-Root", Value: c.StateRoot.String()}, dataitem.Tag{Name: "VM-Fingerprint", Value: c.Fingerprint.String()})
	if diff := cmp.Diff(want, c.Tags()); diff != "" {
		t.Error(diff)
	}
	c.Epoch = 3
	made, err := NewCheckpoint(c, func(w io.Writer) error { _, err := w.Write(make([]byte, 65536)); return err }, logtest.Signer(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	read, err := ParseCheckpoint(made.Tags)
	if err != nil {
		t.Fatal(err)
	}
	if memory, err := read.Memory(made.Data, 65536); err != nil || len(memory) != 65536 {
		t.Errorf("%d bytes, %v", len(memory), err)
	}
	c.SHA256 = read.SHA256
	if read != c {
		t.Errorf("%+v is not %+v", read, c)
	}
}

func TestACheckpointMustLieBehindAnEntryOfTheLog(t *testing.T) {
	entry := aolog.Entry{Assignment: ao.Assignment{ID: ao.ID{1}, Process: ao.ID{2}, Nonce: 7, HashChain: ao.ID{3}, TimestampMS: 100, BlockHeight: 5}}
	right := Checkpoint{Process: ao.ID{2}, Nonce: 7, Assignment: ao.ID{1}, HashChain: ao.ID{3}, TimestampMS: 100, BlockHeight: 5}
	if err := right.Agrees(entry); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*Checkpoint){
		"process":    func(c *Checkpoint) { c.Process = ao.ID{9} },
		"nonce":      func(c *Checkpoint) { c.Nonce = 8 },
		"assignment": func(c *Checkpoint) { c.Assignment = ao.ID{9} },
		"none":       func(c *Checkpoint) { c.Assignment = ao.ID{} },
		"hash chain": func(c *Checkpoint) { c.HashChain = ao.ID{9} },
		"time":       func(c *Checkpoint) { c.TimestampMS++ },
		"epoch":      func(c *Checkpoint) { c.Epoch++ },
		"cron":       func(c *Checkpoint) { c.Cron = "0-10-minutes" },
	} {
		c := right
		if change(&c); c.Agrees(entry) == nil {
			t.Errorf("another %s is taken", what)
		}
	}
}
