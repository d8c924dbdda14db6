package node

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/vm"
)

const scriptedFormat = "scripted"

// scriptedDriver runs processes that answer with the Data of their message, which is
// the JSON of a result. A message with the Action Ball they throw back. A tick they
// tell to the process in its tag To.
type scriptedDriver struct{ vm.Driver }

func scripted(inner vm.Driver) vm.Driver { return scriptedDriver{inner} }

func (scriptedDriver) Formats() []string { return []string{scriptedFormat} }

func (scriptedDriver) Load(context.Context, vm.Source) (vm.Module, error) {
	return scriptedModule{}, nil
}

type scriptedModule struct{}

func (scriptedModule) Info() vm.Info { return vm.Info{Format: scriptedFormat} }

func (scriptedModule) New(context.Context, vm.Config, vm.SnapshotReader) (vm.Process, error) {
	return scriptedProcess{}, nil
}

type scriptedProcess struct{}

func (scriptedProcess) Handle(_ context.Context, call vm.Call) (vm.Output, error) {
	var message struct {
		ID         string `json:"Id"`
		From, Data string
		Tags       dataitem.Tags
		Cron       bool
		Timestamp  int64
	}
	if err := json.Unmarshal(call.Message, &message); err != nil {
		return vm.Output{}, err
	}
	response := "{}"
	switch {
	case message.Cron:
		at := fmt.Sprint(message.Timestamp)
		response = sends(throw(message.Tags.Get("To"), at, at, "Tock"))
	case message.Tags.Get("Action") == "Ball":
		response = sends(throw(message.From, message.ID[:32], "ball", "Ball"))
	case strings.HasPrefix(message.Data, "{"):
		response = message.Data
	}
	return vm.Output{Response: []byte(response), GasUsed: 5}, nil
}

func (scriptedProcess) Rollback(context.Context) error             { return nil }
func (scriptedProcess) Snapshot(w vm.SnapshotWriter) error         { return w.Memory(vm.PageBytes) }
func (p scriptedProcess) Fork(context.Context) (vm.Process, error) { return p, nil }
func (scriptedProcess) ResidentBytes() uint64                      { return 1 << 16 }
func (scriptedProcess) Close() error                               { return nil }

// throw is the body of a message with an anchor of 32 characters.
func throw(target, anchor, data, action string) map[string]any {
	return map[string]any{
		"Target": target, "Anchor": fmt.Sprintf("%032s", anchor), "Data": data,
		"Tags": []map[string]string{{"name": "Action", "value": action}},
	}
}

// sends is the JSON of a result with messages.
func sends(messages ...map[string]any) string {
	text, err := json.Marshal(map[string]any{"Messages": messages})
	if err != nil {
		panic(err) // maps of texts
	}
	return string(text)
}

// stage is a node with scripted processes.
type stage struct {
	*testing.T
	*Node
	options Options
	module  ao.ID
	signer  dataitem.Signer
}

func openStage(t *testing.T, change func(*Options)) *stage {
	t.Helper()
	s := &stage{T: t, options: Options{DataDir: t.TempDir(), AnyPort: true, WrapDriver: scripted}, signer: logtest.Signer(t, 9)}
	if change != nil {
		change(&s.options)
	}
	s.open()
	t.Cleanup(func() { closeNode(t, s.Node) })
	s.module = publishScripted(t, s.Node)
	return s
}

func (s *stage) open() {
	s.Helper()
	n, err := Open(s.Context(), s.options)
	if err != nil {
		s.Fatal(err)
	}
	s.Node = n
}

func (s *stage) restart() {
	s.Helper()
	closeNode(s.T, s.Node)
	s.open()
}

// publishScripted uploads a module for the scripted driver.
func publishScripted(t *testing.T, n *Node) ao.ID {
	t.Helper()
	item, err := ModuleItem([]byte("script"), dataitem.Tags{{Name: ao.TagModuleFormat, Value: scriptedFormat}}, logtest.Signer(t, 8))
	if err == nil {
		err = clientOf(n).Upload(t.Context(), item)
	}
	if err != nil {
		t.Fatal(err)
	}
	return item.ID()
}

func (s *stage) post(item *dataitem.Item) ao.ID {
	s.Helper()
	if err := clientOf(s.Node).Post(s.Context(), item); err != nil {
		s.Fatal(err)
	}
	return item.ID()
}

func (s *stage) spawn(name string, tags ...dataitem.Tag) ao.ID {
	s.Helper()
	return s.post(logtest.ProcessItem(s.T, s.signer, name, append(tags, dataitem.Tag{Name: ao.TagModule, Value: s.module.String()})...))
}

// do has a process answer with a result.
func (s *stage) do(process ao.ID, result string) ao.ID {
	s.Helper()
	return s.post(logtest.MessageItem(s.T, s.signer, process, result, dataitem.Tag{Name: "Action", Value: "Do"}))
}

// quiet waits until all is evaluated and nothing is pending.
func (s *stage) quiet() {
	s.Helper()
	s.eventually("all is quiet", func() bool {
		before, evaluated := s.nonces()
		status := s.engine.Status()
		// What was pending may have become a message that is not evaluated.
		after, _ := s.nonces()
		return evaluated && status.OutboxPending == 0 && status.LaggingMessages == 0 && maps.Equal(before, after)
	})
}

// nonces gives the newest nonce of each process, and whether all are evaluated.
func (s *stage) nonces() (newest map[ao.ID]uint64, evaluated bool) {
	s.Helper()
	list, err := s.Processes(s.Context(), ao.ID{}, 100)
	if err != nil {
		s.Fatal(err)
	}
	newest, evaluated = map[ao.ID]uint64{}, true
	for _, p := range list {
		newest[p.ID] = p.Nonce
		evaluated = evaluated && p.Evaluated != nil && *p.Evaluated == p.Nonce
	}
	return newest, evaluated
}

func (s *stage) eventually(what string, is func() bool) {
	s.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("it never came to this: %s", what)
		}
	}
}
