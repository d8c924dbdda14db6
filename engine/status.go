package engine

import "sync/atomic"

// counters count since Open.
type counters struct {
	evaluations atomic.Uint64
	stored      atomic.Uint64
	divergences atomic.Uint64
	evictions   atomic.Uint64
	snapshots   atomic.Uint64
	dryRuns     atomic.Uint64
	lost        atomic.Uint64
	vmFailures  atomic.Uint64
	withheld    atomic.Uint64
}

// Status says what an engine is doing. Totals count since Open.
type Status struct {
	HotProcesses     int    // processes with an instance
	ResidentBytes    uint64 // memory of the instances
	Queue            int    // processes that wait for a worker
	LaggingProcesses int    // processes in memory with messages or crons to evaluate
	LaggingMessages  uint64 // their messages
	OutboxPending    int    // effects to deliver
	OutboxParked     int    // effects that may not be tried
	OutboxDead       int    // effects that were given up
	DryRuns          int    // dry runs in hand or waiting

	EvaluationsTotal uint64 // messages run, replays included
	StoredTotal      uint64 // evaluations stored
	DivergencesTotal uint64 // replays that gave another result than the stored one
	EvictionsTotal   uint64
	SnapshotsTotal   uint64
	DryRunsTotal     uint64
	LostTotal        uint64 // machines that were lost, and replaced
	VMFailuresTotal  uint64 // messages that cost their machine twice
	WithheldTotal    uint64 // deliveries of pushes that a process did not get
}

// Status gives the engine's present state.
func (e *Engine) Status() Status {
	s := e.table.status()
	outbox := e.outbox.counts()
	s.OutboxPending, s.OutboxParked, s.OutboxDead = outbox.pending, outbox.parked, outbox.dead
	s.DryRuns = e.dryRuns.count()
	s.EvaluationsTotal = e.counters.evaluations.Load()
	s.StoredTotal = e.counters.stored.Load()
	s.DivergencesTotal = e.counters.divergences.Load()
	s.EvictionsTotal = e.counters.evictions.Load()
	s.SnapshotsTotal = e.counters.snapshots.Load()
	s.DryRunsTotal = e.counters.dryRuns.Load()
	s.LostTotal = e.counters.lost.Load()
	s.VMFailuresTotal = e.counters.vmFailures.Load()
	s.WithheldTotal = e.counters.withheld.Load()
	return s
}

func (t *table) status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Status{ResidentBytes: t.bytes, Queue: len(t.queue)}
	for _, p := range t.rows {
		// bytes follows live, but may be read while the owner changes that.
		if p.bytes > 0 {
			s.HotProcesses++
		}
		if p.known && !p.evaluated.covers(p.want) {
			s.LaggingProcesses++
			s.LaggingMessages += p.want.nonce + 1 - min(p.evaluated.next.message(), p.want.nonce+1)
		}
	}
	return s
}
