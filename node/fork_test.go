package node

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/vm"
)

// sums runs processes that add up numbers, the Data of their messages, and answer with
// the sum; code other than "script" doubles each.
type sums struct{ scriptedDriver }

func summing(inner vm.Driver) vm.Driver { return sums{scriptedDriver{inner}} }

func (sums) Load(_ context.Context, source vm.Source) (vm.Module, error) {
	if string(source.Bytes) == "script" {
		return summingModule{factor: 1}, nil
	}
	return summingModule{factor: 2}, nil
}

type summingModule struct{ factor uint64 }

func (m summingModule) Info() vm.Info {
	return vm.Info{Format: scriptedFormat, Fingerprint: [32]byte{byte(m.factor)}}
}

func (m summingModule) New(_ context.Context, _ vm.Config, r vm.SnapshotReader) (vm.Process, error) {
	p := &summingProcess{module: m}
	if r != nil {
		value, err := r.Section("sum")
		if err != nil {
			return nil, err
		}
		p.sum = binary.BigEndian.Uint64(value)
	}
	return p, nil
}

type summingProcess struct {
	scriptedProcess
	module      summingModule
	sum, before uint64
}

func (p *summingProcess) Handle(_ context.Context, call vm.Call) (vm.Output, error) {
	var message struct{ Data, Target string }
	if err := json.Unmarshal(call.Message, &message); err != nil {
		return vm.Output{}, err
	}
	p.before = p.sum
	if n, err := strconv.ParseUint(message.Data, 10, 64); err == nil {
		p.sum += n * p.module.factor
	}
	return vm.Output{Response: fmt.Appendf(nil, `{"Output":"%d"}`, p.sum)}, nil
}

func (p *summingProcess) Rollback(context.Context) error { p.sum = p.before; return nil }

func (p *summingProcess) Snapshot(w vm.SnapshotWriter) error {
	if err := w.Section("sum", binary.BigEndian.AppendUint64(nil, p.sum)); err != nil {
		return err
	}
	return w.Memory(vm.PageBytes)
}

func (p *summingProcess) Fork(context.Context) (vm.Process, error) {
	other := *p
	return &other, nil
}

// orderFork posts an order and gives the last line.
func (s *stage) orderFork(order ForkOrder) (line ForkLine, err error) {
	s.Helper()
	body, err := json.Marshal(order)
	if err != nil {
		s.Fatal(err)
	}
	client := clientOf(s.Node)
	err = client.Do(s.Context(), http.MethodPost, client.Gateway+PathFork, "application/json", body, &line)
	return line, err
}

// history gives the outputs of a process's results in order, by a compute unit.
func (s *stage) outputs(process ao.ID) (outputs []string) {
	s.Helper()
	page, err := clientOf(s.Node).Results(s.Context(), process, connect.ResultsQuery{Limit: 100})
	if err != nil {
		s.Fatal(err)
	}
	for _, edge := range page.Edges {
		outputs = append(outputs, string(edge.Node.Output))
	}
	return outputs
}

func TestForksAreWhatWouldHaveBeen(t *testing.T) {
	s := openStage(t, func(o *Options) { o.WrapDriver = summing })
	process := s.spawn("adds up")
	for n := 1; n <= 5; n++ {
		s.do(process, strconv.Itoa(n))
	}
	s.quiet()
	own := s.outputs(process)
	seven := logtest.MessageItem(t, s.signer, process, "7")
	const left = `{"data":"not given to the process: this fork leaves it out"}`
	ids := map[ao.ID]bool{process: true}
	for name, c := range map[string]struct {
		order   ForkOrder
		outputs []string
		differ  uint64
		first   uint64
	}{
		"nothing":  {ForkOrder{Nonce: 5}, []string{`"0"`, `"1"`, `"3"`, `"6"`, `"10"`, `"15"`}, 0, 0},
		"shorter":  {ForkOrder{Nonce: 2}, []string{`"0"`, `"1"`, `"3"`}, 0, 0},
		"dropped":  {ForkOrder{Nonce: 4, Drop: []uint64{3, 1, 3}}, []string{`"0"`, left, `"2"`, left, `"6"`}, 2, 2},
		"replaced": {ForkOrder{Nonce: 3, Replace: map[uint64][]byte{2: seven.Bytes()}}, []string{`"0"`, `"1"`, `"8"`, `"11"`}, 1, 3},
		"code":     {ForkOrder{Nonce: 2, Module: []byte("other")}, []string{`"0"`, `"2"`, `"6"`}, 2, 1},
	} {
		c.order.Process = process
		line, err := s.orderFork(c.order)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !line.Done || line.Results != c.order.Nonce+1 || line.Differ != c.differ || ids[line.Fork.ID] {
			t.Errorf("%s: %+v", name, line)
		}
		ids[line.Fork.ID] = true
		if first := line.First; first != nil && first.Nonce != c.first || (first == nil) != (c.differ == 0) {
			t.Errorf("%s: the first difference is %+v", name, first)
		}
		if diff := cmp.Diff(c.outputs, s.outputs(line.Fork.ID)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if again, err := s.orderFork(c.order); err != nil || again.Fork.ID != line.Fork.ID || again.Root != line.Root {
			t.Errorf("%s: the same order gives %+v, %v", name, again, err)
		}
	}
	if diff := cmp.Diff(own, s.outputs(process)); diff != "" {
		t.Errorf("the process itself (-before +now):\n%s", diff)
	}
	if known := len(s.forks.infos()); known != forksMax {
		t.Errorf("%d forks are kept", known)
	}
	if dirs, err := os.ReadDir(s.forksDir()); err != nil || len(dirs) != forksMax {
		t.Errorf("%d directories of forks, %v", len(dirs), err)
	}
}

func TestAForkIsAskedLikeAProcess(t *testing.T) {
	s := openStage(t, func(o *Options) { o.WrapDriver = summing })
	process := s.spawn("adds up")
	var second, third ao.ID
	for n := 1; n <= 3; n++ {
		second, third = third, s.do(process, strconv.Itoa(n))
	}
	s.quiet()
	seven := logtest.MessageItem(t, s.signer, process, "7")
	line, err := s.orderFork(ForkOrder{Process: process, Nonce: 3, Drop: []uint64{1}, Replace: map[uint64][]byte{2: seven.Bytes()}})
	if err != nil {
		t.Fatal(err)
	}
	client, id := clientOf(s.Node), line.Fork.ID
	for message, want := range map[ao.ID]string{id: `"0"`, seven.ID(): `"7"`, third: `"10"`} {
		if got, err := client.Result(t.Context(), id, message); err != nil || string(got.Output) != want {
			t.Errorf("message %s gives %s, %v, not %s", message, got.Output, err, want)
		}
	}
	if _, err := client.Result(t.Context(), id, second); ao.CodeOf(err) != ao.CodeNotFound {
		t.Errorf("the message that was replaced gives %v", err)
	}
	data, target := "100", id.String()
	ask := connect.DryRunRequest{Owner: "o", Data: &data, Target: &target}
	for want, at := range map[string]*connect.Place{`"110"`: nil, `"107"`: {Nonce: 2}, `"100"`: {Nonce: 1}} {
		if got, err := client.DryRunAt(t.Context(), id, at, ask); err != nil || string(got.Output) != want {
			t.Errorf("a dry run at %v gives %s, %v, not %s", at, got.Output, err, want)
		}
	}
	roots := map[ao.ID]bool{}
	for _, of := range []ao.ID{process, id} {
		for _, at := range []*connect.Place{{Nonce: 2}, {Nonce: 3}, nil} {
			root, err := client.Root(t.Context(), of, at)
			if err != nil || root.Process != of {
				t.Errorf("root %+v, %v", root, err)
			}
			roots[root.Root] = true
		}
	}
	if len(roots) != 4 || !roots[line.Root] {
		t.Errorf("roots %v, of which %s is the fork's", maps.Collect(maps.All(roots)), line.Root)
	}
	message := logtest.MessageItem(t, s.signer, id, "1")
	if err := client.Post(t.Context(), message); ao.CodeOf(err) != ao.CodeNotFound {
		t.Errorf("a message to the fork: %v", err)
	}
	s.restart()
	if _, err := clientOf(s.Node).Root(t.Context(), id, nil); ao.CodeOf(err) != ao.CodeNotFound {
		t.Errorf("after a restart: %v", err)
	}
}

func TestForksThatCannotBe(t *testing.T) {
	s := openStage(t, func(o *Options) { o.WrapDriver = summing })
	process := s.spawn("adds up")
	s.do(process, "1")
	s.quiet()
	foreign := logtest.MessageItem(t, s.signer, ao.ID{7}, "1")
	forged := logtest.MessageItem(t, s.signer, process, "1").Bytes()
	forged[len(forged)-1] ^= 1
	for name, c := range map[string]struct {
		order ForkOrder
		code  ao.Code
	}{
		"an unknown process":  {ForkOrder{Process: ao.ID{9}, Nonce: 1}, ao.CodeNotFound},
		"a nonce to come":     {ForkOrder{Process: process, Nonce: 2}, ao.CodeNotFound},
		"nothing to fork":     {ForkOrder{Process: process}, ao.CodeInvalid},
		"dropped beyond":      {ForkOrder{Process: process, Nonce: 1, Drop: []uint64{2}}, ao.CodeInvalid},
		"the process dropped": {ForkOrder{Process: process, Nonce: 1, Drop: []uint64{0}}, ao.CodeInvalid},
		"both":                {ForkOrder{Process: process, Nonce: 1, Drop: []uint64{1}, Replace: map[uint64][]byte{1: forged}}, ao.CodeInvalid},
		"a forged message":    {ForkOrder{Process: process, Nonce: 1, Replace: map[uint64][]byte{1: forged}}, ao.CodeInvalid},
		"another's message":   {ForkOrder{Process: process, Nonce: 1, Replace: map[uint64][]byte{1: foreign.Bytes()}}, ao.CodeInvalid},
	} {
		if _, err := s.orderFork(c.order); ao.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	client := clientOf(s.Node)
	for kind, body := range map[string]string{"text/plain": "{}", "application/json": "x"} {
		if err := client.Do(t.Context(), http.MethodPost, client.Gateway+PathFork, kind, []byte(body), nil); ao.CodeOf(err) != ao.CodeInvalid {
			t.Errorf("%s %q gives %v", kind, body, err)
		}
	}
	if known := s.forks.infos(); len(known) != 0 {
		t.Errorf("there are %+v", known)
	}
}
