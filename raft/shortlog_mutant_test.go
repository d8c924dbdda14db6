//go:build mutant

package raft

import (
	"fmt"
	"testing"
	"testing/synctest"
)

// TestMutantShortLog: without the tip guard, the same worlds lose what was
// acknowledged, and the test sees it.
func TestMutantShortLog(t *testing.T) {
	found := 0
	for seed := range int64(seeds(t, 6)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				refused, lost := shortLog(t, seed)
				if refused != nil {
					t.Errorf("the guard is still there: %v", refused)
				}
				if lost != nil {
					t.Logf("found: %v", lost)
					found++
				}
			})
		})
	}
	if found == 0 {
		t.Error("no world lost anything without the guard: the test cannot see the loss")
	}
}
