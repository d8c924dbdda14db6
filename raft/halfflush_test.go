package raft

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/internal/kv"
)

// writeIndex puts an index with these keys in the place of a closed node's.
func writeIndex(t *testing.T, dir string, keys map[string]string) {
	t.Helper()
	path := filepath.Join(dir, IndexDirName)
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	db, err := kv.Open(badger.DefaultOptions(path).WithCompression(options.None), nil)
	if err != nil {
		t.Fatal(err)
	}
	batch := db.NewWriteBatch()
	for text, value := range keys {
		k, err := hex.DecodeString(text[2:])
		if err != nil {
			t.Fatal(err)
		}
		v, err := hex.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		if err := batch.Set(append([]byte(text[:1]), k...), v); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(batch.Flush(), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestAHalfWrittenFlushIsFinished: a kill leaves any part of the keys that were
// being written, with the note of how far they go, which comes last, still the
// old one. The next start must put in the rest, and lose none of what it finds
// as its own double.
func TestAHalfWrittenFlushIsFinished(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, dir)
	fillWithAllKinds(t, n, 1)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	before := indexKeys(t, dir)
	n = openNode(t, dir)
	fillWithAllKinds(t, n, 2)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	after := indexKeys(t, dir)
	written := slices.DeleteFunc(slices.Sorted(maps.Keys(after)), func(key string) bool {
		return key[0] == 'A' || before[key] == after[key]
	})
	if len(written) < 2000 {
		t.Fatalf("only %d keys to lose", len(written))
	}
	for seed := range int64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewSource(seed))
			half := maps.Clone(before)
			share := random.Float64()
			for _, key := range written {
				if random.Float64() < share {
					half[key] = after[key]
				}
			}
			writeIndex(t, dir, half)
			if err := os.Remove(filepath.Join(dir, cleanMarker)); err != nil {
				t.Fatal(err)
			}
			open := testOptions(t, dir)
			var logged bytes.Buffer
			open.Logger = zerolog.New(&logged)
			n, err := Open(t.Context(), open)
			if err != nil {
				t.Fatal(err)
			}
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(logged.String(), "from the segments") {
				t.Fatalf("the index was not gone on with: %s", logged.String())
			}
			if diff := cmp.Diff(after, indexKeys(t, dir)); diff != "" {
				t.Fatalf("(-before the kill +after the start):\n%.3000s", diff)
			}
		})
	}
}
