package engine

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
)

// TestResultsThatWereLostAreTheSameAgain goes back to older copies of the
// store, as a power failure may, and compares what is then evaluated with what
// there was.
func TestResultsThatWereLostAreTheSameAgain(t *testing.T) {
	b := newBench(t, nil)
	one, two := b.spawn(), b.spawn()
	commands := []string{"add ", "effects ", "trap ", "error ", "add "}
	var copies []string
	for i := range 20 {
		b.send(one, commands[i%5]+strconv.Itoa(i))
		b.result(two, b.send(two, "add "+strconv.Itoa(i)))
		if i%6 == 0 {
			b.close()
			if err := b.db.Close(); err != nil {
				t.Fatal(err)
			}
			copies = append(copies, t.TempDir())
			copyDir(t, b.dir, copies[len(copies)-1])
			b.db = openDB(t, b.dir)
			b.open()
		}
	}
	want := b.everything(one, two)
	for i, dir := range append(copies, t.TempDir()) {
		b.close()
		if err := b.db.Close(); err != nil {
			t.Fatal(err)
		}
		b.db = openDB(t, dir)
		b.open()
		if diff := cmp.Diff(want, b.everything(one, two)); diff != "" {
			t.Errorf("copy %d (-want +got):\n%s", i, diff)
		}
	}
}

// everything gives what an engine has to say about processes with 21 entries.
func (b *bench) everything(processes ...ao.ID) (all []any) {
	b.Helper()
	for _, process := range processes {
		b.eventually("all is evaluated", func() bool { nonce, _ := b.Evaluated(process); return nonce == 20 })
		for nonce := range uint64(21) {
			evaluation, err := b.ResultAt(b.Context(), process, nonce)
			if err != nil {
				b.Fatal(err)
			}
			all = append(all, evaluation)
		}
	}
	return append(all, pendingOf(b.T, b.Outbox()), b.Outbox().Count())
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	files, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(from, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, file.Name()), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPlaceInTheLogIsKept checks that a restart does not look at processes
// that have nothing new.
func TestPlaceInTheLogIsKept(t *testing.T) {
	b := newBench(t, nil)
	quiet, busy := b.spawn(), b.spawn()
	b.result(quiet, b.send(quiet, "add a"))
	b.result(busy, b.send(busy, "add a"))
	b.eventually("all was followed", func() bool { return len(b.places.unsaved()) > 0 && b.places.unsaved()[0].Index == 4 })
	b.close()
	b.send(busy, "add b")
	b.open()
	b.eventually("the new message is evaluated", func() bool { nonce, _ := b.Evaluated(busy); return nonce == 2 })
	if b.has(quiet) {
		t.Error("the quiet process was taken up")
	}
}

// has reports whether the table has a row for a process.
func (b *bench) has(process ao.ID) bool {
	b.table.mu.Lock()
	defer b.table.mu.Unlock()
	_, ok := b.table.rows[process]
	return ok
}
