package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// wipe makes a directory that has nothing but a node's wallets.
func wipe(t *testing.T, dir string) string {
	t.Helper()
	empty := t.TempDir()
	if err := os.CopyFS(filepath.Join(empty, walletsDir), os.DirFS(filepath.Join(dir, walletsDir))); err != nil {
		t.Fatal(err)
	}
	return empty
}

// states are the results and the state roots of processes, up to their heads.
func states(t *testing.T, n *Node, processes []ao.ID) (text string) {
	t.Helper()
	for _, process := range processes {
		head, err := n.log.Head(t.Context(), process)
		if err != nil {
			t.Fatal(err)
		}
		for nonce := range head.Nonce + 1 {
			evaluation, err := n.engine.ResultAt(t.Context(), process, nonce)
			if err != nil {
				t.Fatal(err)
			}
			text += fmt.Sprintf("%d %s\n", nonce, evaluation.Result.JSON())
		}
		root, err := n.engine.Root(t.Context(), process)
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("%s %+v\n", root.Root, head)
	}
	return text
}

func TestAWipedNodeComesBackFromTheWeaveAndGoesOn(t *testing.T) {
	u := openUpstream(t)
	options := Options{DataDir: t.TempDir()}
	u.settles(&options)
	n, spawn, eval := openAosWith(t, options)
	var processes []ao.ID
	for i := range 3 {
		process := spawn(fmt.Sprint(i))
		processes = append(processes, process)
		for j := range 4 {
			eval(process, fmt.Sprintf("N = (N or 0) + %d return N", i+j))
		}
	}
	// One process sends to another, and something is assigned by name.
	eval(processes[0], fmt.Sprintf(`Send({Target = %q, Action = "Eval", Data = "return 1"})`, processes[1]))
	note, err := dataitem.Create(dataitem.Draft{Data: []byte("a note"), Tags: dataitem.Tags{{Name: "Action", Value: "Note"}}}, logtest.Signer(t, 4))
	if err == nil {
		_, err = u.PutItem(t.Context(), note)
	}
	if err == nil {
		err = clientOf(n).Upload(t.Context(), note)
	}
	if err == nil {
		_, err = clientOf(n).Assign(t.Context(), processes[2], note.ID())
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{T: t, Node: n}
	s.quiet()
	places := uint64(0)
	for _, process := range processes {
		head, err := n.log.Head(t.Context(), process)
		if err != nil {
			t.Fatal(err)
		}
		places += head.Nonce + 1
	}
	s.settled(places)
	want := states(t, n, processes)
	closeNode(t, n)
	uploads := u.count()

	dir := wipe(t, options.DataDir)
	if _, err := Restore(t.Context(), RestoreOptions{DataDir: dir, Gateway: u.url, Scheduler: ao.ID{1}.String()}); err == nil || !strings.Contains(err.Error(), "not of") {
		t.Errorf("another scheduler's log: %v", err)
	}
	restored, err := Restore(t.Context(), RestoreOptions{DataDir: dir, Gateway: u.url})
	if err != nil || len(restored.Processes) != 3 {
		t.Fatalf("%+v, %v", restored, err)
	}
	for _, one := range restored.Processes {
		if len(one.Missing) != 0 {
			t.Errorf("%+v", one)
		}
	}
	back := Options{DataDir: dir, CacheDir: testCacheDir, AnyPort: true}
	u.settles(&back)
	again, err := Open(t.Context(), back)
	if err != nil {
		t.Fatal(err)
	}
	defer closeNode(t, again)
	if got := states(t, again, processes); got != want {
		t.Errorf("the node came back with\n%s\nand was\n%s", got, want)
	}
	// Clients go on, and their messages follow those of before.
	item := logtest.MessageItem(t, logtest.Signer(t, 9), processes[0], "return N", dataitem.Tag{Name: "Action", Value: "Eval"})
	if err := clientOf(again).Post(t.Context(), item); err != nil {
		t.Fatal(err)
	}
	result, err := clientOf(again).Result(t.Context(), processes[0], item.ID())
	if err != nil || !strings.Contains(string(result.JSON()), `"data":"6"`) {
		t.Errorf("%s, %v", result.JSON(), err)
	}
	s = &stage{T: t, Node: again}
	s.settled(places + 1)
	if got := u.count() - uploads; got != 2 {
		t.Errorf("%d uploads for one new message", got)
	}
}

// TestARestoreThatWasCutOffGoesOn has the gateway fail in the middle.
func TestARestoreThatWasCutOffGoesOn(t *testing.T) {
	u := openUpstream(t)
	s := openStage(t, u.settles)
	process := s.spawn("long")
	for i := range 120 {
		s.do(process, fmt.Sprintf(`{"Output":"%d"}`, i))
	}
	s.settled(121)
	head, err := s.log.Head(t.Context(), process)
	if err != nil {
		t.Fatal(err)
	}
	last := s.do(process, `{"Output":"the last"}`)
	s.settled(122)
	dir := wipe(t, s.options.DataDir)
	u.mu.Lock()
	u.other = map[string]string{"/raw/" + last.String(): "other bytes"}
	u.mu.Unlock()
	if _, err := Restore(t.Context(), RestoreOptions{DataDir: dir, Gateway: u.url}); err == nil || !strings.Contains(err.Error(), last.String()) {
		t.Fatalf("a message with other bytes: %v", err)
	}
	if _, err := Open(t.Context(), Options{DataDir: dir, AnyPort: true}); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("a node started on half a log: %v", err)
	}
	u.mu.Lock()
	u.other = nil
	u.mu.Unlock()
	restored, err := Restore(t.Context(), RestoreOptions{DataDir: dir, Gateway: u.url, Processes: []ao.ID{process}})
	if err != nil || len(restored.Processes) != 1 || restored.Processes[0].Nonce != head.Nonce+1 {
		t.Fatalf("%+v, %v", restored, err)
	}
	if _, err := Restore(t.Context(), RestoreOptions{DataDir: dir, Gateway: u.url}); err == nil || !strings.Contains(err.Error(), "nothing but its wallets") {
		t.Errorf("a restore over a log: %v", err)
	}
	n := openNode(t, dir)
	defer closeNode(t, n)
	if again, err := n.log.Read(t.Context(), process, head.Nonce); err != nil || again.ID != head.Assignment {
		t.Errorf("%+v, %v", again.Assignment, err)
	}
}

func TestARestoreNeedsTheWalletsAndALog(t *testing.T) {
	u := openUpstream(t)
	if _, err := Restore(t.Context(), RestoreOptions{DataDir: t.TempDir(), Gateway: u.url}); err == nil || !strings.Contains(err.Error(), "put back the wallets") {
		t.Errorf("without wallets: %v", err)
	}
	s := openStage(t, nil)
	s.spawn("settled nowhere")
	if _, err := Restore(t.Context(), RestoreOptions{DataDir: wipe(t, s.options.DataDir), Gateway: u.url}); ao.CodeOf(err) != ao.CodeNotFound {
		t.Errorf("without a log: %v", err)
	}
}
