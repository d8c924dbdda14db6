package messenger

import "sync/atomic"

type counters struct {
	delivered, retries, dead, parked atomic.Uint64
}

// Status counts since Open.
type Status struct {
	DeliveredTotal uint64
	RetriesTotal   uint64 // attempts after the first of an effect
	DeadTotal      uint64 // effects that were given up
	ParkedTotal    uint64 // effects that the loop breaker put aside
}

// Status says what has been done.
func (m *Messenger) Status() Status {
	return Status{
		DeliveredTotal: m.counters.delivered.Load(), RetriesTotal: m.counters.retries.Load(),
		DeadTotal: m.counters.dead.Load(), ParkedTotal: m.counters.parked.Load(),
	}
}
