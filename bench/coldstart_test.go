package bench

import (
	"testing"
)

// TestColdStartsAreMeasured needs so many messages that a node looks for a checkpoint.
func TestColdStartsAreMeasured(t *testing.T) {
	rows, err := ColdStart(t.Context(), ColdStartOptions{Dir: t.TempDir(), Messages: 1500, Progress: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 || rows[0].Value <= 0 || rows[0].PeerValue <= 0 {
		t.Errorf("%+v", rows)
	}
}

func TestVerifyingIsMeasured(t *testing.T) {
	rows, err := Verify(t.Context(), 20, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0].Value <= 0 || rows[0].PeerValue <= 0 {
		t.Errorf("%+v", rows)
	}
}
