package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/node"
	"github.com/wallaby-ao/wallaby/vm"
)

// NodeOptions say what a node is measured with.
type NodeOptions struct {
	Dir    string // scratch space on the disk to measure
	Module string // an aos module's file
	// Seconds is how long each load runs.
	Seconds float64
	// Loads are the clients and processes to try.
	Loads []Load
	// Replay is how many messages the cold start replays.
	Replay int
	// Progress is told what is being measured.
	Progress func(string)
}

// evalCode is what every benchmark message evaluates.
const evalCode = "return 1 + 1"

// Node measures a whole node on aos Evals, beside the reference loader running
// the same message.
func Node(ctx context.Context, o NodeOptions) ([]Row, error) {
	_, calls, err := recordCalls(ctx, filepath.Join(o.Dir, "recorded"), o.Module, loaderMessages)
	if err != nil {
		return nil, fmt.Errorf("record what a guest is given: %w", err)
	}
	loader, err := measureLoader(ctx, o, calls)
	if err != nil {
		o.Progress(err.Error())
	}
	var rows []Row
	for _, load := range o.Loads {
		load.Seconds = o.Seconds
		o.Progress(fmt.Sprintf("evals with %d clients over %d processes", load.Clients, load.Processes))
		more, err := evals(ctx, o, load, loader)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	more, err := Replay(ctx, o)
	return append(rows, more...), err
}

// loaderRates are the reference loader's messages per second; zero when it
// could not be measured.
type loaderRates struct {
	noCopy, standard float64
}

const (
	peerNoCopy   = "ao-loader, no copy"
	peerStandard = "ao-loader, default"
)

// How many messages the loader is given.
const (
	loaderMessages         = 3000
	loaderMessagesStandard = 150
)

// measureLoader runs the messages in the loader, both ways.
func measureLoader(ctx context.Context, o NodeOptions, calls recorded) (rates loaderRates, err error) {
	o.Progress("the reference loader")
	peer, err := OpenLoaderPeer(ctx)
	if err != nil {
		return rates, err
	}
	noCopy, err := timeLoader(ctx, peer, o.Module, calls, true)
	if err != nil {
		return rates, err
	}
	standard, err := timeLoader(ctx, peer, o.Module, calls, false)
	return loaderRates{noCopy.PerSecond(), standard.PerSecond()}, err
}

// timeLoader runs the messages in the loader, and checks what the last gave. The
// default mode copies the whole memory for each message: a few messages say enough.
func timeLoader(ctx context.Context, peer *LoaderPeer, module string, calls recorded, keepMemory bool) (LoaderTiming, error) {
	job := LoaderJob{
		Wasm: module, Format: formatOf(module), KeepMemory: keepMemory, Env: calls.env, First: calls.boot, Messages: calls.messages,
	}
	if !keepMemory {
		job.Messages = calls.messages[:min(len(calls.messages), loaderMessagesStandard)]
	}
	timing, err := peer.Run(ctx, job)
	if err != nil {
		return timing, err
	}
	if err := checkAnswer(timing.Result); err != nil {
		return timing, fmt.Errorf("the reference loader: %w", err)
	}
	return timing, nil
}

// formatOf tells an aos module's format by its file's name.
func formatOf(module string) string {
	if strings.Contains(filepath.Base(module), "_32") {
		return "wasm32-unknown-emscripten4"
	}
	return "wasm64-unknown-emscripten-draft_2024_02_15"
}

// checkAnswer makes sure that what is timed is also right.
func checkAnswer(result json.RawMessage) error {
	var r struct {
		Output json.RawMessage
		Error  json.RawMessage
	}
	if err := json.Unmarshal(result, &r); err != nil {
		return err
	}
	if !strings.Contains(string(r.Output), "2") {
		return fmt.Errorf("%s gave %.300s", evalCode, result)
	}
	return nil
}

// user is a client that signs its messages.
type user struct {
	client *connect.Client
	signer dataitem.Signer
}

func newUser(n *node.Node) (*user, error) {
	signer, err := dataitem.GenerateSigner(dataitem.Ed25519, rand.Reader)
	if err != nil {
		return nil, err
	}
	info := n.Info()
	transport := &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024}
	return &user{signer: signer, client: &connect.Client{
		Gateway: info.URLs.Gateway, MU: info.URLs.MU, SU: info.URLs.SU, CU: info.URLs.CU, HTTP: &http.Client{Transport: transport},
	}}, nil
}

func (u *user) spawn(ctx context.Context, n *node.Node, name string) (ao.ID, error) {
	info := n.Info()
	id, err := u.client.Send(ctx, processDraft(info.Modules[0].ID, info.Scheduler, info.Authority, name), u.signer)
	if err != nil {
		return id, err
	}
	_, err = u.client.Result(ctx, id, id)
	return id, err
}

func processDraft(module, scheduler, authority, name string) dataitem.Draft {
	return dataitem.Draft{Data: []byte(" "), Tags: dataitem.Tags{
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagVariant, Value: ao.Variant},
		{Name: ao.TagType, Value: ao.TypeProcess}, {Name: ao.TagModule, Value: module},
		{Name: ao.TagScheduler, Value: scheduler}, {Name: ao.TagAuthority, Value: authority}, {Name: "Name", Value: name},
	}}
}

// evalDraft is an Eval; n makes its id its own.
func evalDraft(process ao.ID, n uint64) dataitem.Draft {
	return dataitem.Draft{Target: process[:], Data: []byte(evalCode), Tags: dataitem.Tags{
		{Name: "Action", Value: "Eval"}, {Name: "N", Value: fmt.Sprint(n)},
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagVariant, Value: ao.Variant}, {Name: ao.TagType, Value: ao.TypeMessage},
	}}
}

func openNode(ctx context.Context, dir, module string, wrap func(vm.Driver) vm.Driver) (*node.Node, error) {
	return node.Open(ctx, node.Options{DataDir: dir, AnyPort: true, Modules: []node.ModuleFile{{Path: module}}, WrapDriver: wrap})
}

// evals measures client post → committed → evaluated → result read.
func evals(ctx context.Context, o NodeOptions, load Load, loader loaderRates) (rows []Row, err error) {
	n, err := openNode(ctx, filepath.Join(o.Dir, fmt.Sprintf("evals-%d-%d", load.Clients, load.Processes)), o.Module, nil)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := n.Close(ctx); err == nil {
			err = closeErr
		}
	}()
	u, err := newUser(n)
	if err != nil {
		return nil, err
	}
	processes := make([]ao.ID, load.Processes)
	for i := range processes {
		if processes[i], err = u.spawn(ctx, n, fmt.Sprint(i)); err != nil {
			return nil, err
		}
	}
	rate, err := load.drive(ctx, func(ctx context.Context, _ int, i uint64) error {
		process := processes[i%uint64(len(processes))]
		id, err := u.client.Send(ctx, evalDraft(process, i), u.signer)
		if err != nil {
			return err
		}
		result, err := u.client.Result(ctx, process, id)
		if err != nil {
			return err
		}
		return checkAnswer(result.JSON())
	})
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("eval, %d clients, %d processes", load.Clients, load.Processes)
	return []Row{
		Higher(name, "post to result", "1/s", rate.PerSecond, peerNoCopy, loader.noCopy),
		Higher(name, "post to result", "1/s", rate.PerSecond, peerStandard, loader.standard),
		{Case: name, Metric: "median", Unit: "ms", Value: rate.MedianMS},
		{Case: name, Metric: "99th percentile", Unit: "ms", Value: rate.Percentile99},
	}, nil
}

// filled is a process and its last message.
type filled struct{ id, last ao.ID }

// fillProcess gives a process in a new node's directory messages, and waits for
// the last one's result.
func fillProcess(ctx context.Context, dir, module string, count int, wrap func(vm.Driver) vm.Driver) (f filled, err error) {
	n, err := openNode(ctx, dir, module, wrap)
	if err != nil {
		return f, err
	}
	defer func() {
		if closeErr := n.Close(ctx); err == nil {
			err = closeErr
		}
	}()
	u, err := newUser(n)
	if err != nil {
		return f, err
	}
	if f.id, err = u.spawn(ctx, n, "replay"); err != nil {
		return f, err
	}
	for i := range count {
		if f.last, err = u.client.Send(ctx, evalDraft(f.id, uint64(i)), u.signer); err != nil {
			return f, err
		}
	}
	result, err := u.client.Result(ctx, f.id, f.last)
	if err != nil {
		return f, err
	}
	return f, checkAnswer(result.JSON())
}
