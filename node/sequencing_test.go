package node

import (
	"net/http"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aohttp "github.com/wallaby-ao/wallaby/http"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

func signed(t *testing.T, signer dataitem.Signer, tags dataitem.Tags) *dataitem.Item {
	t.Helper()
	item, err := dataitem.Create(dataitem.Draft{Tags: tags}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func TestWhoMayOrderAMode(t *testing.T) {
	n := openNode(t, t.TempDir())
	defer closeNode(t, n)
	owner, stranger := logtest.Signer(t, 9), logtest.Signer(t, 10)
	process := logtest.ProcessItem(t, owner, "ordered")
	client := clientOf(n)
	if err := client.Post(t.Context(), process); err != nil {
		t.Fatal(err)
	}
	raft3 := aolog.Mode{Voters: 3}
	for name, c := range map[string]struct {
		item *dataitem.Item
		code ao.Code
		text string
	}{
		"by a stranger":     {signed(t, stranger, OrderTags(process.ID(), raft3, 1)), ao.CodeUnauthorized, "may not say how process"},
		"by the owner":      {signed(t, owner, OrderTags(process.ID(), raft3, 1)), ao.CodeInvalid, "takes 3 nodes, and there are 1 here"},
		"by the scheduler":  {signed(t, n.scheduler, OrderTags(process.ID(), raft3, 1)), ao.CodeInvalid, "takes 3 nodes, and there are 1 here"},
		"for an old epoch":  {signed(t, owner, OrderTags(process.ID(), aolog.Solo, 7)), ao.CodeConflict, "is in epoch 0"},
		"the mode it has":   {signed(t, owner, OrderTags(process.ID(), aolog.Solo, 1)), ao.CodeConflict, "is ordered by solo already"},
		"of a type unknown": {signed(t, owner, dataitem.Tags{{Name: ao.TagType, Value: "Else"}}), ao.CodeInvalid, "tag Type must be"},
		"of no process":     {signed(t, owner, OrderTags(ao.ID{7}, aolog.Solo, 1)), ao.CodeNotFound, "is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			url := client.SU + "/" + process.ID().String() + "/sequencing"
			err := client.Do(t.Context(), http.MethodPost, url, "application/octet-stream", c.item.Bytes(), nil)
			if ao.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.text) {
				t.Errorf("answered %v, want %s with %q", err, c.code, c.text)
			}
		})
	}
}

// TestEvidenceIsKept shows a node an assignment that its scheduler signed for a
// place that it gave to another message.
func TestEvidenceIsKept(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, dir)
	owner := logtest.Signer(t, 9)
	process := logtest.ProcessItem(t, owner, "twice")
	message := logtest.MessageItem(t, owner, process.ID(), "the one")
	for _, item := range []*dataitem.Item{process, message} {
		if err := clientOf(n).Post(t.Context(), item); err != nil {
			t.Fatal(err)
		}
	}
	entry, err := n.log.Read(t.Context(), process.ID(), 1)
	if err != nil {
		t.Fatal(err)
	}
	other := entry.Assignment
	other.Message = ao.ID{1, 2, 3}
	accuse := func(item *dataitem.Item) (contradicts bool, err error) {
		var answer struct{ Contradicts bool }
		err = clientOf(n).Do(t.Context(), http.MethodPost, clientOf(n).SU+"/evidence", "application/octet-stream", item.Bytes(), &answer)
		return answer.Contradicts, err
	}
	own, err := dataitem.Parse(entry.AssignmentBytes)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		item *dataitem.Item
		want bool
	}{
		"its own":              {own, false},
		"by another scheduler": {signed(t, owner, other.Tags()), false},
		"a second one":         {signed(t, n.scheduler, other.Tags()), true},
	} {
		if got, err := accuse(c.item); err != nil || got != c.want {
			t.Errorf("%s: contradicts %v (%v), want %v", name, got, err, c.want)
		}
	}
	far := other
	far.Nonce = 99
	if _, err := accuse(signed(t, n.scheduler, far.Tags())); ao.CodeOf(err) != ao.CodeNotFound {
		t.Errorf("a nonce that is not there: %v", err)
	}
	closeNode(t, n)
	n = openNode(t, dir)
	defer closeNode(t, n)
	var list []aohttp.Contradiction
	if err := clientOf(n).Do(t.Context(), http.MethodGet, clientOf(n).SU+"/evidence", "", nil, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].Process != process.ID() || list[0].Nonce != 1 {
		t.Fatalf("evidence after a restart: %+v", list)
	}
	one, err := dataitem.Parse(list[0].One)
	if err != nil {
		t.Fatal(err)
	}
	two, err := dataitem.Parse(list[0].Other)
	if err != nil {
		t.Fatal(err)
	}
	if _, contradicts, err := Contradict(one, two); err != nil || !contradicts {
		t.Errorf("what was kept proves nothing: %v", err)
	}
}
