package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/internal/measure"
)

func TestEachPeerAppends(t *testing.T) {
	for name := range openers {
		t.Run(name, func(t *testing.T) {
			var out, problems strings.Builder
			args := []string{"-dir", t.TempDir(), "-clients", "3", "-seconds", "0.3", "-warm-up", "0", name}
			if err := run(t.Context(), args, &out, &problems); err != nil {
				t.Fatalf("%v; it said %q", err, &problems)
			}
			var result measure.Result
			if err := json.Unmarshal([]byte(out.String()), &result); err != nil {
				t.Fatal(err)
			}
			if result.Count == 0 || result.PerSecond <= 0 || result.CPUMicros <= 0 {
				t.Errorf("the result is %+v", result)
			}
		})
	}
}

func TestPeersAreListed(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"list"}, &out, &out); err != nil {
		t.Fatal(err)
	}
	var names []string
	if err := json.Unmarshal([]byte(out.String()), &names); err != nil {
		t.Fatal(err)
	}
	if want := slices.Sorted(maps.Keys(openers)); !slices.Equal(names, want) {
		t.Errorf("peers %v, want %v", names, want)
	}
}

func TestAnUnknownPeerIsRefused(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"paper"}, &out, &out); err == nil || !strings.Contains(err.Error(), "etcd") {
		t.Errorf("an unknown peer: %v", err)
	}
}
