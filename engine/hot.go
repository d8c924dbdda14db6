package engine

import (
	"time"
)

// measureEvery is how many messages may pass before memory is measured again:
// measuring asks the operating system about every page.
const measureEvery = 32

// resident gives the memory that a process's instance holds.
func (e *Engine) resident(p *process) uint64 {
	l := p.live
	if l == nil {
		return 0
	}
	if l.bytes == 0 || l.count >= l.measured+measureEvery {
		l.bytes, l.measured = max(1, l.machine.ResidentBytes()), l.count
		if l.candidate != nil {
			l.bytes += l.candidate.machine.ResidentBytes()
		}
	}
	return l.bytes
}

// evict puts idle processes away until the rest is within the memory budget and
// the number of instances, each of which costs something beside its memory.
func (e *Engine) evict() {
	for {
		p := e.table.coldest(e.options.HotBytesMax, e.options.HotMax)
		if p == nil {
			return
		}
		e.putAway(p)
		e.counters.evictions.Add(1)
		e.table.giveBack(p, 0, false)
	}
}

// putAway closes an instance, and first keeps its state if getting there again
// would cost more than a snapshot does.
func (e *Engine) putAway(p *process) {
	if p.live == nil {
		return
	}
	if !p.live.broken && p.live.since.spent >= time.Duration(e.options.SnapshotWorthMS)*time.Millisecond {
		e.snapshot(p)
	}
	e.discard(p)
}

// discard closes an instance without keeping its state.
func (e *Engine) discard(p *process) {
	e.closeCandidate(p.id, p.live)
	if err := p.live.machine.Close(); err != nil {
		e.options.Logger.Warn().Str("pkg", "engine").Stringer("process", p.id).Err(err).Msg("close instance")
	}
	p.live = nil
}

// snapshot keeps the state of a process. A failure costs a longer replay
// later, nothing else, so evaluation goes on.
func (e *Engine) snapshot(p *process) {
	if p.live.next == (place{}) {
		return
	}
	root, err := e.snapshots.save(p.id, p.live.last.place, p.live.machine)
	p.live.since = effort{}
	if err != nil {
		e.options.Logger.Error().Str("pkg", "engine").Stringer("process", p.id).Err(err).Msg("keep a snapshot")
		return
	}
	e.counters.snapshots.Add(1)
	e.options.Logger.Debug().Str("pkg", "engine").Stringer("process", p.id).Stringer("place", p.live.last.place).
		Stringer("root", root).Msg("kept a snapshot")
}
