package http

import (
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
)

func TestRoots(t *testing.T) {
	u := newUnits(t, nil)
	process := ao.ID{3}
	u.get(u.cu.URL+"/root/"+process.String()).is(t, http.StatusOK,
		`{"process":"`+process.String()+`","nonce":9,"tick":0,"root":"`+ao.ID{1}.String()+`","fingerprint":"","snapshot":false}`)
	want := ao.StateRoot{Process: process, Nonce: 4, Tick: 2, Root: ao.ID{2}, Snapshot: true}
	if got, err := u.client().Root(t.Context(), process, &connect.Place{Nonce: 4, Tick: 2}); err != nil || got != want {
		t.Errorf("root is %+v, %v", got, err)
	}
	want = ao.StateRoot{Process: process, Root: ao.ID{2}, Snapshot: true}
	if got, err := u.client().Root(t.Context(), process, &connect.Place{}); err != nil || got != want {
		t.Errorf("the root behind the process itself is %+v, %v", got, err)
	}
}

func TestPlacesOfThePast(t *testing.T) {
	u := newUnits(t, nil)
	process, data := ao.ID{3}, "x"
	if _, err := u.client().DryRunAt(t.Context(), process, &connect.Place{Nonce: 7, Tick: 0}, connect.DryRunRequest{Owner: "o", Data: &data}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&connect.Place{Nonce: 7, Tick: 0}, u.evaluator.at); diff != "" || *u.evaluator.dryRun.Data != "x" {
		t.Errorf("the dry run is asked for at (-want +got):\n%s", diff)
	}
	u.evaluator.at = nil
	if _, err := u.client().DryRun(t.Context(), process, connect.DryRunRequest{Owner: "o"}); err != nil || u.evaluator.at != nil {
		t.Errorf("without a nonce it is asked for at %v: %v", u.evaluator.at, err)
	}
	u.evaluator.err = ao.Errorf(ao.CodeNotFound, "no such nonce")
	if _, err := u.client().State(t.Context(), process, &connect.Place{Nonce: 5, Tick: 1}, io.Discard); ao.CodeOf(err) != ao.CodeNotFound {
		t.Errorf("the state gives %v", err)
	}
	if diff := cmp.Diff(&connect.Place{Nonce: 5, Tick: 1}, u.evaluator.at); diff != "" {
		t.Errorf("the state is asked for at (-want +got):\n%s", diff)
	}
	for _, path := range []string{"/state/", "/root/"} {
		u.get(u.cu.URL+path+process.String()+"?nonce=-1").refuses(t, 400, ao.CodeInvalid, "nonce must be a number")
		u.get(u.cu.URL+path+process.String()+"?tick=3").refuses(t, 400, ao.CodeInvalid, "give nonce, too")
		u.get(u.cu.URL+path+"x").refuses(t, 400, ao.CodeInvalid, "43")
	}
}
