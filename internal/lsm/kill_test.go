package lsm

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The test binary runs itself to be killed.
const childDir = "WALLABY_LSM_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Fprintln(os.Stderr, writeForEver(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

const killWriters = 4

func killKey(writer int, i uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{'A', byte(writer)}, i*0x9e3779b97f4a7c15)
}

func counterKey(writer int) []byte { return []byte{'N', byte(writer)} }

// writeForEver has writers put a key and how many they have put, again and again.
func writeForEver(dir string) error {
	s, err := Open(Options{Dir: dir, MemoryBytes: 32 << 10, FanOut: 3})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for writer := range killWriters {
		go func() {
			b, _, err := s.Get(counterKey(writer))
			i := uint64(0)
			if len(b) == 8 {
				i = binary.BigEndian.Uint64(b)
			}
			for ; err == nil; i++ {
				err = s.Put(func(set func(k, v []byte)) {
					set(killKey(writer, i), []byte("here"))
					set(counterKey(writer), binary.BigEndian.AppendUint64(nil, i+1))
				})
			}
			failed <- err
		}()
	}
	return <-failed
}

// awaitPuts waits until something was written, if nothing ever was: a child that is
// killed before shows nothing.
func awaitPuts(t *testing.T, dir string, first bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); first; time.Sleep(time.Millisecond) {
		tables, err := filepath.Glob(filepath.Join(dir, "*"+tableSuffix))
		if err != nil {
			t.Fatal(err)
		}
		if len(tables) > 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the child writes nothing")
		}
	}
}

// TestKilled kills a process that puts keys, again and again: each time it left
// the first so many puts of each writer, and nothing of those after.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	last := [killWriters]uint64{}
	for round := range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		awaitPuts(t, dir, last == [killWriters]uint64{})
		time.AfterFunc(time.Duration(100+60*round)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the child was not killed: %v: %s", err, said.String())
		}
		s, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		for writer := range killWriters {
			b, ok, err := s.Get(counterKey(writer))
			if err != nil {
				t.Fatalf("round %d: counter %d: %v", round, writer, err)
			}
			count := uint64(0) // it may not have had a turn
			if ok {
				count = binary.BigEndian.Uint64(b)
			}
			if count < last[writer] {
				t.Errorf("round %d: writer %d had put %d, now %d", round, writer, last[writer], count)
			}
			last[writer] = count
			for i := range count + 200 {
				if _, ok, err := s.Get(killKey(writer, i)); err != nil || ok != (i < count) {
					t.Fatalf("round %d: writer %d has put %d, and key %d is there: %v, %v", round, writer, count, i, ok, err)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if last == [killWriters]uint64{} {
		t.Error("nothing was ever put")
	}
	t.Logf("%v puts", last)
}
