package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// flip is one bit of a file that is not as it was written.
type flip struct {
	path   string
	offset int64
	bit    byte
	was    byte // the whole byte
	// copied is the directory of the database that the file is of, as it was: a
	// database that was opened may have changed more than the bit.
	copied string
}

func (f flip) String() string { return fmt.Sprintf("bit %d of byte %d of %s", f.bit, f.offset, f.path) }

// flipIn flips a bit of what was written to a file: the zeros at its end are
// space that was only reserved.
func flipIn(t *testing.T, path string, random *rand.Rand) flip {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	offset := random.Int63n(int64(max(1, len(bytes.TrimRight(b, "\x00")))))
	f := flip{path: path, offset: offset, bit: byte(random.Intn(8)), was: b[offset]}
	if isTable(path) {
		f.copied = filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(f.copied, os.DirFS(filepath.Dir(path))); err != nil {
			t.Fatal(err)
		}
	}
	f.set(t, f.was^1<<f.bit)
	return f
}

func (f flip) set(t *testing.T, value byte) {
	t.Helper()
	file, err := os.OpenFile(f.path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt([]byte{value}, f.offset); err != nil {
		t.Fatal(err)
	}
}

// files lists what a node has written, one file of each kind, which are those
// whose names differ only in numbers.
func (p *process) files(random *rand.Rand) (kinds []string, paths map[string]string) {
	p.t.Helper()
	dir := filepath.Dir(p.config)
	found := map[string][]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil || info.Size() == 0 || entry.Name() == "LOCK" || filepath.Ext(path) == ".yaml" {
			return err
		}
		kind := kindOf(dir, path)
		found[kind] = append(found[kind], path)
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	paths = map[string]string{}
	for kind, all := range found {
		kinds = append(kinds, kind)
		paths[kind] = all[random.Intn(len(all))]
	}
	slices.Sort(kinds)
	return kinds, paths
}

var numbers = regexp.MustCompile(`[0-9]+`)

func kindOf(dir, path string) string {
	kind, err := filepath.Rel(dir, path)
	if err != nil {
		return path
	}
	switch {
	case strings.HasPrefix(kind, "data/gateway/data/"):
		return "data/gateway/data/*"
	case strings.HasPrefix(kind, "data/cache/"):
		return "data/cache/*"
	case filepath.Ext(kind) == ".seg":
		return "data/log/segments/*.seg"
	}
	return numbers.ReplaceAllString(kind, "*")
}

// checkRefusal holds what a node said when it stopped against a flip: one line at
// the end that names the file, or the directory of the database that it is of.
func checkRefusal(t *testing.T, f flip, out string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	last := lines[len(lines)-1]
	named := strings.Contains(last, f.path) || isTable(f.path) && strings.Contains(last, filepath.Dir(f.path))
	if !named || strings.Contains(out, "goroutine ") {
		t.Errorf("%s: the node stops and does not name it in one line: %s", f, out)
	}
}

// isTable reports whether a file is one of a badger database.
func isTable(path string) bool {
	switch filepath.Base(path) {
	case "MANIFEST", "DISCARD", "KEYREGISTRY":
		return true
	}
	switch filepath.Ext(path) {
	case ".sst", ".mem", ".vlog":
		return true
	}
	return false
}

// restore brings back what a node named, as an operator would who has a copy.
func (f flip) restore(t *testing.T) {
	t.Helper()
	if f.copied == "" {
		f.undo(t)
		return
	}
	dir := filepath.Dir(f.path)
	if err := errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(f.copied))); err != nil {
		t.Fatal(err)
	}
}

// undo puts a bit right that nobody has mended.
func (f flip) undo(t *testing.T) {
	t.Helper()
	b, err := os.ReadFile(f.path)
	if err == nil && f.offset < int64(len(b)) && b[f.offset] == f.was^1<<f.bit {
		f.set(t, f.was)
	}
}

// TestFlippedBitsAreMendedOrNamed flips a bit in each kind of file that a node
// has, after a kill. The node comes back with nothing changed, or names the file
// in one line; it never says anything else than the others.
func TestFlippedBitsAreMendedOrNamed(t *testing.T) {
	const module = "../testdata/modules/aos2_0_6.wasm"
	if _, err := os.Stat(module); err != nil {
		t.Skipf("SKIP: %s is missing: make modules fetches it", module)
	}
	c := startCluster(t, module)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	victim, well, random := c.nodes[2], c.nodes[0], rand.New(rand.NewSource(3))
	info := well.info(ctx)
	signer := logtest.Signer(t, 78)
	process := logtest.ProcessItem(t, signer, "counter",
		dataitem.Tag{Name: ao.TagModule, Value: info.Modules[0].ID}, dataitem.Tag{Name: ao.TagAuthority, Value: info.Authority})
	c.must(process)
	send := func(n int) {
		item := logtest.MessageItem(t, signer, process.ID(), fmt.Sprintf("N = (N or 0) + 1; return N -- %d", n), dataitem.Tag{Name: "Action", Value: "Eval"})
		c.must(item)
		want := fmt.Sprint(n)
		for _, p := range c.nodes {
			if got := p.output(ctx, process.ID(), item.ID()); !strings.Contains(got, want) {
				t.Fatalf("node %s: the result of message %d is %s", p.id, n, got)
			}
		}
	}
	sent := 0
	for range 20 {
		sent++
		send(sent)
	}
	mended, refused := map[string]int{}, map[string]int{}
	for range max(10, faults(t)/5) {
		victim.kill()
		kinds, paths := victim.files(random)
		random.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		kind := leastTried(kinds, mended, refused)
		f := flipIn(t, paths[kind], random)
		t.Log(f)
		victim.start()
		if out, ended := victim.checkedOrEnded(); ended {
			checkRefusal(t, f, out)
			refused[kind]++
			f.restore(t)
			victim.kill()
			victim.start()
			victim.awaitReady()
		} else {
			mended[kind]++
		}
		if now := victim.info(ctx); now.Scheduler != info.Scheduler || now.Authority != info.Authority {
			t.Errorf("%s: the node has other keys: %+v", f, now)
		}
		sent++
		send(sent)
		c.sameResults(ctx, process.ID())
		want, _ := well.history(process.ID())
		if got, _ := victim.history(process.ID()); !slices.Equal(got, want) {
			t.Errorf("%s: the node has another chain", f)
		}
		if t.Failed() {
			t.Fatal(f)
		}
		victim.kill()
		f.undo(t)
		victim.start()
		victim.awaitReady()
	}
	for _, kind := range slices.Sorted(maps.Keys(mended)) {
		t.Logf("%-32s %d came back right", kind, mended[kind])
	}
	for _, kind := range slices.Sorted(maps.Keys(refused)) {
		t.Logf("%-32s %d named and refused", kind, refused[kind])
	}
}

// leastTried gives a kind that was tried least.
func leastTried(kinds []string, counts ...map[string]int) string {
	tried := func(kind string) (n int) {
		for _, count := range counts {
			n += count[kind]
		}
		return n
	}
	return slices.MinFunc(kinds, func(a, b string) int { return tried(a) - tried(b) })
}
