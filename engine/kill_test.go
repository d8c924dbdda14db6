package engine

import (
	"bufio"
	"context"
	"encoding/gob"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/vm"
)

// killedDir tells a copy of the test binary to evaluate the history in that
// directory until it is killed.
const killedDir = "WALLABY_ENGINE_TEST_DIR"

// killedMessages is the length of each process's history.
const killedMessages = 150

// TestKilledEnginesLoseAndRepeatNothing kills engines in mid-evaluation and
// compares what is left in the end with what an undisturbed one has.
func TestKilledEnginesLoseAndRepeatNothing(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, nil)
	var processes []ao.ID
	for range 4 {
		process := b.spawn()
		processes = append(processes, process)
		for i := range killedMessages {
			b.send(process, []string{"add ", "effects ", "error ", "trap "}[i%4]+fmt.Sprint(i))
		}
	}
	var history []aolog.Entry
	for _, process := range processes {
		err := b.log.Range(t.Context(), process, 0, killedMessages, func(entry aolog.Entry) error {
			history = append(history, entry)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	writeHistory(t, dir, history)
	for round := 1; round <= 4; round++ {
		runUntilKilled(t, dir, uint64(round*30))
	}
	want := b.all(processes)
	b.close()
	if err := b.db.Close(); err != nil {
		t.Fatal(err)
	}
	b.db = openDB(t, filepath.Join(dir, "db"))
	b.open()
	if diff := cmp.Diff(want, b.all(processes)); diff != "" {
		t.Errorf("(-undisturbed +killed):\n%s", diff)
	}
}

// all gives every evaluation of processes of that size, and every effect.
func (b *bench) all(processes []ao.ID) (all []string) {
	b.Helper()
	for _, process := range processes {
		for nonce := range uint64(killedMessages + 1) {
			evaluation, err := b.ResultAt(b.Context(), process, nonce)
			if err != nil {
				b.Fatal(err)
			}
			all = append(all, fmt.Sprint(evaluation.Message, evaluation.Assignment, evaluation.TimestampMS, string(evaluation.Result.JSON())))
		}
	}
	effects, err := b.Outbox().Pending(b.Context(), EffectKey{}, 1e6)
	if err != nil {
		b.Fatal(err)
	}
	for _, effect := range effects {
		all = append(all, fmt.Sprintf("%+v", effect))
	}
	return append(all, fmt.Sprint(b.Outbox().Count()))
}

func writeHistory(t *testing.T, dir string, history []aolog.Entry) {
	t.Helper()
	file, err := os.Create(filepath.Join(dir, "history"))
	if err != nil {
		t.Fatal(err)
	}
	if err := gob.NewEncoder(file).Encode(history); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// runUntilKilled starts an engine in a process of its own and kills that as
// soon as some process has been evaluated up to a nonce.
func runUntilKilled(t *testing.T, dir string, nonce uint64) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), killedDir+"="+dir)
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		var reached uint64
		if _, err := fmt.Sscan(lines.Text(), &reached); err != nil {
			t.Fatalf("the engine said %q", lines.Text())
		}
		if reached >= nonce {
			break
		}
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err == nil {
		t.Fatal("the engine ended by itself")
	}
}

// evaluateUntilKilled is what runUntilKilled starts.
func evaluateUntilKilled(dir string) error {
	file, err := os.Open(filepath.Join(dir, "history"))
	if err != nil {
		return err
	}
	var history []aolog.Entry
	if err := gob.NewDecoder(file).Decode(&history); err != nil {
		return err
	}
	log := newStaticLog()
	log.add(history...)
	db, err := openDBAt(filepath.Join(dir, "db"))
	if err != nil {
		return err
	}
	e, err := Open(context.Background(), Options{
		Log: log, DB: db, Drivers: []vm.Driver{newTestDriver()},
		Modules: moduleMap{{1}: {ID: ao.ID{1}, Owner: "module-owner", Tags: testTags}},
		// Small slices of work and many snapshots, to be killed among them.
		HotBytesMax: 1, SnapshotWorthMS: 1, SnapshotAfterMS: 1,
	})
	if err != nil {
		return err
	}
	for nonce := uint64(0); nonce <= killedMessages; nonce += 10 {
		if _, err := e.ResultAt(context.Background(), history[0].Process, nonce); err != nil {
			return err
		}
		fmt.Println(nonce)
	}
	select {}
}
