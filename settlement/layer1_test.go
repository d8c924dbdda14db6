package settlement

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// transactions notes the ids of those that are sent.
type transactions struct {
	mu  sync.Mutex
	ids []ao.ID
}

func (x *transactions) note(t *testing.T, r *http.Request, body []byte) {
	if r.URL.Path != "/tx" {
		return
	}
	tx, err := arweave.ParseTx(body)
	if err != nil {
		t.Error(err)
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ids = append(x.ids, tx.ID)
}

func (x *transactions) different() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	ids := map[ao.ID]bool{}
	for _, id := range x.ids {
		ids[id] = true
	}
	return len(ids)
}

// large appends a process with a message that takes several chunks.
func (w *world) large() (ids []ao.ID) {
	w.Helper()
	process := logtest.ProcessItem(w, logtest.Signer(w, 9), "large")
	ids = append(ids, process.ID(), w.append(process))
	message := logtest.MessageItem(w, logtest.Signer(w, 9), process.ID(), strings.Repeat("0123456789abcdef", 60_000))
	return append(ids, message.ID(), w.append(message))
}

func (w *world) allThere(ids []ao.ID) {
	w.Helper()
	for _, id := range ids {
		if _, err := w.gateway.Lookup(w.Context(), id); err != nil {
			w.Error(err)
		}
	}
}

func TestBundlesOfTheNodesOwnGoInChunksThroughFaults(t *testing.T) {
	w := newWorld(t)
	var sent transactions
	var number atomic.Int64
	w.breaks(func(out http.ResponseWriter, r *http.Request, body []byte) bool {
		sent.note(t, r, body)
		if r.URL.Path == "/chunk" && number.Add(1)%2 == 1 {
			out.WriteHeader(http.StatusBadRequest)
			_, _ = out.Write([]byte(`{"error":"data_root_not_found"}`))
			return true
		}
		return false
	})
	ids := w.large()
	s := w.open(func(o *Options) { o.Wallet = rsaWallet(t) })
	w.confirmed(s, 2)
	w.allThere(ids)
	if status := s.Status(); !status.Bundles || status.Retries == 0 || number.Load() < 6 {
		t.Errorf("%+v after %d chunks", status, number.Load())
	}
	if n := sent.different(); n > 2 {
		t.Errorf("%d bundles for two entries", n)
	}
}

func TestABundleThatWasCutOffIsFinishedAfterARestart(t *testing.T) {
	w := newWorld(t)
	var sent transactions
	var chunks atomic.Int64
	w.breaks(func(out http.ResponseWriter, r *http.Request, body []byte) bool {
		sent.note(t, r, body)
		if r.URL.Path == "/chunk" && chunks.Add(1) > 2 {
			out.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	})
	ids := w.large()
	wallet := func(o *Options) { o.Wallet, o.Timing.Linger = rsaWallet(t), quick.Attempt }
	s := w.open(wallet)
	w.eventually("some chunks are refused", func() bool { return chunks.Load() > 4 })
	w.close(s)
	if status := s.Status(); status.Uploaded != 0 {
		t.Errorf("%+v", status)
	}
	w.breaks(func(_ http.ResponseWriter, r *http.Request, body []byte) bool {
		sent.note(t, r, body)
		return false
	})
	s = w.open(wallet)
	w.confirmed(s, 2)
	w.allThere(ids)
	if n := sent.different(); n != 1 {
		t.Errorf("%d transactions for one bundle", n)
	}
}

func TestATransactionThatIsRefusedIsMadeAnewAndALostOneSentAgain(t *testing.T) {
	w := newWorld(t)
	var sent transactions
	var number atomic.Int64
	w.breaks(func(out http.ResponseWriter, r *http.Request, body []byte) bool {
		if r.URL.Path != "/tx" {
			return false
		}
		sent.note(t, r, body)
		switch number.Add(1) {
		case 1:
			out.WriteHeader(http.StatusBadRequest)
			_, _ = out.Write([]byte("Invalid anchor (last_tx)."))
		case 2: // accepted and forgotten
		default:
			return false
		}
		return true
	})
	small := w.fill(1, 2)
	s := w.open(func(o *Options) { o.Wallet = rsaWallet(t) })
	w.confirmed(s, 3)
	for _, ids := range small {
		w.allThere(ids)
	}
	if number.Load() < 3 || s.Status().Again == 0 && s.Status().Retries == 0 {
		t.Errorf("%d transactions, %+v", number.Load(), s.Status())
	}
}

func TestABundleWithWrongBytesIsNotConfirmed(t *testing.T) {
	w := newWorld(t)
	w.breaks(func(out http.ResponseWriter, r *http.Request, _ []byte) bool {
		if strings.HasPrefix(r.URL.Path, "/raw/") {
			_, _ = out.Write([]byte("other bytes"))
			return true
		}
		return false
	})
	w.fill(1, 2)
	s := w.open(func(o *Options) { o.Wallet = rsaWallet(t) })
	w.eventually("wrong bytes are found", func() bool { return s.Status().Wrong > 0 })
	if status := s.Status(); status.Confirmed != 0 {
		t.Errorf("%+v", status)
	}
	w.breaks(nil)
	w.confirmed(s, 3)
}
