package http

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/courier"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// fakeElsewhere is a network with one other scheduler.
type fakeElsewhere struct {
	processes   map[ao.ID]string
	posted      []ao.ID
	assigned    []courier.Assignment
	assignments ao.ID // the id that it gives
	err         error
}

const other = "another scheduler"

func (e *fakeElsewhere) Knows(_ context.Context, scheduler string) (bool, error) {
	return scheduler == other, nil
}

func (e *fakeElsewhere) SchedulerOf(_ context.Context, process ao.ID) (string, error) {
	if process == (ao.ID{0xdd}) {
		return "", courier.Laterf(0, "the gateways are down")
	}
	return e.processes[process], nil
}

func (e *fakeElsewhere) Post(_ context.Context, scheduler string, item *dataitem.Item) error {
	if scheduler == other && e.err == nil {
		e.posted = append(e.posted, item.ID())
	}
	return e.err
}

func (e *fakeElsewhere) Assign(_ context.Context, _ string, a courier.Assignment) (ao.ID, error) {
	if e.err == nil {
		e.assigned = append(e.assigned, a)
	}
	return e.assignments, e.err
}

func TestAMessengerPassesOnWhatIsForOthers(t *testing.T) {
	far, away := &fakeElsewhere{processes: map[ao.ID]string{{0xbb}: other}, assignments: ao.ID{5}}, ao.ID{0xbb}
	u := newUnits(t, func(u *units) { u.elsewhere = far })
	signer := logtest.Signer(t, 9)
	message := logtest.MessageItem(t, signer, away, "x")
	process := create(t, dataitem.Draft{Tags: protocolTags(ao.TypeProcess,
		dataitem.Tag{Name: ao.TagModule, Value: away.String()}, dataitem.Tag{Name: ao.TagScheduler, Value: other})})
	for _, item := range []*dataitem.Item{message, process} {
		u.do(http.MethodPost, u.mu.URL, item.Bytes()).is(t, http.StatusAccepted, `{"message":"Processing DataItem","id":"`+item.ID().String()+`"}`)
	}
	if diff := cmp.Diff([]ao.ID{message.ID(), process.ID()}, far.posted); diff != "" {
		t.Errorf("posted (-want +got):\n%s", diff)
	}
	if _, err := u.log.Head(t.Context(), process.ID()); err == nil {
		t.Error("another scheduler's process is in this log, too")
	}
	assign := u.mu.URL + "?process-id=" + away.String() + "&assign=" + message.ID().String()
	u.do(http.MethodPost, assign+"&base-layer&exclude=Data,Tags", nil).is(t, http.StatusAccepted, `{"message":"Processing Assignment","id":"`+ao.ID{5}.String()+`"}`)
	want := []courier.Assignment{{Process: away, Message: message.ID(), BaseLayer: true, Exclude: []string{"Data", "Tags"}}}
	if diff := cmp.Diff(want, far.assigned); diff != "" {
		t.Errorf("assigned (-want +got):\n%s", diff)
	}
	far.assignments = ao.ID{}
	u.do(http.MethodPost, assign, nil).refuses(t, http.StatusConflict, ao.CodeConflict, "under which id")

	far.err = ao.Errorf(ao.CodeUnauthorized, "it wants none of it")
	u.do(http.MethodPost, u.mu.URL, message.Bytes()).refuses(t, http.StatusForbidden, ao.CodeUnauthorized, "wants none")
	far.err = courier.Laterf(0, "it is down")
	u.do(http.MethodPost, u.mu.URL, message.Bytes()).refuses(t, http.StatusServiceUnavailable, ao.CodeUnavailable, "is down")
	u.do(http.MethodPost, assign, nil).refuses(t, http.StatusServiceUnavailable, ao.CodeUnavailable, "is down")
}

func TestAMessengerPassesOnNothingElse(t *testing.T) {
	far := &fakeElsewhere{processes: map[ao.ID]string{{0xbb}: other}}
	u := newUnits(t, func(u *units) { u.elsewhere = far })
	signer := logtest.Signer(t, 9)
	own := logtest.ProcessItem(t, signer, "its scheduler is nobody's")
	for _, item := range []*dataitem.Item{own, logtest.MessageItem(t, signer, own.ID(), "x")} {
		if a := u.do(http.MethodPost, u.mu.URL, item.Bytes()); a.status != http.StatusAccepted {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if head, err := u.log.Head(t.Context(), own.ID()); err != nil || head.Nonce != 1 {
		t.Errorf("head %+v, %v", head, err)
	}
	forged := logtest.MessageItem(t, signer, ao.ID{0xbb}, "y").Bytes()
	forged[len(forged)-1] ^= 1
	u.do(http.MethodPost, u.mu.URL, forged).refuses(t, 400, ao.CodeInvalid, "cannot be accepted")
	forged = create(t, dataitem.Draft{Data: []byte("code"), Tags: protocolTags(ao.TypeProcess,
		dataitem.Tag{Name: ao.TagModule, Value: own.ID().String()}, dataitem.Tag{Name: ao.TagScheduler, Value: other})}).Bytes()
	forged[len(forged)-1] ^= 1
	u.do(http.MethodPost, u.mu.URL, forged).refuses(t, 400, ao.CodeInvalid, "cannot be accepted")
	wallet := logtest.MessageItem(t, signer, ao.ID{0xcc}, "y").Bytes()
	u.do(http.MethodPost, u.mu.URL, wallet).refuses(t, 404, ao.CodeNotFound, "not known")
	dark := logtest.MessageItem(t, signer, ao.ID{0xdd}, "y").Bytes()
	u.do(http.MethodPost, u.mu.URL, dark).refuses(t, 503, ao.CodeUnavailable, "gateways are down")
	for _, query := range []string{"process-id=" + own.ID().String(), "process-id=" + ao.ID{0xcc}.String(), "process-id=x"} {
		if a := u.do(http.MethodPost, u.mu.URL+"?assign="+own.ID().String()+"&"+query, nil); query == "process-id=x" && a.status != 400 {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
	if len(far.posted) != 0 || len(far.assigned) != 0 {
		t.Errorf("passed on %v, %v", far.posted, far.assigned)
	}
}
