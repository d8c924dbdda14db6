package raft

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

func entriesOfProcess(t *testing.T, n *Node, process ao.ID) (entries []log.Entry) {
	t.Helper()
	err := n.Range(t.Context(), process, 0, 1<<60, func(e log.Entry) error {
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestImportedEntriesAreAsTheyWereAndTheLogGoesOn(t *testing.T) {
	from, dir := openNode(t, t.TempDir()), t.TempDir()
	process := logtest.Spawn(t, from, "moved")
	items := logtest.Messages(t, logtest.Signer(t, 9), process, 40)
	for _, item := range items[:20] {
		logtest.Append(t, from, item)
	}
	if _, _, err := from.Append(t.Context(), log.Proposal{Process: process, Message: ao.ID{7}, Exclude: []string{"Data"}}); err != nil {
		t.Fatal(err)
	}
	entries := entriesOfProcess(t, from, process)
	to := openNode(t, dir)
	if err := to.Import(t.Context(), entries[:10]); err != nil {
		t.Fatal(err)
	}
	if err := to.Import(t.Context(), entries[10:]); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(entries, entriesOfProcess(t, to, process)); diff != "" {
		t.Error(diff)
	}
	for _, item := range items[20:] {
		logtest.Append(t, to, item)
	}
	if _, duplicate, err := to.Append(t.Context(), log.Proposal{Item: items[3]}); err != nil || !duplicate {
		t.Errorf("a message from before: duplicate %v, %v", duplicate, err)
	}
	if err := to.Import(t.Context(), entries[:1]); err == nil {
		t.Error("entries were imported beside appends")
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	to = openNode(t, dir)
	logtest.CheckChain(t, to, process, 41)
	for _, n := range []*Node{from, to} {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestEntriesThatDoNotFitAreNotImported(t *testing.T) {
	from, to := openNode(t, t.TempDir()), openNode(t, t.TempDir())
	process := logtest.Spawn(t, from, "moved")
	for _, item := range logtest.Messages(t, logtest.Signer(t, 9), process, 5) {
		logtest.Append(t, from, item)
	}
	entries := entriesOfProcess(t, from, process)
	if err := to.Import(t.Context(), entries[1:]); err == nil {
		t.Error("messages without their process")
	}
	if err := to.Import(t.Context(), entries[:3]); err != nil {
		t.Fatal(err)
	}
	if err := to.Import(t.Context(), entries[4:]); err == nil {
		t.Error("a nonce was left out")
	}
	if err := to.Import(t.Context(), entries[2:3]); err == nil {
		t.Error("an entry came twice")
	}
	if err := to.Import(t.Context(), entries[3:]); err != nil {
		t.Errorf("what fits after what did not: %v", err)
	}
	for _, n := range []*Node{from, to} {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}
