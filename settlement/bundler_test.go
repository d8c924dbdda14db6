package settlement

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

func isUpload(r *http.Request) bool { return r.URL.Path == "/tx/arweave" }

func TestEverythingIsUploadedInOrderThroughFaults(t *testing.T) {
	w := newWorld(t)
	var number atomic.Int64
	w.breaks(func(out http.ResponseWriter, r *http.Request, _ []byte) bool {
		if !isUpload(r) {
			return false
		}
		switch number.Add(1) % 7 {
		case 1:
			out.WriteHeader(http.StatusServiceUnavailable)
		case 3:
			out.WriteHeader(http.StatusTooManyRequests)
		case 5:
			panic(http.ErrAbortHandler) // the connection breaks
		default:
			return false
		}
		return true
	})
	ids := w.fill(3, 20)
	s := w.open(nil)
	w.confirmed(s, 63)
	w.settledInOrder(ids)
	status := s.Status()
	if status.Uploaded != 63 || status.Committed != 63 || status.Retries == 0 || status.Refused != 0 || status.Again != 0 {
		t.Errorf("%+v", status)
	}
}

func TestAHangingBundlerIsGivenUpAndAskedAgain(t *testing.T) {
	w := newWorld(t)
	var hung atomic.Bool
	w.breaks(func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		if !isUpload(r) || !hung.CompareAndSwap(false, true) {
			return false
		}
		<-r.Context().Done()
		return true
	})
	ids := w.fill(1, 3)
	s := w.open(func(o *Options) { o.Timing.Attempt = quick.Attempt / 5 })
	w.confirmed(s, 4)
	w.settledInOrder(ids)
	if !hung.Load() || s.Status().Retries == 0 {
		t.Error("nothing hung")
	}
}

func TestWhatTheBundlerHasAlreadyIsASuccess(t *testing.T) {
	w := newWorld(t)
	w.fill(1, 3)
	first := w.open(nil)
	w.confirmed(first, 4)
	w.close(first)
	w.store.values = map[string][]byte{} // it has forgotten everything
	again := w.open(nil)
	w.confirmed(again, 4)
	if status := again.Status(); status.Retries != 0 || status.Error != "" {
		t.Errorf("%+v", status)
	}
	if n := len(w.uploads()); n != 16 {
		t.Errorf("%d uploads, not 8 twice", n)
	}
}

func TestALostUploadIsUploadedAgain(t *testing.T) {
	w := newWorld(t)
	var swallowed atomic.Int64
	w.breaks(func(out http.ResponseWriter, r *http.Request, body []byte) bool {
		if !isUpload(r) || swallowed.Load() == 3 {
			return false
		}
		swallowed.Add(1)
		it, err := dataitem.Parse(body)
		if err != nil {
			t.Error(err)
		}
		_, _ = out.Write([]byte(`{"id":"` + it.ID().String() + `"}`)) // and that is all it does
		return true
	})
	ids := w.fill(1, 5)
	s := w.open(nil)
	w.confirmed(s, 6)
	for _, id := range ids {
		for _, one := range id {
			if _, err := w.gateway.Lookup(t.Context(), one); err != nil {
				t.Error(err)
			}
		}
	}
	if s.Status().Again == 0 {
		t.Error("nothing was uploaded again")
	}
}

func TestWrongBytesAreNotConfirmed(t *testing.T) {
	w := newWorld(t)
	process := logtest.ProcessItem(t, logtest.Signer(t, 9), "p")
	w.append(process)
	bad := logtest.MessageItem(t, logtest.Signer(t, 9), process.ID(), "the right bytes")
	w.append(bad)
	w.breaks(func(out http.ResponseWriter, r *http.Request, _ []byte) bool {
		if r.URL.Path != "/raw/"+bad.ID().String() {
			return false
		}
		_, _ = out.Write([]byte("the wrong bytes"))
		return true
	})
	s := w.open(nil)
	w.eventually("wrong bytes are found", func() bool { return s.Status().Wrong > 1 })
	if status := s.Status(); status.Confirmed != 0 || status.Uploaded != 2 {
		t.Errorf("%+v", status)
	}
	w.breaks(nil)
	w.confirmed(s, 2)
}

func TestNothingIsConfirmedBeforeItLiesDeepEnough(t *testing.T) {
	w := newWorld(t)
	w.fill(1, 2)
	s := w.open(func(o *Options) { o.Depth = 3 })
	var looked atomic.Int64
	w.breaks(func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		if r.URL.Path == "/graphql" {
			looked.Add(1)
		}
		return false
	})
	w.eventually("it was looked for", func() bool { return s.Status().Uploaded == 3 && looked.Load() > 2 })
	if status := s.Status(); status.Confirmed != 0 {
		t.Errorf("%+v", status)
	}
	if _, err := http.Get(w.client.BaseURL + "/mine/2"); err != nil {
		t.Fatal(err)
	}
	w.confirmed(s, 3)
}

func TestARefusedItemIsLeftOutAndNamed(t *testing.T) {
	w := newWorld(t)
	process := logtest.ProcessItem(t, logtest.Signer(t, 9), "p")
	w.append(process)
	bad := logtest.MessageItem(t, logtest.Signer(t, 9), process.ID(), "bad")
	assignment := w.append(bad)
	last := w.append(logtest.MessageItem(t, logtest.Signer(t, 9), process.ID(), "good"))
	w.breaks(func(out http.ResponseWriter, r *http.Request, body []byte) bool {
		it, err := dataitem.Parse(body)
		if !isUpload(r) || err != nil || it.ID() != bad.ID() {
			return false
		}
		out.WriteHeader(http.StatusBadRequest)
		_, _ = out.Write([]byte("Invalid Data Item!"))
		return true
	})
	s := w.open(nil)
	w.confirmed(s, 3)
	if status := s.Status(); status.Refused != 1 {
		t.Errorf("%+v", status)
	}
	for id, there := range map[ao.ID]bool{bad.ID(): false, assignment: true, last: true} {
		if _, err := w.gateway.Lookup(context.Background(), id); (err == nil) != there {
			t.Errorf("%s: %v", id, err)
		}
	}
	var refused Refusal
	if err := load(&w.store, refusedKey(bad.ID()), &refused); err != nil || refused.Error == "" {
		t.Errorf("%+v, %v", refused, err)
	}
}

func TestABundlerThatRefusesEverythingSettlesNothing(t *testing.T) {
	w := newWorld(t)
	w.breaks(func(out http.ResponseWriter, r *http.Request, _ []byte) bool {
		if isUpload(r) {
			out.WriteHeader(http.StatusBadRequest)
		}
		return isUpload(r)
	})
	w.fill(1, 2)
	s := w.open(nil)
	w.eventually("it has tried often", func() bool { return s.Status().Retries > 12 })
	if status := s.Status(); status.Uploaded != 0 || status.Refused != 0 || status.Error == "" || status.WaitingMS == 0 || status.Committed != 3 {
		t.Errorf("%+v", status)
	}
	w.breaks(nil)
	w.confirmed(s, 3)
}

func TestARestartGoesOnWhereItWas(t *testing.T) {
	w := newWorld(t)
	ids := w.fill(2, 10)
	s := w.open(nil)
	w.confirmed(s, 22)
	w.close(s)
	before := len(w.uploads())
	for process, list := range w.fill(1, 5) {
		ids[process] = list
	}
	s = w.open(nil)
	w.confirmed(s, 28)
	if n := len(w.uploads()) - before; n != 12 {
		t.Errorf("%d uploads after the restart, not 12", n)
	}
	w.settledInOrder(ids)
	if status := s.Status(); status.Committed != 28 {
		t.Errorf("%+v", status)
	}
}

func TestANodeThatDoesNotLeadLearnsFromTheOneThatDoes(t *testing.T) {
	w := newWorld(t)
	leader := w.open(nil)
	var leads atomic.Bool
	other := memoryStore{values: map[string][]byte{}}
	follower := w.open(func(o *Options) {
		o.Store = &other
		o.Leads = func(uint32) bool { return leads.Load() }
		o.Ask = func(_ context.Context, group uint32) (State, error) {
			state, _ := leader.State(group)
			return state, nil
		}
	})
	ids := w.fill(1, 10)
	w.confirmed(leader, 11)
	w.confirmed(follower, 11)
	uploads := len(w.uploads())
	w.close(leader)
	leads.Store(true)
	for process, list := range w.fill(1, 4) {
		ids[process] = list
	}
	w.confirmed(follower, 16)
	if n := len(w.uploads()) - uploads; n != 10 {
		t.Errorf("the new leader uploaded %d items, not the 10 that are new", n)
	}
	w.settledInOrder(ids)
}

func TestAnItemBesideTheLogIsSettledOnce(t *testing.T) {
	w := newWorld(t)
	module, err := dataitem.Create(dataitem.Draft{Data: make([]byte, 100_000)}, logtest.Signer(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	var tries atomic.Int64
	w.breaks(func(out http.ResponseWriter, r *http.Request, _ []byte) bool {
		if !isUpload(r) || tries.Add(1) > 2 {
			return false
		}
		out.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	with := func(o *Options) {
		o.Items = func(context.Context, ao.ID) (*dataitem.Item, error) { return module, nil }
	}
	s := w.open(with)
	if err := s.Enqueue(module.ID()); err != nil {
		t.Fatal(err)
	}
	w.close(s)
	s = w.open(with)
	w.eventually("the module is confirmed", func() bool {
		extra, ok, err := s.Extra(module.ID())
		return err == nil && ok && extra.State == ExtraConfirmed
	})
	if err := s.Enqueue(module.ID()); err != nil {
		t.Fatal(err)
	}
	w.fill(1, 1)
	w.confirmed(s, 2)
	if n := len(w.uploads()); n != 5 {
		t.Errorf("%d uploads, not the module once and two entries", n)
	}
}

func TestABundlerThatWantsMoneyIsAskedUntilSomebodyHasPaid(t *testing.T) {
	w := newWorld(t)
	var asked atomic.Int64
	w.breaks(func(out http.ResponseWriter, r *http.Request, body []byte) bool {
		if !isUpload(r) {
			return false
		}
		it, err := dataitem.Parse(body)
		switch {
		case asked.Add(1) <= 10:
			out.WriteHeader(http.StatusPaymentRequired)
		case err != nil:
			t.Error(err)
		default:
			if _, err := w.gateway.PutItem(r.Context(), it); err != nil {
				t.Error(err)
			}
			out.WriteHeader(http.StatusAlreadyReported)
		}
		return true
	})
	w.fill(1, 2)
	s := w.open(nil)
	w.confirmed(s, 3)
	if status := s.Status(); status.Refused != 0 || status.Retries != 10 {
		t.Errorf("%+v", status)
	}
}

// TestWhatIsLostIsFoundBehindWhatStillWaits: nothing is deep enough to be confirmed,
// and the end of what was uploaded is lost.
func TestWhatIsLostIsFoundBehindWhatStillWaits(t *testing.T) {
	w := newWorld(t)
	ids := w.fill(1, 80)
	var number atomic.Int64
	w.breaks(func(out http.ResponseWriter, r *http.Request, body []byte) bool {
		if n := number.Load(); !isUpload(r) || n >= 162 {
			return false
		}
		if number.Add(1) < 130 {
			return false
		}
		it, err := dataitem.Parse(body)
		if err != nil {
			t.Error(err)
		}
		_, _ = out.Write([]byte(`{"id":"` + it.ID().String() + `"}`))
		return true
	})
	s := w.open(func(o *Options) { o.Depth = 3 })
	w.eventually("all is at the gateway", func() bool {
		for _, list := range ids {
			for _, id := range list {
				if _, err := w.gateway.Lookup(context.Background(), id); err != nil {
					return false
				}
			}
		}
		return true
	})
	if status := s.Status(); status.Confirmed != 0 || status.Again == 0 {
		t.Errorf("%+v", status)
	}
	if _, err := http.Get(w.client.BaseURL + "/mine/2"); err != nil {
		t.Fatal(err)
	}
	w.confirmed(s, 81)
}
