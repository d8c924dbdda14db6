// Command example is a virtual machine for wallaby in a hundred lines: its
// processes are sums. A module's bytes are the number that they begin with, and a
// message's Data is a number to add. Build it as wallaby-vm-sum, put it beside
// wallaby, and publish a module with the Module-Format example-sum.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/plugin"
)

const format = "example-sum"

func main() { plugin.Serve(driver{}, plugin.About{Engine: "math/big"}) }

type driver struct{}

func (driver) Name() string      { return "sum" }
func (driver) Formats() []string { return []string{format} }
func (driver) Close() error      { return nil }

func (driver) Load(_ context.Context, source vm.Source) (vm.Module, error) {
	start, ok := new(big.Int).SetString(string(source.Bytes), 10)
	if !ok {
		return nil, &vm.UnsupportedError{Feature: fmt.Sprintf("%.20q is no number", source.Bytes)}
	}
	return module{start}, nil
}

type module struct{ start *big.Int }

func (m module) Info() vm.Info { return vm.Info{Format: format, Metered: true} }

func (m module) New(_ context.Context, _ vm.Config, snapshot vm.SnapshotReader) (vm.Process, error) {
	if snapshot == nil {
		return &process{sum: m.start, before: m.start}, nil
	}
	section, err := snapshot.Section("sum")
	if err != nil || len(section) == 0 {
		return nil, fmt.Errorf("restore a sum: %w", err)
	}
	sum := new(big.Int).SetBytes(section[1:])
	if section[0] == '-' {
		sum.Neg(sum)
	}
	return &process{sum: sum, before: sum}, nil
}

// process never changes a number in place, so older states cost nothing.
type process struct{ sum, before *big.Int }

func (p *process) Handle(_ context.Context, call vm.Call) (vm.Output, error) {
	var message struct{ Data string }
	if err := json.Unmarshal(call.Message, &message); err != nil {
		return vm.Output{}, &vm.TrapError{Reason: "the message is no JSON"}
	}
	p.before = p.sum
	gas := uint64(100 + len(message.Data))
	if call.GasLimit > 0 && gas > call.GasLimit {
		return vm.Output{GasUsed: call.GasLimit}, vm.ErrOutOfGas
	}
	if number, ok := new(big.Int).SetString(message.Data, 10); ok {
		p.sum = new(big.Int).Add(p.sum, number)
	}
	response, err := json.Marshal(map[string]any{
		"Output": map[string]string{"data": p.sum.String()}, "Messages": []any{}, "Spawns": []any{}, "Assignments": []any{},
	})
	return vm.Output{Response: response, GasUsed: gas, MemoryBytes: vm.PageBytes}, err
}

func (p *process) Rollback(context.Context) error {
	p.sum = p.before
	return nil
}

// Snapshot writes the sum as a section, and one page of memory, which every state
// has.
func (p *process) Snapshot(w vm.SnapshotWriter) error {
	sign := byte('+')
	if p.sum.Sign() < 0 {
		sign = '-'
	}
	if err := w.Section("sum", append([]byte{sign}, p.sum.Bytes()...)); err != nil {
		return err
	}
	if err := w.Memory(vm.PageBytes); err != nil {
		return err
	}
	page := make([]byte, vm.PageBytes)
	binary.LittleEndian.PutUint64(page, uint64(p.sum.BitLen()))
	return w.Page(0, page)
}

func (p *process) Fork(context.Context) (vm.Process, error) {
	return &process{sum: p.sum, before: p.sum}, nil
}

func (p *process) ResidentBytes() uint64 { return vm.PageBytes }
func (p *process) Close() error          { return nil }
