package ao

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResultJSONKeepsTheReferenceKeyOrder(t *testing.T) {
	gas := uint64(0)
	cases := []struct {
		name   string
		result Result
		want   string
	}{
		{"empty", Result{}, `{"Messages":[],"Assignments":[],"Spawns":[],"Output":""}`},
		{"gas of zero is reported", Result{GasUsed: &gas}, `{"Messages":[],"Assignments":[],"Spawns":[],"Output":"","GasUsed":0}`},
		{"error", Result{Error: json.RawMessage(`"no"`)}, `{"Messages":[],"Assignments":[],"Spawns":[],"Output":"","Error":"no"}`},
		{
			"guest key order and markup survive",
			Result{Messages: []json.RawMessage{json.RawMessage(`{"Target":"<a>","Anchor":"1"}`)}, Output: json.RawMessage(`{"b":1,"a":2}`)},
			`{"Messages":[{"Target":"<a>","Anchor":"1"}],"Assignments":[],"Spawns":[],"Output":{"b":1,"a":2}}`,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := string(c.result.JSON()); got != c.want {
				t.Fatalf("got  %s\nwant %s", got, c.want)
			}
			var back Result
			if err := json.Unmarshal(c.result.JSON(), &back); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(c.result.JSON()), string(back.JSON())); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}
