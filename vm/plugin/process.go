package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/wallaby-ao/wallaby/vm"
)

// process is a process on a worker. One goroutine uses it at a time.
type process struct {
	module     *module
	worker     *worker
	connection *connection
	config     vm.Config
	env        []byte // that the worker has
	hostErr    error  // what the node's own host answered last
	number     uint64 // of the last message
	untouched  bool   // the last message was not even sent
	closed     bool
}

var _ vm.Process = (*process)(nil)

// ask sends a request and what belongs to it, and waits for the answer. A context
// that ends cancels the message but waits for its answer, too, so that both sides
// agree on the state.
func (p *process) ask(ctx context.Context, request frame, more func() error) (frame, error) {
	deadline := time.Time{}
	if p.config.TimeoutMS > 0 {
		deadline = time.Now().Add(time.Duration(p.config.TimeoutMS+p.module.driver.options.HangGraceMS) * time.Millisecond)
	}
	// Sending may hang, too: a snapshot does not fit into the socket's buffer.
	if err := p.connection.SetDeadline(deadline); err != nil {
		return frame{}, p.worker.lost(err)
	}
	if err := p.connection.send(request); err != nil {
		return frame{}, p.lost(err)
	}
	var sendErr error
	if more != nil {
		sendErr = more()
	}
	number := p.number
	stop := context.AfterFunc(ctx, func() {
		_ = p.connection.send(frame{kind: kindCancel, header: header{Number: number}})
	})
	defer stop()
	if errors.Is(sendErr, os.ErrDeadlineExceeded) {
		return frame{}, p.lost(sendErr)
	}
	answer, err := p.await(ctx)
	return answer, errors.Join(err, sendErr)
}

// lost makes an error of a connection that broke, and ends a worker that does not
// come back.
func (p *process) lost(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p.worker.stop(fmt.Sprintf("it did not come back from a message of at most %d ms", p.config.TimeoutMS))
	}
	return p.worker.lost(err)
}

// await reads until an answer comes, and serves the guest's requests before it.
func (p *process) await(ctx context.Context) (frame, error) {
	for {
		f, err := p.connection.receive()
		if err != nil {
			return frame{}, p.lost(err)
		}
		switch f.kind {
		case kindOpen:
			if err := p.connection.send(p.open(ctx, f.Path)); err != nil {
				return frame{}, p.lost(err)
			}
		case kindDone, kindFailed:
			return f, p.explain(ctx, &f)
		default:
			return f, nil // a part of a snapshot
		}
	}
}

// explain gives the error in an answer, the node's own as it was.
func (p *process) explain(ctx context.Context, f *frame) error {
	err := f.err()
	switch {
	case err == nil:
		return nil
	case f.Code == codeHost && p.hostErr != nil:
		return p.hostErr
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return ctx.Err()
	}
	return err
}

func (p *process) open(ctx context.Context, path string) frame {
	answer := frame{kind: kindOpened}
	var err error
	if p.config.Host == nil {
		err = vm.ErrNotFound
	} else {
		answer.body, err = p.config.Host.Open(ctx, path)
	}
	switch {
	case err == nil:
	case errors.Is(err, vm.ErrNotFound):
		answer.Code = "notFound"
	default:
		p.hostErr = err
		answer.Code, answer.Error = codeHost, err.Error()
	}
	return answer
}

// Handle runs one message; see vm.Process.
func (p *process) Handle(ctx context.Context, call vm.Call) (vm.Output, error) {
	if err := ctx.Err(); err != nil {
		p.untouched = true
		return vm.Output{}, err
	}
	p.untouched = false
	p.number++
	request := frame{kind: kindHandle, header: header{Number: p.number, Gas: call.GasLimit}}
	if p.env != nil && bytes.Equal(p.env, call.Env) {
		request.SameEnv, request.body = true, call.Message
	} else {
		p.env = bytes.Clone(call.Env)
		request.EnvBytes = len(call.Env)
		request.body = append(bytes.Clone(call.Env), call.Message...)
	}
	answer, err := p.ask(ctx, request, nil)
	output := vm.Output{GasUsed: answer.Gas, MemoryBytes: answer.MemoryBytes}
	if err == nil {
		output.Response = answer.body
	}
	return output, err
}

// Rollback restores the state from before the last Handle.
func (p *process) Rollback(ctx context.Context) error {
	if p.untouched {
		return nil
	}
	_, err := p.ask(context.WithoutCancel(ctx), frame{kind: kindRollback}, nil)
	return err
}

// Snapshot writes the whole state.
func (p *process) Snapshot(w vm.SnapshotWriter) error {
	answer, err := p.ask(context.Background(), frame{kind: kindSnapshot}, nil)
	var failed error // of the writer: the rest is read all the same
	for err == nil && answer.kind != kindDone {
		if failed == nil {
			failed = write(w, &answer)
		}
		answer, err = p.await(context.Background())
	}
	return errors.Join(err, failed)
}

func write(w vm.SnapshotWriter, f *frame) error {
	switch f.kind {
	case kindSection:
		return w.Section(f.Name, f.body)
	case kindMemory:
		return w.Memory(f.MemoryBytes)
	case kindPage:
		return w.Page(f.Page, f.body)
	}
	return fmt.Errorf("frame %d is no part of a snapshot", f.kind)
}

// Fork makes an independent process in the same state, on the same worker.
func (p *process) Fork(ctx context.Context) (vm.Process, error) {
	answer, err := p.ask(context.WithoutCancel(ctx), frame{kind: kindFork}, nil)
	if err != nil {
		return nil, err
	}
	connection, err := p.worker.dial(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	fork := &process{module: p.module, worker: p.worker, connection: connection, config: p.config}
	if _, err := fork.ask(context.WithoutCancel(ctx), frame{kind: kindAttach, header: header{Fork: answer.Fork}}, nil); err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	p.worker.mu.Lock()
	p.worker.users++
	p.worker.mu.Unlock()
	return fork, nil
}

// ResidentBytes asks the worker; a lost one holds nothing.
func (p *process) ResidentBytes() uint64 {
	answer, err := p.ask(context.Background(), frame{kind: kindResident}, nil)
	if err != nil {
		return 0
	}
	return answer.MemoryBytes
}

// Close lets the worker free the process.
func (p *process) Close() error {
	if p.closed {
		return nil
	}
	p.closed = true
	p.module.driver.release(p.worker)
	return p.connection.Close()
}
