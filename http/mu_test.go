package http

import (
	"net/http"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

func TestMessengerTakesItems(t *testing.T) {
	u := newUnits(t, nil)
	u.get(u.mu.URL).is(t, http.StatusOK, "ao messenger unit")
	module := ao.ID{3}
	receiver := logtest.Spawn(t, u.log, "receiver")
	tags := protocolTags(ao.TypeProcess, dataitem.Tag{Name: ao.TagModule, Value: module.String()}, dataitem.Tag{Name: ao.TagScheduler, Value: "s"})
	process := create(t, dataitem.Draft{Target: receiver[:], Tags: tags})
	for range 2 {
		u.do(http.MethodPost, u.mu.URL+"//", process.Bytes()).is(t, http.StatusAccepted, `{"message":"Processing DataItem","id":"`+process.ID().String()+`"}`)
	}
	// A process with a target is assigned to it, once.
	entry, err := u.log.Read(t.Context(), receiver, 1)
	if err != nil || entry.Message != process.ID() {
		t.Errorf("the receiver has %+v, %v", entry, err)
	}
	if head, err := u.log.Head(t.Context(), receiver); err != nil || head.Nonce != 1 {
		t.Errorf("head %+v, %v", head, err)
	}
	stranger := ao.ID{0x77}
	alone := create(t, dataitem.Draft{Target: stranger[:], Tags: tags})
	if a := u.do(http.MethodPost, u.mu.URL, alone.Bytes()); a.status != http.StatusAccepted {
		t.Errorf("a process for a target that is none: %d %s", a.status, a.body)
	}
	a := u.do(http.MethodPost, u.mu.URL+"?process-id="+receiver.String()+"&assign="+alone.ID().String(), nil)
	entry, err = u.log.Read(t.Context(), receiver, 2)
	if err != nil {
		t.Fatal(err)
	}
	a.is(t, http.StatusAccepted, `{"message":"Processing Assignment","id":"`+entry.ID.String()+`"}`)
	both := "You must set both process-id and assign"
	u.do(http.MethodPost, u.mu.URL+"?assign="+receiver.String(), nil).refuses(t, 400, ao.CodeInvalid, both)
	u.do(http.MethodPost, u.mu.URL+"?process-id="+receiver.String(), nil).refuses(t, 400, ao.CodeInvalid, both)
	u.do(http.MethodPost, u.mu.URL, nil).refuses(t, 400, ao.CodeInvalid, "A valid and signed data item")
}

func TestMonitors(t *testing.T) {
	u := newUnits(t, nil)
	process := logtest.Spawn(t, u.log, "x")
	item := create(t, dataitem.Draft{Target: process[:]}).Bytes()
	url := u.mu.URL + "/monitor/" + process.String()
	u.do(http.MethodPost, url, item).is(t, http.StatusOK, "Monitoring process")
	u.do(http.MethodPost, url, item).refuses(t, http.StatusConflict, ao.CodeConflict, "already")
	u.do(http.MethodDelete, url, item).is(t, http.StatusOK, "Process deleted")
	u.do(http.MethodDelete, url, item).refuses(t, http.StatusNotFound, ao.CodeNotFound, "not found")
	u.do(http.MethodPost, url, nil).refuses(t, 400, ao.CodeInvalid, "Signed data item is required")
	stranger := ao.ID{9}
	u.do(http.MethodPost, url, create(t, dataitem.Draft{Target: stranger[:]}).Bytes()).refuses(t, 404, ao.CodeNotFound, "not known")
	forged := append([]byte(nil), item...)
	forged[9] ^= 1
	u.do(http.MethodPost, url, forged).refuses(t, 400, ao.CodeInvalid, "signature")
}

func TestTraces(t *testing.T) {
	u := newUnits(t, nil)
	process, root, sent, later := ao.ID{1}, ao.ID{2}, ao.ID{3}, ao.ID{4}
	u.tracer[process] = []Hop{
		{Kind: "message", Root: root, Message: later, Delivered: []ao.ID{sent}, TimeMS: 7},
		{Kind: "spawn", Root: root, Message: root, TimeMS: 6, Error: "no module"},
	}
	message := `{"node":{"relation":"descendant","id":"` + sent.String() + `","messageId":"` + later.String() + `","processId":"` + process.String() +
		`","wallet":"","ip":"","parentId":"` + root.String() + `","timestamp":7,"type":"MESSAGE"},"cursor":"` + sent.String() + `"}`
	spawn := `{"node":{"relation":"root","id":"","messageId":"` + root.String() + `","processId":"` + process.String() +
		`","wallet":"","ip":"","parentId":"` + root.String() + `","timestamp":6,"type":"SPAWN","error":"no module"},"cursor":""}`
	url := u.mu.URL + "/?debug=true&process=" + process.String()
	for query, want := range map[string]string{
		"":                          `{"pageInfo":{"hasNextPage":false},"edges":[` + message + `,` + spawn + `]}`,
		"&page-size=1":              `{"pageInfo":{"hasNextPage":true},"edges":[` + message + `]}`,
		"&page-size=1&page=2":       `{"pageInfo":{"hasNextPage":false},"edges":[` + spawn + `]}`,
		"&page=2":                   `{"pageInfo":{"hasNextPage":false},"edges":[]}`,
		"&message=" + sent.String(): `{"pageInfo":{"hasNextPage":false},"edges":[` + message + `]}`,
		"&assign=" + sent.String():  `{"pageInfo":{"hasNextPage":false},"edges":[]}`,
		"&wallet=anything":          `{"pageInfo":{"hasNextPage":false},"edges":[` + message + `,` + spawn + `]}`,
	} {
		u.get(url+query).is(t, http.StatusOK, want)
	}
	u.get(u.mu.URL+"/?debug").refuses(t, 400, ao.CodeInvalid, "'process': Process ID is required.")
	u.get(url+"&message="+sent.String()+"&spawn="+sent.String()).refuses(t, 422, ao.CodeUnprocessable, "Only one of")
	u.get(url+"&page=0").refuses(t, 400, ao.CodeInvalid, "'page' must be a number")
	u.get(u.mu.URL+"/?debug&process="+root.String()).is(t, http.StatusOK, `{"pageInfo":{"hasNextPage":false},"edges":[]}`)
}
