package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// TestDamagedDataIsFetchedAnew damages an item's file of which there is a copy
// elsewhere, for each way to read it.
func TestDamagedDataIsFetchedAnew(t *testing.T) {
	dir, ctx, want := t.TempDir(), context.Background(), patterned(100_000)
	it := sign(t, wallet(t, 1), dataitem.Draft{Data: want})
	elsewhere := otherItems{}
	w := open(t, gateway.Options{Dir: dir, Fallback: elsewhere})
	w.put(it)
	files, err := filepath.Glob(filepath.Join(dir, "data", "*", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	damage := func() {
		b := bytes.Clone(want)
		b[70_000] ^= 4
		if err := os.WriteFile(files[0], b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	reads := map[string]func() []byte{
		"Data": func() []byte {
			b, err := w.g.Data(ctx, it.ID())
			if err != nil {
				t.Error(err)
			}
			return b
		},
		"Module": func() []byte {
			_, _, b, err := w.g.Module(ctx, it.ID())
			if err != nil {
				t.Error(err)
			}
			return b
		},
		"GET": func() []byte {
			answer := w.get("/raw/" + it.ID().String())
			return []byte(answer.body)
		},
	}
	damage()
	if _, err := w.g.Data(ctx, it.ID()); !errors.Is(err, gateway.ErrDamaged) {
		t.Errorf("damage without a copy: %v", err)
	}
	elsewhere[it.ID()] = sign(t, wallet(t, 2), dataitem.Draft{Data: patterned(100_002)})
	if _, err := w.g.Data(ctx, it.ID()); !errors.Is(err, gateway.ErrDamaged) {
		t.Errorf("damage with a copy of something else: %v", err)
	}
	elsewhere[it.ID()] = it
	for name, read := range reads {
		damage()
		if got := read(); !bytes.Equal(got, want) {
			t.Errorf("%s gives %d other bytes", name, len(got))
		}
		if b, err := os.ReadFile(files[0]); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s leaves the damage: %v", name, err)
		}
	}
}
