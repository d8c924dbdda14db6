package messenger_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/vm"
)

const guestFormat = "guest"

// guests is a driver whose processes answer a message with effects that follow
// from it and from what came before. A message's Data is its fuel: each effect
// takes one, and the rest goes on with what is sent, so that a cascade ends.
type guests struct {
	peers   []string // to send and assign to
	wallets []string
}

func (g *guests) Name() string      { return "guests" }
func (g *guests) Formats() []string { return []string{guestFormat} }
func (g *guests) Close() error      { return nil }

func (g *guests) Load(context.Context, vm.Source) (vm.Module, error) { return guestModule{g}, nil }

// Module is the one module there is.
func (g *guests) Module(_ context.Context, id ao.ID) (engine.Module, error) {
	return engine.Module{ID: id, Owner: "owner", Tags: dataitem.Tags{
		{Name: ao.TagModuleFormat, Value: guestFormat},
		{Name: ao.TagInputEncoding, Value: "JSON-1"},
		{Name: ao.TagOutputEncoding, Value: "JSON-1"},
		{Name: ao.TagMemoryLimit, Value: "1-gb"},
		{Name: ao.TagComputeLimit, Value: "9000000000000"},
	}}, nil
}

type guestModule struct{ driver *guests }

func (m guestModule) Info() vm.Info { return vm.Info{Format: guestFormat} }

func (m guestModule) New(_ context.Context, config vm.Config, snapshot vm.SnapshotReader) (vm.Process, error) {
	p := &guest{driver: m.driver, id: config.Process.String()}
	if snapshot == nil {
		return p, nil
	}
	text, err := snapshot.Section("state")
	if err != nil {
		return nil, err
	}
	return p, json.Unmarshal(text, &p.state)
}

// guest is one process.
type guest struct {
	driver        *guests
	id            string
	state, before guestState
}

type guestState struct {
	Reference int      // of the newest message that was sent
	Children  []string // that it was told of
}

// given is what a guest looks at in a message.
type given struct {
	ID     string `json:"Id"`
	Target string
	Data   string
	Tags   []sentTag
}

type sentTag struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (g given) tag(name string) string {
	for _, tag := range g.Tags {
		if tag.Name == name {
			return tag.Value
		}
	}
	return ""
}

// answer is a result, and each of its effects as the test finds it again.
type answer struct {
	Messages    []sent
	Spawns      []sent
	Assignments []assigned
	Output      string
}

type sent struct {
	Target string `json:",omitempty"`
	Anchor string
	Tags   []sentTag
	Data   string
}

type assigned struct {
	Processes []string
	Message   string
}

func (p *guest) Handle(_ context.Context, call vm.Call) (vm.Output, error) {
	p.before = p.state
	var message given
	if err := json.Unmarshal(call.Message, &message); err != nil {
		return vm.Output{}, err
	}
	if message.tag("Action") == "Spawned" {
		p.state.Children = append(p.state.Children[:len(p.state.Children):len(p.state.Children)], message.tag("Process"))
	}
	fuel, _ := strconv.Atoi(strings.TrimSpace(message.Data))
	if message.Target != p.id {
		fuel = 0 // assigned: its own target has burnt it
	}
	text, err := json.Marshal(p.answer(message.ID, fuel))
	return vm.Output{Response: text, GasUsed: 1}, err
}

// answer burns fuel. What it does is a function of the message and the state.
func (p *guest) answer(message string, fuel int) (a answer) {
	sum := fnv.New64a()
	fmt.Fprint(sum, p.id, message, p.state)
	random := rand.New(rand.NewPCG(sum.Sum64(), 1))
	others := append(append([]string(nil), p.driver.peers...), p.state.Children...)
	for fuel > 0 && len(a.Messages)+len(a.Spawns)+len(a.Assignments) < 5 {
		share := 1 + random.IntN(fuel)
		fuel -= share
		data := strconv.Itoa(share - 1)
		to := others[random.IntN(len(others))]
		p.state.Reference++
		one := sent{Target: to, Anchor: fmt.Sprintf("%032d", p.state.Reference), Tags: []sentTag{}, Data: data}
		switch random.IntN(8) {
		case 0:
			one.Target = ""
			one.Tags = append(one.Tags, sentTag{ao.TagModule, ao.ID{1}.String()}, sentTag{"Reference", one.Anchor})
			a.Spawns = append(a.Spawns, one)
		case 1, 2:
			if to != p.id && len(a.Assignments) == 0 {
				a.Assignments = append(a.Assignments, assigned{Processes: []string{to}, Message: message})
			}
		case 3:
			one.Target = p.driver.wallets[random.IntN(len(p.driver.wallets))]
			a.Messages = append(a.Messages, one)
		default:
			a.Messages = append(a.Messages, one)
		}
	}
	return a
}

func (p *guest) Rollback(context.Context) error { p.state = p.before; return nil }

func (p *guest) Snapshot(w vm.SnapshotWriter) error {
	text, err := json.Marshal(p.state)
	if err != nil {
		return err
	}
	if err := w.Section("state", text); err != nil {
		return err
	}
	if err := w.Memory(vm.PageBytes); err != nil {
		return err
	}
	page := make([]byte, vm.PageBytes)
	binary.BigEndian.PutUint32(page, 1)
	return w.Page(0, page)
}

func (p *guest) Fork(context.Context) (vm.Process, error) {
	return &guest{driver: p.driver, id: p.id, state: p.state}, nil
}

func (p *guest) ResidentBytes() uint64 { return 1 << 20 }
func (p *guest) Close() error          { return nil }
