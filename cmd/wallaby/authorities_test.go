package main

import (
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

func TestAuthoritiesAndWhatWaitsForThem(t *testing.T) {
	n, _ := openAosNode(t, nil)
	plain := mustRun(t, "spawn", "aos2_0_6")
	if got := mustRun(t, "process", "authorities", plain); !strings.Contains(got, "what the process itself takes") || !strings.Contains(got, n.AuthorityAddress()+" (the messenger of this node)") {
		t.Errorf("without a quorum:\n%s", got)
	}
	other := logtest.Signer(t, 33)
	address := dataitem.NativeAddress(other.Owner())
	counting := mustRun(t, "spawn", "aos2_0_6", "--authority", n.AuthorityAddress()+","+address, "--quorum", "2/2")
	process, err := ao.ParseID(counting)
	if err != nil {
		t.Fatal(err)
	}
	from := dataitem.Tag{Name: ao.TagFromProcess, Value: plain}
	for _, data := range []string{"one", "two"} {
		item := logtest.MessageItem(t, other, process, data, from, dataitem.Tag{Name: "Action", Value: "Greet"})
		client := connect.New(n.Info().URLs.Gateway)
		if err := client.Post(t.Context(), item); err != nil {
			t.Fatal(err)
		}
		result, err := client.Result(t.Context(), process, item.ID())
		if err != nil || !strings.Contains(string(result.Output), "1 of the 2 authorities") {
			t.Errorf("it gives %s, %v", result.Output, err)
		}
	}
	got := mustRun(t, "process", "authorities", counting)
	for _, want := range []string{"what 2 of its 2 authorities have delivered", "WAITING PUSH FROM", plain + "  Greet"} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
	if one := mustRun(t, "process", "authorities", counting, "--limit", "1"); strings.Count(one, "Greet") != 1 || !strings.Contains(one, "--limit shows them") {
		t.Errorf("one of two:\n%s", one)
	}
	if asJSON := mustRun(t, "process", "authorities", counting, "-o", "json"); strings.Count(asJSON, `"by": [`) != 2 || !strings.Contains(asJSON, `"quorum": "2/2"`) {
		t.Errorf("as JSON:\n%s", asJSON)
	}
	for want, args := range map[string][]string{
		"name the authorities": {"spawn", "aos2_0_6", "--quorum", "1/1"},
		"make them equal":      {"spawn", "aos2_0_6", "--quorum", "1/2", "--authority", address},
		"is not known":         {"process", "authorities", strings.Repeat("A", 43)},
		"not a number from 1":  {"process", "authorities", counting, "--limit", "0"},
	} {
		if failed := runCommand(t, "", args...); failed.code == exitOK || !strings.Contains(failed.stderr, want) {
			t.Errorf("%v: %+v", args, failed)
		}
	}
}
