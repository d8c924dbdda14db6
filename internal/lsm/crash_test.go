package lsm

import (
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wallaby-ao/wallaby/internal/fsx/fsxtest"
)

// TestACrashLeavesTheFirstPuts cuts the power, or kills, between any two changes
// of the disk: what is left is what was there after some put, and not before the
// last that was flushed.
func TestACrashLeavesTheFirstPuts(t *testing.T) {
	images := 0
	for seed := range int64(12) {
		random := rand.New(rand.NewSource(seed))
		disk := fsxtest.NewDisk()
		type moment struct {
			image            *fsxtest.Disk
			flushed, reached int
		}
		var (
			mu               sync.Mutex
			moments          []moment
			flushed, reached atomic.Int64
			every            = 1 + random.Intn(7)
			count            int
		)
		cut := rand.New(rand.NewSource(seed + 100))
		disk.Fault = func(fsxtest.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if count++; count%every != 0 {
				return nil
			}
			least := int(flushed.Load())
			image := disk.Clone()
			if cut.Intn(2) == 0 {
				image = disk.PowerCut(cut)
			}
			moments = append(moments, moment{image, least, int(reached.Load())})
			return nil
		}
		s := open(t, disk)
		states := []map[string]string{{}} // after each put
		for range 400 {
			c := randomChange(random)
			state := maps.Clone(states[len(states)-1])
			c.applyTo(state)
			states = append(states, state)
			reached.Store(int64(len(states) - 1))
			if err := c.putInto(s); err != nil {
				t.Fatal(err)
			}
			if random.Intn(60) == 0 {
				if err := s.Flush(); err != nil {
					t.Fatal(err)
				}
				flushed.Store(int64(len(states) - 1))
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for i, m := range moments {
			images++
			s := open(t, m.image)
			got, err := contents(s)
			if err != nil {
				t.Fatalf("seed %d, moment %d: %v", seed, i, err)
			}
			ok := false
			for _, state := range states[m.flushed:] {
				ok = ok || maps.Equal(state, got)
			}
			if !ok {
				t.Fatalf("seed %d, moment %d: what is left is what no put from %d to %d left", seed, i, m.flushed, m.reached)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if images < 300 {
		t.Errorf("only %d moments were looked at", images)
	}
	t.Logf("%d moments", images)
}

// TestAFailedWriteStopsTheStore fails each change of the disk in turn: from then
// on nothing is taken, the owner is told once, and the store opens again.
func TestAFailedWriteStopsTheStore(t *testing.T) {
	broken := errors.New("the disk is full")
	failures := 0
	for fail := 1; ; fail++ {
		disk, count := fsxtest.NewDisk(), 0
		var mu sync.Mutex
		failed := false
		disk.Fault = func(op fsxtest.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if count++; count < fail || op.Kind == "remove" {
				return nil
			}
			failed = true
			return broken
		}
		told := 0
		s, err := Open(Options{Dir: testDir, FS: disk, MemoryBytes: 1 << 10, FanOut: 2, Fatal: func(err error) {
			told++
			if !errors.Is(err, broken) {
				t.Errorf("told of %v", err)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewSource(1))
		for i := range 150 {
			if err = randomChange(random).putInto(s); err != nil {
				break
			}
			if i%10 == 0 {
				if err = s.Flush(); err != nil {
					break
				}
			}
		}
		err = errors.Join(err, s.Close())
		if !failed {
			if err != nil {
				t.Errorf("no failure and %v", err)
			}
			break
		}
		failures++
		if !errors.Is(err, broken) || told != 1 {
			t.Fatalf("failure %d: %v, told %d times", fail, err, told)
		}
		if _, _, err := s.Get([]byte("A001")); !errors.Is(err, broken) {
			t.Errorf("failure %d: a look-up gives %v", fail, err)
		}
		disk.Fault = nil
		again := open(t, disk)
		if _, err := contents(again); err != nil {
			t.Errorf("failure %d: opened again: %v", fail, err)
		}
		again.Close()
	}
	if failures < 20 {
		t.Errorf("only %d failures", failures)
	}
}

// TestFlippedBitsAreTold flips bits all over the files: the store does not open,
// or tells when it reads them, or gives what was put.
func TestFlippedBitsAreTold(t *testing.T) {
	disk, random, model := fsxtest.NewDisk(), rand.New(rand.NewSource(1)), map[string]string{}
	s := open(t, disk)
	for range 500 {
		c := randomChange(random)
		c.applyTo(model)
		if err := c.putInto(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	refused, told := 0, 0
	for _, path := range disk.Under(testDir) {
		for bit := 0; bit < len(disk.Bytes(path))*8; bit += 61 {
			disk.Flip(path, bit)
			image := disk.Clone()
			disk.Flip(path, bit)
			var fatal []error
			s, err := Open(Options{Dir: testDir, FS: image, FanOut: 100, Fatal: func(err error) { fatal = append(fatal, err) }})
			if err != nil {
				if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), testDir) {
					t.Fatalf("bit %d of %s: %v", bit, path, err)
				}
				refused++
				continue
			}
			got, err := contents(s)
			switch {
			case err == nil && !maps.Equal(got, model):
				t.Fatalf("bit %d of %s: keys changed without a word", bit, path)
			case err != nil && (!errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) || len(fatal) != 1):
				t.Fatalf("bit %d of %s: %v, told %v", bit, path, err, fatal)
			case err != nil:
				told++
			}
			_ = s.Close()
		}
	}
	if refused == 0 || told == 0 {
		t.Errorf("%d refused, %d told", refused, told)
	}
	t.Logf("%d refused at open, %d told when read", refused, told)
}

// TestMissingTablesAreTold: a store without one of its files does not open.
func TestMissingTablesAreTold(t *testing.T) {
	disk := fsxtest.NewDisk()
	s := open(t, disk)
	for i := range 200 {
		if err := (change{fmt.Sprint("A", i): []byte("x")}).putInto(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tables := slices.DeleteFunc(disk.Under(testDir), func(path string) bool { return !strings.HasSuffix(path, tableSuffix) })
	for _, path := range tables {
		image := disk.Clone()
		if err := image.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Options{Dir: testDir, FS: image}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) {
			t.Errorf("without %s: %v", path, err)
		}
	}
	if len(tables) == 0 {
		t.Error("no tables")
	}
}
