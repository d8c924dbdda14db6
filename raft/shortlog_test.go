//go:build !mutant

package raft

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/wallaby-ao/wallaby/log"
)

// TestAShortLogLosesNothing: the node whose log is short says so and stays out
// until it is repaired. TestMutantShortLog shows what would happen without.
func TestAShortLogLosesNothing(t *testing.T) {
	for seed := range int64(seeds(t, 6)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				refused, lost := shortLog(t, seed)
				if !errors.Is(refused, log.ErrCorrupt) {
					t.Errorf("the node with the short log opened: %v", refused)
				}
				if lost != nil {
					t.Error(lost)
				}
			})
		})
	}
}
