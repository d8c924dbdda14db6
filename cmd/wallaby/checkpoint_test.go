package main

import (
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/node"
)

// testCheckpoints has a checkpoint made of a process, and lists it.
func testCheckpoints(t *testing.T, n *node.Node, process string) {
	t.Helper()
	dir := n.Info().DataDir
	made := mustRun(t, "checkpoint", process, "--data-dir", dir)
	if again := mustRun(t, "checkpoint", process, "--data-dir", dir); again != made || !strings.Contains(made, "state root") {
		t.Errorf("made\n%s\nand then\n%s", made, again)
	}
	if got := mustRun(t, "checkpoints", process); !strings.Contains(got, strings.Fields(made)[1]) || !strings.HasSuffix(strings.TrimSpace(got), "(own)    yes") {
		t.Errorf("the list is:\n%s", got)
	}
	if got := runCommand(t, "", "checkpoint", process, "--upload", "--data-dir", dir); got.code != exitError || !strings.Contains(got.stderr, "--settle-to URL") {
		t.Errorf("an upload to nowhere: exit %d, %s", got.code, got.stderr)
	}
}
