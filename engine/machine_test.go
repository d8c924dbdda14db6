package engine

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/wallaby-ao/wallaby/vm"
)

const testFormat = "test-format"

// testDriver runs processes that are a list of words. A message's Data is a
// command:
//
//	add W      append a word, answer with all words
//	error W    append a word, answer with an Error and a message
//	trap W     append a word, trap
//	memory W   append a word, answer that memory ran out
//	effects    answer with messages, spawns and an assignment to two processes
//	wait       block until the driver's gate opens
//	panic      a fault in the driver
//	crash N    lose the machine, the first N times that it is run
//	broken W   lose the machine until the driver is mended, then as add
//	time       answer with message and env
type testDriver struct {
	runs  atomic.Int64  // messages run
	live  atomic.Int64  // processes open
	peak  atomic.Int64  // messages run at the same time, at most
	now   atomic.Int64  // messages being run
	gate  chan struct{} // "wait" goes on when it is closed
	stuck chan struct{} // receives when "wait" has begun

	mu     sync.Mutex
	orders map[string][]string // process → commands in the order in which they ran

	crashes atomic.Int64 // how often "crash" was run
	mended  atomic.Bool  // "broken" loses no machine any more
}

func newTestDriver() *testDriver {
	return &testDriver{gate: make(chan struct{}), stuck: make(chan struct{}, 100), orders: map[string][]string{}}
}

func (d *testDriver) Name() string      { return "test" }
func (d *testDriver) Formats() []string { return []string{testFormat} }
func (d *testDriver) Close() error      { return nil }

func (d *testDriver) Load(_ context.Context, source vm.Source) (vm.Module, error) {
	if string(source.Bytes) == "bad" {
		return nil, &vm.UnsupportedError{Feature: "it is bad"}
	}
	return testModule{d}, nil
}

type testModule struct{ driver *testDriver }

func (m testModule) Info() vm.Info { return vm.Info{Format: testFormat} }

func (m testModule) New(_ context.Context, config vm.Config, snapshot vm.SnapshotReader) (vm.Process, error) {
	p := &testMachine{driver: m.driver, config: config}
	if snapshot != nil {
		if err := p.restore(snapshot); err != nil {
			return nil, err
		}
	}
	m.driver.live.Add(1)
	return p, nil
}

// testMachine keeps its words, joined by newlines, as its memory.
type testMachine struct {
	driver *testDriver
	config vm.Config
	words  []string
	before []string
	fork   bool
	lost   bool
}

func (p *testMachine) Handle(ctx context.Context, call vm.Call) (vm.Output, error) {
	p.before = append([]string(nil), p.words...)
	var message struct {
		Data string
		Cron bool
		Tags []struct{ Name, Value string }
	}
	if err := json.Unmarshal(call.Message, &message); err != nil {
		return vm.Output{}, err
	}
	d := p.driver
	d.runs.Add(1)
	defer d.now.Add(-1)
	for now := d.now.Add(1); ; {
		if peak := d.peak.Load(); now <= peak || d.peak.CompareAndSwap(peak, now) {
			break
		}
	}
	if message.Cron {
		return p.tick(call.Message, message.Tags[0].Value)
	}
	if !p.fork {
		d.mu.Lock()
		d.orders[p.config.Process.String()] = append(d.orders[p.config.Process.String()], message.Data)
		d.mu.Unlock()
	}
	command, word, _ := strings.Cut(message.Data, " ")
	p.words = append(p.words, word)
	switch command {
	case "error":
		return p.answer(`{"Error":"refused","Output":"half","Messages":[{"Target":"x","Anchor":"a","Tags":[]}]}`)
	case "trap":
		return vm.Output{}, &vm.TrapError{Reason: "unreachable"}
	case "memory":
		return p.answer(`{"Output":"alas: not enough memory for buffer allocation"}`)
	case "effects":
		return p.answer(`{"Output":7,"Messages":[{"Target":"a"},{"Target":"b"}],"Spawns":[{"Tags":[]}],"Assignments":[{"Processes":["p","q"],"Message":"m","Exclude":["Data"]}]}`)
	case "wait":
		d.stuck <- struct{}{}
		select {
		case <-d.gate:
		case <-ctx.Done():
			p.words = p.before // as if it had never come
			return vm.Output{}, ctx.Err()
		}
	case "crash":
		times, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return vm.Output{}, err
		}
		if d.crashes.Add(1) <= times {
			p.lost = true
		}
	case "broken":
		p.lost = p.lost || !p.driver.mended.Load()
	case "panic":
		panic("a fault in the driver")
	case "time":
		text, err := json.Marshal(map[string]string{"Output": string(call.Message) + "\n" + string(call.Env)})
		if err != nil {
			return vm.Output{}, err
		}
		return vm.Output{Response: text}, nil
	}
	if p.lost {
		return vm.Output{}, &vm.LostError{Reason: "as told"}
	}
	text, err := json.Marshal(map[string]any{"Output": strings.Join(p.words, ",")})
	if err != nil {
		return vm.Output{}, err
	}
	return vm.Output{Response: text, GasUsed: 5}, nil
}

// tick makes a cron's message part of the memory, however many come.
func (p *testMachine) tick(message []byte, command string) (vm.Output, error) {
	hash := fnv.New64a()
	hash.Write(message)
	if last := len(p.words) - 1; last >= 0 && strings.HasPrefix(p.words[last], "tick ") {
		hash.Write([]byte(p.words[last]))
		p.words = p.words[:last:last]
	}
	p.words = append(p.words, fmt.Sprintf("tick %x", hash.Sum64()))
	switch text := p.words[len(p.words)-1]; command {
	case "send":
		return p.answer(`{"Output":"` + text + `","Messages":[{"Target":"a"}]}`)
	case "error":
		return p.answer(`{"Error":"refused"}`)
	case "show":
		shown, err := json.Marshal(string(message))
		return vm.Output{Response: []byte(`{"Output":` + string(shown) + `}`)}, err
	default:
		return p.answer(`{"Output":"` + text + `"}`)
	}
}

func (p *testMachine) answer(text string) (vm.Output, error) {
	return vm.Output{Response: []byte(text), GasUsed: 5}, nil
}

func (p *testMachine) Rollback(context.Context) error {
	p.words = p.before
	return nil
}

func (p *testMachine) Snapshot(w vm.SnapshotWriter) error {
	if err := w.Section("count", binary.BigEndian.AppendUint32(nil, uint32(len(p.words)))); err != nil {
		return err
	}
	memory := []byte(strings.Join(p.words, "\n"))
	if err := w.Memory(uint64(3 * vm.PageBytes)); err != nil {
		return err
	}
	// The second page is all zero and left out; the third never changes.
	// Not even one empty word makes the first page one.
	page := make([]byte, vm.PageBytes)
	binary.BigEndian.PutUint32(page, uint32(len(memory))+1)
	copy(page[4:], memory)
	if err := w.Page(0, page); err != nil {
		return err
	}
	clear(page)
	page[0] = 1
	return w.Page(2, page)
}

func (p *testMachine) restore(r vm.SnapshotReader) error {
	count, err := r.Section("count")
	if err != nil {
		return err
	}
	if size, err := r.Memory(); err != nil || size != 3*vm.PageBytes {
		return fmt.Errorf("memory has %d bytes: %w", size, err)
	}
	// A page that is all zero is left out: one empty word.
	p.words = make([]string, binary.BigEndian.Uint32(count))
	return r.Pages(func(index uint32, data []byte) error {
		if index == 0 {
			p.words = strings.Split(string(data[4:3+binary.BigEndian.Uint32(data)]), "\n")
			if len(p.words) != int(binary.BigEndian.Uint32(count)) {
				return fmt.Errorf("restored %d words", len(p.words))
			}
		}
		return nil
	})
}

func (p *testMachine) Fork(context.Context) (vm.Process, error) {
	if p.lost {
		return nil, &vm.LostError{Reason: "as told"}
	}
	p.driver.live.Add(1)
	return &testMachine{driver: p.driver, config: p.config, words: append([]string(nil), p.words...), fork: true}, nil
}

func (p *testMachine) ResidentBytes() uint64 { return 1 << 20 }

func (p *testMachine) Close() error {
	p.driver.live.Add(-1)
	return nil
}
