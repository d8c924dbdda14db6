package raft

import (
	"sync"
	"time"

	hraft "github.com/hashicorp/raft"
)

// followerPipeline is the requests on their way to one follower, whose answers
// are given on in order.
type followerPipeline struct {
	group  *groupTransport
	wire   *wire
	flying chan *appendFuture
	done   chan hraft.AppendFuture
	stop   chan struct{}
	once   sync.Once
	wait   sync.WaitGroup
	// refused is closed once an answer was no success. The library then takes no
	// answer more, and must not be left waiting for room that nobody makes.
	refused chan struct{}
}

func startFollowerPipeline(g *groupTransport, w *wire) *followerPipeline {
	p := &followerPipeline{
		group: g, wire: w,
		flying: make(chan *appendFuture, flightsToFollowerMax), done: make(chan hraft.AppendFuture, flightsToFollowerMax),
		stop: make(chan struct{}), refused: make(chan struct{}),
	}
	p.wait.Go(p.land)
	return p
}

type appendFuture struct {
	started  time.Time
	request  *hraft.AppendEntriesRequest
	response *hraft.AppendEntriesResponse
	answer   <-chan frame
	call     uint64
	finished chan struct{}
	err      error
}

func (f *appendFuture) Error() error {
	<-f.finished
	return f.err
}
func (f *appendFuture) Start() time.Time                       { return f.started }
func (f *appendFuture) Request() *hraft.AppendEntriesRequest   { return f.request }
func (f *appendFuture) Response() *hraft.AppendEntriesResponse { return f.response }

// refused reports whether the library ends the pipeline for this answer. One that
// did not come is no success either.
func (f *appendFuture) refused() bool {
	return !f.response.Success || f.response.Term > f.request.Term
}

// AppendEntries sends a request; it waits while too many are on their way.
func (p *followerPipeline) AppendEntries(request *hraft.AppendEntriesRequest, response *hraft.AppendEntriesResponse) (hraft.AppendFuture, error) {
	f := &appendFuture{started: time.Now(), request: limited(request), response: response, finished: make(chan struct{})}
	var err error
	f.answer, f.call, err = p.wire.begin(frame{kind: kindAppendEntries, group: p.group.id, body: encodeAppendEntries(request)})
	if err != nil {
		return nil, err
	}
	select {
	case p.flying <- f:
		return f, nil
	case <-p.refused:
	case <-p.stop:
	}
	p.wire.forget(f.call)
	return nil, hraft.ErrPipelineShutdown
}

// land gives answers on in the order of the requests, up to the first that is no
// success.
func (p *followerPipeline) land() {
	for {
		select {
		case f := <-p.flying:
			p.finish(f)
			select {
			case p.done <- f:
			case <-p.stop:
				return
			}
			if f.refused() {
				close(p.refused)
				return
			}
		case <-p.stop:
			return
		}
	}
}

func (p *followerPipeline) finish(f *appendFuture) {
	defer close(f.finished)
	timer := time.NewTimer(answerTimeout)
	defer timer.Stop()
	select {
	case answer, ok := <-f.answer:
		body, err := p.wire.result(answer, ok)
		if err == nil {
			err = decodeAppendAnswer(body, f.response)
		}
		f.err = err
	case <-timer.C:
		p.wire.forget(f.call)
		f.err = errTimeout
	case <-p.stop:
		p.wire.forget(f.call)
		f.err = hraft.ErrPipelineShutdown
	}
}

// Consumer is where the library takes answers.
func (p *followerPipeline) Consumer() <-chan hraft.AppendFuture { return p.done }

// Close gives up what is on its way.
func (p *followerPipeline) Close() error {
	p.once.Do(func() { close(p.stop) })
	p.wait.Wait()
	return nil
}
