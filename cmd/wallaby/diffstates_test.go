package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/node"
	"github.com/wallaby-ao/wallaby/vm"
)

// swayed is a driver whose guests get another message in place of one.
type swayed struct{ vm.Driver }

type swayedModule struct{ vm.Module }

type swayedProcess struct{ vm.Process }

func (d swayed) Load(ctx context.Context, source vm.Source) (vm.Module, error) {
	module, err := d.Driver.Load(ctx, source)
	return swayedModule{module}, err
}

func (m swayedModule) New(ctx context.Context, config vm.Config, snapshot vm.SnapshotReader) (vm.Process, error) {
	process, err := m.Module.New(ctx, config, snapshot)
	return swayedProcess{process}, err
}

func (p swayedProcess) Handle(ctx context.Context, call vm.Call) (vm.Output, error) {
	call.Message = bytes.ReplaceAll(call.Message, []byte("Secret = 1"), []byte("Secret = 2"))
	return p.Process.Handle(ctx, call)
}

// TestStatesOfTwoNodesAreCompared has two nodes evaluate one log, of which one does
// something else at nonce 4 that no result tells before nonce 7.
func TestStatesOfTwoNodesAreCompared(t *testing.T) {
	first, dir := openAosNode(t, nil)
	process := mustRun(t, "spawn", "aos2_0_6")
	for nonce := 1; nonce <= 7; nonce++ {
		code := fmt.Sprintf("N = (N or 0) + %d return N", nonce)
		switch nonce {
		case 4:
			code = "Secret = 1 return 'done'"
		case 7:
			code = "return Secret"
		}
		mustRun(t, "send", process, "--action", "Eval", "--data", code, "--wait")
	}
	if err := first.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	var urls []string
	for i := range 2 {
		data := filepath.Join(dir, fmt.Sprint("copy", i))
		if err := os.CopyFS(data, os.DirFS(filepath.Join(dir, "data"))); err != nil {
			t.Fatal(err)
		}
		options := node.Options{DataDir: data, AnyPort: true}
		if i == 1 {
			if err := os.RemoveAll(filepath.Join(data, "state")); err != nil {
				t.Fatal(err)
			}
			options.WrapDriver = func(d vm.Driver) vm.Driver { return swayed{d} }
		}
		n, err := node.Open(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close(context.Background())
		urls = append(urls, n.Info().URLs.Gateway)
	}
	failed := runCommand(t, "", "diff", urls[0], urls[1], "--process", process)
	if failed.code != exitVerification {
		t.Fatalf("%+v", failed)
	}
	for _, want := range []string{
		"their states part at nonce 4 already", "the results differ at nonce 7,", "Output.data", "root of A", "PAGE", "GLOBAL", "Secret",
	} {
		if !strings.Contains(failed.stdout, want) {
			t.Errorf("no %q in\n%s", want, failed.stdout)
		}
	}
	// Up to nonce 6 all results are equal, and the states are not.
	var d difference
	one, other := unitOf(t, urls[0], process), unitOf(t, urls[1], process)
	d.Compared = 7
	if err := diffStates(t.Context(), &d, one, other); err != nil {
		t.Fatal(err)
	}
	if at := d.First; at == nil || at.Nonce != 4 || at.What != "states" || at.States.PagesTotal == 0 || len(at.States.Globals) == 0 {
		t.Errorf("%+v", d.First)
	}
	// A history is run here, and its last state is not the second node's.
	log := filepath.Join(dir, "log.aolog")
	mustRun(t, "import", process, "--from", urls[0], "--module", "--out", log)
	if said := mustRun(t, "diff", log, urls[0]); !strings.Contains(said, "equal: 8 nonces") || strings.Contains(said, "not compared") {
		t.Errorf("a history and an honest node: %s", said)
	}
	kept, err := newReplayed()
	if err != nil {
		t.Fatal(err)
	}
	defer kept.close()
	if err := kept.add(engine.ReplayResult{Result: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	d = difference{Compared: 1}
	if err := diffRoot(t.Context(), &d, "the second", other, kept, ao.ID{1}); err != nil || d.First == nil || d.First.What != "states" {
		t.Errorf("another root: %+v, %v", d, err)
	}
	if said := mustRun(t, "diff", urls[0], urls[0], "--process", process); !strings.Contains(said, "equal: 8 nonces") {
		t.Errorf("a node and itself: %s", said)
	}
}

func unitOf(t *testing.T, url, process string) unit {
	t.Helper()
	id, err := parseProcess(process)
	if err != nil {
		t.Fatal(err)
	}
	return unit{url, url + "/cu", id}
}
