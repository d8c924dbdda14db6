package engine

import (
	"math/bits"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
)

// effort is what running messages took.
type effort struct {
	spent    time.Duration
	messages uint64
	gas      uint64
}

func (e *effort) add(spent time.Duration, gas *uint64) {
	e.spent += spent
	e.messages++
	if gas != nil {
		e.gas += *gas
	}
}

// snapshotDue says whether a snapshot is due after so much.
func (o Options) snapshotDue(since effort) bool {
	return since.spent >= time.Duration(o.SnapshotAfterMS)*time.Millisecond ||
		since.messages >= o.SnapshotAfterMessages || since.gas >= o.SnapshotAfterGas
}

// snapshotsKept is how many snapshots of a process stay in any case: the newest, and
// one to fall back on.
const snapshotsKept = 2

// retained says which of a process's snapshots stay and which go; all lists them
// newest first. Of the older ones one stays for each power of two, by how far it lies
// back, as long as what they have beside the newer ones is within bytesMax. So the way
// from a snapshot to any place is at most about twice as long as from that place to
// the newest, for as many snapshots as the history's length has digits.
func retained(all []snapshot, bytesMax uint64) (kept, gone []snapshot) {
	have := map[ao.ID]bool{}
	var bytes uint64
	for i, one := range all {
		if i >= snapshotsKept {
			// The oldest of its power stays: it will be the only one of the next.
			if i+1 < len(all) && span(all[0].at, one.at) == span(all[0].at, all[i+1].at) {
				gone = append(gone, one)
				continue
			}
			if bytes += newPages(one, have) * vm.PageBytes; bytes > bytesMax {
				gone = append(gone, all[i:]...)
				break
			}
		}
		for _, page := range one.Pages {
			have[page.Hash] = true
		}
		kept = append(kept, one)
	}
	return kept, gone
}

// newPages counts a snapshot's pages that are not there yet.
func newPages(one snapshot, have map[ao.ID]bool) (count uint64) {
	for _, page := range one.Pages {
		if !have[page.Hash] {
			count++
		}
	}
	return count
}

// span is the power of two that tells how far a place lies behind the newest: in
// messages, or in ticks behind the same message.
func span(newest, at place) int {
	if at.nonce == newest.nonce {
		return bits.Len64(newest.tick - at.tick)
	}
	return bits.Len64(newest.nonce - at.nonce)
}
