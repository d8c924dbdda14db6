package raft

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// The test binary runs itself for what must happen in a process of its own: to
// be killed, or to die of damaged bytes.
const (
	childMode = "WALLABY_RAFT_TEST_CHILD"
	childDir  = "WALLABY_RAFT_TEST_DIR"

	childLoads  = "load"  // append for ever, print what is acknowledged
	childChecks = "check" // open, compare with acks.json
)

const acksFile = "acks.json"

func childCommand(mode, dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childMode+"="+mode, childDir+"="+dir)
	return cmd
}

// runChild is the main function of a child.
func runChild(mode string) int {
	run := childLoad
	if mode == childChecks {
		run = childCheck
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func childOpen() (*Node, error) {
	signer, err := dataitem.NewEd25519Signer(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		return nil, err
	}
	return Open(context.Background(), Options{Dir: os.Getenv(childDir), Signer: signer, SegmentBytes: 256 << 10, IndexMemoryBytes: 64 << 10})
}

func childLoad() error {
	n, err := childOpen()
	if err != nil {
		return err
	}
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
		out  = json.NewEncoder(os.Stdout)
	)
	for client := range 8 {
		wait.Go(func() {
			signer, err := dataitem.NewEd25519Signer(bytes.Repeat([]byte{byte(60 + client)}, 32))
			var process ao.ID
			for i := 0; err == nil; i++ {
				// An item's signature is the same in every run, the time is not.
				draft := dataitem.Draft{Tags: messageTags(), Target: process[:], Data: []byte(time.Now().String())}
				if process.IsZero() {
					draft = dataitem.Draft{Tags: processTags(client % 3)}
				}
				var item *dataitem.Item
				if item, err = dataitem.Create(draft, signer); err != nil {
					break
				}
				var entry log.Entry
				if entry, _, err = n.Append(context.Background(), log.Proposal{Item: item}); err != nil {
					break
				}
				process = entry.Process
				mu.Lock()
				err = out.Encode(entry)
				mu.Unlock()
			}
			fmt.Fprintln(os.Stderr, err)
		})
	}
	wait.Wait()
	return n.Close()
}

func processTags(name int) dataitem.Tags {
	module := ao.ID{1}
	return dataitem.Tags{
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagType, Value: ao.TypeProcess},
		{Name: ao.TagModule, Value: module.String()}, {Name: ao.TagScheduler, Value: "x"}, {Name: "Name", Value: fmt.Sprint(name)},
	}
}

func messageTags() dataitem.Tags {
	return dataitem.Tags{{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagType, Value: ao.TypeMessage}}
}

func childCheck() error {
	b, err := os.ReadFile(filepath.Join(os.Getenv(childDir), acksFile))
	if err != nil {
		return err
	}
	var entries []log.Entry
	if err := json.Unmarshal(b, &entries); err != nil {
		return err
	}
	n, err := childOpen()
	if err != nil {
		return err
	}
	var told acks
	for _, e := range entries {
		told.add(e)
	}
	if err := checkAcks(n, told.snapshot()); err != nil {
		return err
	}
	return n.Close()
}

// TestKilledUnderLoad kills a process in the middle of its work, again and
// again on one directory: all it ever acknowledged must be there.
func TestKilledUnderLoad(t *testing.T) {
	dir := t.TempDir()
	var told acks
	for round := range 4 {
		cmd := childCommand(childLoads, dir)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(stdout)
		for count := 0; ; count++ {
			if count == 300+170*round {
				// What it wrote until it died counts as told, except a cut line.
				_ = cmd.Process.Kill()
			}
			line, err := lines.ReadBytes('\n')
			if err != nil {
				break
			}
			var entry log.Entry
			if err := json.Unmarshal(line, &entry); err != nil {
				t.Fatal(err)
			}
			told.add(entry)
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the child was not killed: %v: %s", err, stderr.String())
		}
		n, err := Open(context.Background(), Options{Dir: dir, Signer: logtest.Signer(t, 1), SegmentBytes: 256 << 10, IndexMemoryBytes: 64 << 10})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := checkAcks(n, told.snapshot()); err != nil {
			t.Fatalf("round %d, %d acknowledged: %v", round, len(told.snapshot()), err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d entries were acknowledged", len(told.snapshot()))
}

// TestADamagedIndexIsMadeAnew damages each file of the index. A node may die of
// it once, but the next start must have everything.
func TestADamagedIndexIsMadeAnew(t *testing.T) {
	source := t.TempDir()
	n, err := Open(context.Background(), Options{Dir: source, Signer: logtest.Signer(t, 1), SegmentBytes: 256 << 10, IndexMemoryBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	var told acks
	left := 300
	var mu sync.Mutex
	load(t, n, 1, func() bool { mu.Lock(); defer mu.Unlock(); left--; return left < 0 }, &told)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	entries := []log.Entry{}
	for _, e := range told.snapshot() {
		entries = append(entries, e)
	}
	b, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(source, acksFile), b, 0o644); err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadDir(filepath.Join(source, IndexDirName))
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	slots := make(chan struct{}, 2)
	for _, name := range names {
		info, err := name.Info()
		if err != nil {
			t.Fatal(err)
		}
		size := int(info.Size())
		for _, at := range []int{1, 9, size / 4, size / 2, size - 40, size - 5, size - 2, -1} {
			if at >= size || at < -1 {
				continue
			}
			wait.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				damageIndex(t, source, name.Name(), at)
			})
		}
	}
	wait.Wait()
}

// damageIndex flips a bit in a copy's file, or removes it (at is -1).
func damageIndex(t *testing.T, source, name string, at int) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		t.Error(err)
		return
	}
	path := filepath.Join(dir, IndexDirName, name)
	if at < 0 {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	} else if err := flipByte(path, at); err != nil {
		t.Error(err)
	}
	first, err := childCommand(childChecks, dir).CombinedOutput()
	if err == nil {
		return
	}
	if again, err := childCommand(childChecks, dir).CombinedOutput(); err != nil {
		t.Errorf("byte %d of %s: the first start said %.300s, the second %.600s", at, name, first, again)
	}
}

func flipByte(path string, at int) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, int64(at)); err != nil {
		return err
	}
	b[0] ^= 0x10
	_, err = f.WriteAt(b, int64(at))
	return err
}
