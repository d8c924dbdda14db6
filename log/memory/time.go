package memory

import (
	"context"
	"slices"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log"
)

// Promise moves a process's time on; see log.Log.
func (m *Log) Promise(_ context.Context, promise log.Promise) (log.Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	process := promise.Process
	if len(m.mu.processes[process]) == 0 {
		return log.Head{}, ao.Errorf(ao.CodeNotFound, "process %s is not known to this scheduler", process)
	}
	promise.UntilMS = min(promise.UntilMS, m.now().UnixMilli())
	head := m.head(process)
	if skip, ok := promise.SkipOf(head); ok {
		m.mu.skips[process] = append(m.mu.skips[process], skip)
	}
	m.mu.promised[process] = head.Promised(promise).PromisedMS
	return m.head(process), nil
}

// Skips lists time that a process's crons leave out; see log.Log.
func (m *Log) Skips(_ context.Context, process ao.ID, nonce uint64) (list []log.Skip, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, skip := range m.mu.skips[process] {
		if skip.Nonce == nonce {
			list = append(list, skip)
		}
	}
	return list, nil
}

// Watch notes whether a process's crons are driven; see log.Log.
func (m *Log) Watch(_ context.Context, process ao.ID, on bool) (changed bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.mu.processes[process]) == 0 {
		return false, ao.Errorf(ao.CodeNotFound, "process %s is not known to this scheduler", process)
	}
	before := m.mu.watches[process]
	if on == (len(before) > 0 && before[len(before)-1].On) {
		return false, nil
	}
	head := m.head(process)
	from := max(head.TimestampMS, head.PromisedMS, m.now().UnixMilli())
	m.mu.watches[process] = append(before, log.Watch{Process: process, On: on, FromMS: from})
	m.mu.promised[process] = from
	return true, nil
}

// Watches lists all that was said about whether a process's crons are driven; see
// log.Log.
func (m *Log) Watches(_ context.Context, process ao.ID) ([]log.Watch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mu.watches[process]), nil
}

// Watched lists processes whose crons are driven; see log.Log.
func (m *Log) Watched(_ context.Context, after ao.ID, limit int) (list []ao.ID, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for process, said := range m.mu.watches {
		if said[len(said)-1].On && lessID(after, process) {
			list = append(list, process)
		}
	}
	slices.SortFunc(list, func(a, b ao.ID) int { return slices.Compare(a[:], b[:]) })
	return list[:min(limit, len(list))], nil
}
