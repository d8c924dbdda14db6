package messenger

import (
	"container/heap"

	"github.com/wallaby-ao/wallaby/ao"
)

// watched are the processes of a monitor by when they are due.
type watched struct {
	known map[ao.ID]*watchedProcess
	queue dueQueue
}

type watchedProcess struct {
	driven
	index int // in the queue; -1: it is being driven
}

// set says who is watched.
func (w *watched) set(listed map[ao.ID]bool, now int64) {
	for process := range listed {
		if w.known[process] == nil {
			p := &watchedProcess{driven: driven{process, now}}
			w.known[process] = p
			heap.Push(&w.queue, p)
		}
	}
	for process, p := range w.known {
		if !listed[process] && p.index >= 0 {
			heap.Remove(&w.queue, p.index)
			delete(w.known, process)
		}
	}
}

func (w *watched) first() (process ao.ID, dueMS int64, any bool) {
	if len(w.queue) == 0 {
		return process, 0, false
	}
	return w.queue[0].process, w.queue[0].dueMS, true
}

// take has the first process be driven.
func (w *watched) take() {
	heap.Pop(&w.queue).(*watchedProcess).index = -1
}

// put takes a process back that was driven.
func (w *watched) put(result driven) {
	p := w.known[result.process]
	p.dueMS = result.dueMS
	heap.Push(&w.queue, p)
}

// dueQueue is a heap by when processes are due.
type dueQueue []*watchedProcess

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].dueMS < q[j].dueMS }
func (q dueQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push adds a process; see container/heap.
func (q *dueQueue) Push(x any) {
	p := x.(*watchedProcess)
	p.index = len(*q)
	*q = append(*q, p)
}

// Pop takes the last; see container/heap.
func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	p := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return p
}
