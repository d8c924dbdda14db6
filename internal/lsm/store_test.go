package lsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/internal/fsx/fsxtest"
)

const testDir = "/disk/index"

// open opens a store that writes and merges as often as it can.
func open(t testing.TB, disk *fsxtest.Disk) *Store {
	t.Helper()
	s, err := Open(Options{Dir: testDir, FS: disk, MemoryBytes: 4 << 10, FanOut: 3, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// change is one Put of a test.
type change map[string][]byte

// randomChange sets and takes away a few of not too many keys.
func randomChange(random *rand.Rand) change {
	c := change{}
	for range 1 + random.Intn(12) {
		k := fmt.Sprintf("%c%03d", 'A'+random.Intn(4), random.Intn(300))
		switch {
		case random.Intn(5) == 0:
			c[k] = nil
		case random.Intn(20) == 0:
			c[k] = []byte{}
		default:
			c[k] = []byte(strings.Repeat(fmt.Sprint(random.Intn(1000), " "), 1+random.Intn(20)))
		}
	}
	return c
}

func (c change) putInto(s *Store) error {
	return s.Put(func(set func(k, v []byte)) {
		for k, v := range c {
			set([]byte(k), v)
		}
	})
}

func (c change) applyTo(model map[string]string) {
	for k, v := range c {
		if v == nil {
			delete(model, k)
		} else {
			model[k] = string(v)
		}
	}
}

// contents gives all that a store has.
func contents(s *Store) (map[string]string, error) {
	got := map[string]string{}
	last := ""
	err := s.Scan(nil, nil, func(k, v []byte) (bool, error) {
		if string(k) <= last {
			return false, fmt.Errorf("key %q after %q", k, last)
		}
		last = string(k)
		got[last] = string(v)
		return true, nil
	})
	return got, err
}

// check holds a store against what it should have, by Scan and by Get.
func check(t *testing.T, s *Store, want map[string]string) {
	t.Helper()
	got, err := contents(s)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("scan (-want +got):\n%.2000s", diff)
	}
	for letter := 'A'; letter < 'E'; letter++ {
		for number := range 301 {
			k := fmt.Sprintf("%c%03d", letter, number)
			value, ok, err := s.Get([]byte(k))
			if err != nil {
				t.Fatal(err)
			}
			if text, there := want[k]; there != ok || text != string(value) {
				t.Fatalf("get %s: %q, %v, want %q, %v", k, value, ok, text, there)
			}
		}
	}
}

func TestAStoreIsAMap(t *testing.T) {
	for seed := range int64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random, disk, model := rand.New(rand.NewSource(seed)), fsxtest.NewDisk(), map[string]string{}
			s := open(t, disk)
			for range 8 {
				for range random.Intn(200) {
					c := randomChange(random)
					if err := c.putInto(s); err != nil {
						t.Fatal(err)
					}
					c.applyTo(model)
				}
				check(t, s, model)
				if random.Intn(2) == 0 {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					s = open(t, disk)
					check(t, s, model)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestScansBeginAndEndWhereTheyAreTold(t *testing.T) {
	s := open(t, fsxtest.NewDisk())
	defer s.Close()
	put := func(keys ...string) {
		t.Helper()
		c := change{}
		for _, k := range keys {
			c[k] = []byte(k)
		}
		if err := c.putInto(s); err != nil {
			t.Fatal(err)
		}
	}
	scan := func(fn func(prefix, from []byte, fn func(k, v []byte) (bool, error)) error, prefix, from string, limit int) (keys []string) {
		t.Helper()
		if err := fn([]byte(prefix), []byte(from), func(k, _ []byte) (bool, error) {
			keys = append(keys, string(k))
			return len(keys) < limit, nil
		}); err != nil {
			t.Fatal(err)
		}
		return keys
	}
	put("Aa", "Ab", "Ba", "Bb1", "Bb3", "C")
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	put("Bb2", "Bc")
	for _, c := range []struct {
		prefix, from string
		limit        int
		want, stored []string
	}{
		{"B", "", 9, []string{"Ba", "Bb1", "Bb2", "Bb3", "Bc"}, []string{"Ba", "Bb1", "Bb3"}},
		{"B", "Bb2", 9, []string{"Bb2", "Bb3", "Bc"}, []string{"Bb3"}},
		{"Bb", "", 2, []string{"Bb1", "Bb2"}, []string{"Bb1", "Bb3"}},
		{"D", "", 9, nil, nil},
		{"A", "", 9, []string{"Aa", "Ab"}, []string{"Aa", "Ab"}},
	} {
		if got := scan(s.Scan, c.prefix, c.from, c.limit); !slices.Equal(got, c.want) {
			t.Errorf("scan %q from %q: %v, want %v", c.prefix, c.from, got, c.want)
		}
		if got := scan(s.ScanTables, c.prefix, c.from, c.limit); !slices.Equal(got, c.stored) {
			t.Errorf("scan tables %q from %q: %v, want %v", c.prefix, c.from, got, c.stored)
		}
	}
	broken := errors.New("broken")
	if err := s.Scan(nil, nil, func(_, _ []byte) (bool, error) { return true, broken }); !errors.Is(err, broken) {
		t.Errorf("an error of the caller's: %v", err)
	}
}

// TestTablesStayFew: merging keeps look-ups from asking ever more tables, and
// files that are merged are removed.
func TestTablesStayFew(t *testing.T) {
	disk := fsxtest.NewDisk()
	s := open(t, disk)
	for i := range uint64(20_000) {
		k := binary.BigEndian.AppendUint64([]byte{'A'}, i*0x9e3779b97f4a7c15)
		if err := s.Put(func(set func(k, v []byte)) { set(k, k) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, disk)
	defer s.Close()
	rows := uint64(0)
	for _, table := range s.mu.tables.tables {
		rows += table.rows
	}
	// 2 of each of six or seven tiers, and what came while they were merged.
	if n := len(s.mu.tables.tables); n > s.tablesMax() || rows != 20_000 {
		t.Errorf("%d tables with %d rows", n, rows)
	}
	if files := disk.Under(testDir); len(files) > len(s.mu.tables.tables)+4 {
		t.Errorf("%d files for %d tables", len(files), len(s.mu.tables.tables))
	}
}

// TestAFilterLetsFewThrough: none that are there are kept out.
func TestAFilterLetsFewThrough(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	hashes := make([]uint64, 20_000)
	for i := range hashes {
		hashes[i] = random.Uint64()
	}
	f := newFilter(hashes)
	for _, hash := range hashes {
		if !f.may(hash) {
			t.Fatal("a key that is there is kept out")
		}
	}
	through := 0
	for range 100_000 {
		if f.may(random.Uint64()) {
			through++
		}
	}
	if through > 2000 {
		t.Errorf("%d of 100,000 keys that are not there pass", through)
	}
}

func TestReadersAndWritersAtOnce(t *testing.T) {
	s := open(t, fsxtest.NewDisk())
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	key := func(writer, i int) []byte { return fmt.Appendf(nil, "%c%05d", 'A'+writer, i) }
	for writer := range 4 {
		writers.Go(func() {
			for i := range 2000 {
				// A pair is seen as a whole, and the counter behind it never goes back.
				if err := s.Put(func(set func(k, v []byte)) {
					set(key(writer, i), []byte("x"))
					set(fmt.Appendf(nil, "N%d", writer), binary.BigEndian.AppendUint64(nil, uint64(i)))
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for writer := range 4 {
		readers.Go(func() {
			last := uint64(0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				value, ok, err := s.Get(fmt.Appendf(nil, "N%d", writer))
				if err != nil || !ok {
					if err != nil {
						t.Error(err)
						return
					}
					continue
				}
				now := binary.BigEndian.Uint64(value)
				if now < last {
					t.Errorf("the counter went from %d to %d", last, now)
					return
				}
				last = now
				if _, ok, err := s.Get(key(writer, int(now))); !ok || err != nil {
					t.Errorf("key %d is not there: %v", now, err)
					return
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(func(func(k, v []byte)) {}); !errors.Is(err, ErrClosed) {
		t.Errorf("put into a closed store: %v", err)
	}
	if _, _, err := s.Get([]byte("A")); !errors.Is(err, ErrClosed) {
		t.Errorf("get from a closed store: %v", err)
	}
}

// FuzzTable opens any bytes as a table: it is refused, or read, and never more.
func FuzzTable(f *testing.F) {
	disk := fsxtest.NewDisk()
	w, err := newWriter(disk, tablePath(testDir, 1))
	if err != nil {
		f.Fatal(err)
	}
	for i := range 300 {
		if err := w.add(row{fmt.Appendf(nil, "key %05d", i), bytes.Repeat([]byte{byte(i)}, i%50)}); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.finish(); err != nil {
		f.Fatal(err)
	}
	f.Add(slices.Clone(disk.Bytes(tablePath(testDir, 1))))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		disk := fsxtest.NewDisk()
		disk.SetBytes(tablePath(testDir, 1), b)
		table, err := openTable(disk, testDir, 1, 0)
		if err != nil {
			return
		}
		rows := table.from(nil, aheadAll)
		for more := true; more && err == nil; {
			more, err = rows.next()
		}
		_, _, _ = table.get([]byte("key 00100"), 0)
	})
}
