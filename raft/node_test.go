package raft

import (
	"context"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		os.Exit(runChild(mode))
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

func testOptions(t *testing.T, dir string) Options {
	return Options{
		Dir: dir, Signer: logtest.Signer(t, 1), SegmentBytes: 1 << 20,
		Fatal: func(err error) { t.Errorf("fatal: %v", err) },
	}
}

func openNode(t *testing.T, dir string) *Node {
	t.Helper()
	n, err := Open(context.Background(), testOptions(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNodeIsALog(t *testing.T) {
	logtest.Run(t, func(t *testing.T) log.Log { return openNode(t, t.TempDir()) })
}

func TestReopenKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, dir)
	process := logtest.Spawn(t, n, "a")
	// Large enough to fill several segments.
	const messages = 1500
	items := logtest.Messages(t, logtest.Signer(t, 9), process, messages)
	for _, item := range items[:messages/2] {
		logtest.Append(t, n, item)
	}
	before, err := n.Head(t.Context(), process)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		n = openNode(t, dir)
		after, err := n.Head(t.Context(), process)
		if err != nil || after != before {
			t.Fatalf("head %+v, want %+v, %v", after, before, err)
		}
		logtest.CheckChain(t, n, process, messages/2)
	}
	for _, item := range items[messages/2:] {
		logtest.Append(t, n, item)
	}
	for _, item := range items {
		if _, duplicate, err := n.Append(t.Context(), log.Proposal{Item: item}); err != nil || !duplicate {
			t.Fatalf("duplicate %v, %v", duplicate, err)
		}
	}
	logtest.CheckChain(t, n, process, messages)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}
