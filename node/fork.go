package node

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/internal/kv"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// ForkOrder says which process is to be tried otherwise, up to which nonce, and in
// what it is to differ.
type ForkOrder struct {
	Process ao.ID  `json:"process"`
	Nonce   uint64 `json:"nonce"`
	// Drop are nonces whose messages the process does not get.
	Drop []uint64 `json:"drop,omitempty"`
	// Replace are signed messages for the process in the place of others, by nonce.
	Replace map[uint64][]byte `json:"replace,omitempty"`
	// Module is code to run in the place of the module's.
	Module []byte `json:"module,omitempty"`
}

// ForkInfo is a fork that the node has.
type ForkInfo struct {
	// ID names the fork where a compute unit is asked about a process. It follows
	// from the order, and no key has signed it.
	ID       ao.ID    `json:"id"`
	Process  ao.ID    `json:"process"`
	Nonce    uint64   `json:"nonce"`
	Dropped  []uint64 `json:"dropped"`
	Replaced []uint64 `json:"replaced"`
	Module   ao.ID    `json:"module"` // SHA-256 of other code; zero: the process's own
}

// id hashes what makes the fork what it is.
func (o ForkOrder) id() ao.ID {
	b := append([]byte("wallaby fork\n"), o.Process[:]...)
	b = binary.BigEndian.AppendUint64(b, o.Nonce)
	b = binary.BigEndian.AppendUint64(b, uint64(len(o.Drop)))
	for _, nonce := range o.Drop {
		b = binary.BigEndian.AppendUint64(b, nonce)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(len(o.Replace)))
	for _, nonce := range slices.Sorted(maps.Keys(o.Replace)) {
		hash := sha256.Sum256(o.Replace[nonce])
		b = append(binary.BigEndian.AppendUint64(b, nonce), hash[:]...)
	}
	hash := sha256.Sum256(o.Module)
	return sha256.Sum256(append(b, hash[:]...))
}

func (o ForkOrder) info() ForkInfo {
	info := ForkInfo{
		ID: o.id(), Process: o.Process, Nonce: o.Nonce, Dropped: append([]uint64{}, o.Drop...),
		Replaced: append([]uint64{}, slices.Sorted(maps.Keys(o.Replace))...),
	}
	if len(o.Module) > 0 {
		info.Module = sha256.Sum256(o.Module)
	}
	return info
}

// forksMax is how many forks a node keeps; one more takes the place of the oldest.
const forksMax = 4

// forks are processes that are tried otherwise, each in an engine and a store of its
// own. They end with the node.
type forks struct {
	mu   sync.Mutex
	list []*fork // oldest first
}

// fork is a process as it would be.
type fork struct {
	ForkInfo
	log    *forkLog
	engine *engine.Engine
	state  *kv.DB
	dir    string
	// uses is held by those who ask the fork, and taken to close it.
	uses sync.RWMutex
}

// use gives a fork by its id until done is called; nil for none.
func (f *forks) use(id ao.ID) (found *fork, done func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.list {
		if one.ID == id {
			one.uses.RLock()
			return one, one.uses.RUnlock
		}
	}
	return nil, func() {}
}

// infos lists the forks, oldest first.
func (f *forks) infos() []ForkInfo {
	f.mu.Lock()
	defer f.mu.Unlock()
	infos := make([]ForkInfo, 0, len(f.list))
	for _, one := range f.list {
		infos = append(infos, one.ForkInfo)
	}
	return infos
}

// add keeps a fork and closes the oldest if there are too many.
func (f *forks) add(one *fork) error {
	f.mu.Lock()
	f.list = append(f.list, one)
	var gone []*fork
	if over := len(f.list) - forksMax; over > 0 {
		gone = slices.Clone(f.list[:over])
		f.list = slices.Delete(f.list, 0, over)
	}
	f.mu.Unlock()
	return closeAll(gone)
}

func (f *forks) close() error {
	f.mu.Lock()
	gone := f.list
	f.list = nil
	f.mu.Unlock()
	return closeAll(gone)
}

func closeAll(forks []*fork) (err error) {
	for _, one := range forks {
		err = errors.Join(err, one.close())
	}
	return err
}

// close ends what is asked of the fork, and removes it.
func (f *fork) close() error {
	err := f.engine.Close()
	f.uses.Lock()
	defer f.uses.Unlock()
	return errors.Join(err, f.state.Close(), os.RemoveAll(f.dir))
}

// openForks is the step of Open that makes room for forks; those of a node that was
// killed go.
func (n *Node) openForks(context.Context) error {
	if err := os.RemoveAll(n.forksDir()); err != nil {
		return fmt.Errorf("remove old forks: %w", err)
	}
	n.forks = &forks{}
	n.onClose("forks", func(context.Context) error { return n.forks.close() })
	return nil
}

func (n *Node) forksDir() string { return filepath.Join(n.dir, "forks") }

// fork makes a fork, or gives the one that was made of the same order; done ends the
// caller's use of it. It is evaluated as results are asked for.
func (n *Node) fork(ctx context.Context, order ForkOrder) (made *fork, done func(), err error) {
	slices.Sort(order.Drop)
	order.Drop = slices.Compact(order.Drop)
	if made, done := n.forks.use(order.id()); made != nil {
		return made, done, nil
	}
	made, err = n.openFork(ctx, order)
	if err != nil {
		return nil, nil, err
	}
	made.uses.RLock()
	if err := n.forks.add(made); err != nil {
		n.options.Logger.Warn().Str("pkg", "node").Err(err).Msg("close a fork")
	}
	return made, made.uses.RUnlock, nil
}

func (n *Node) openFork(ctx context.Context, order ForkOrder) (*fork, error) {
	log, err := n.forkLog(ctx, order)
	if err != nil {
		return nil, err
	}
	f := &fork{ForkInfo: order.info(), log: log, dir: filepath.Join(n.forksDir(), order.id().String())}
	if f.state, err = openState(f.dir, func(error) {}); err != nil {
		return nil, fmt.Errorf("open a store for the fork: %w", err)
	}
	f.engine, err = engine.Open(context.WithoutCancel(ctx), engine.Options{
		Log: log, DB: f.state.DB, Drivers: n.drivers, Machines: n.machines,
		Modules: forkModules{modules{n.gateway}, order.Module}, Items: items{n}, Blocks: n.blocks(),
		Leave: func(_ ao.ID, nonce uint64) string {
			if slices.Contains(order.Drop, nonce) {
				return "this fork leaves it out"
			}
			return ""
		},
		HotMax: 1, HotBytesMax: n.options.HotMemoryBytes / 8, Workers: 1, DryRunWorkers: 1,
		EvaluationTimeoutMS: n.options.EvaluationTimeoutMS,
		Now:                 n.options.Now,
		Logger:              n.options.Logger.With().Stringer("fork", f.ID).Logger(),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open an engine for the fork: %w", err), f.state.Close(), os.RemoveAll(f.dir))
	}
	return f, nil
}

// forkLog checks an order and makes its log.
func (n *Node) forkLog(ctx context.Context, order ForkOrder) (*forkLog, error) {
	if order.Nonce == 0 && len(order.Module) == 0 {
		return nil, ao.Errorf(ao.CodeInvalid, "up to nonce 0 there is only the process itself: fork at a later nonce")
	}
	last, err := n.log.Read(ctx, order.Process, order.Nonce)
	switch {
	case errors.Is(err, aolog.ErrProcessUnknown):
		return nil, ao.Errorf(ao.CodeNotFound, "process %s is not known to this node", order.Process)
	case errors.Is(err, aolog.ErrEntryUnknown):
		return nil, ao.Errorf(ao.CodeNotFound, "process %s has no nonce %d", order.Process, order.Nonce)
	case err != nil:
		return nil, fmt.Errorf("read process %s at nonce %d: %w", order.Process, order.Nonce, err)
	}
	for _, nonce := range slices.Concat(order.Drop, slices.Collect(maps.Keys(order.Replace))) {
		if nonce == 0 || nonce > order.Nonce {
			return nil, ao.Errorf(ao.CodeInvalid, "nonce %d cannot be dropped or replaced in a fork at nonce %d: name 1 to %d", nonce, order.Nonce, order.Nonce)
		}
	}
	log := &forkLog{Log: n.log, process: order.Process, head: aolog.HeadOf(last), replaced: map[uint64]replacement{}}
	for nonce, bytes := range order.Replace {
		if slices.Contains(order.Drop, nonce) {
			return nil, ao.Errorf(ao.CodeInvalid, "nonce %d is to be dropped and replaced: choose one", nonce)
		}
		item, err := replacementFor(order.Process, bytes)
		if err != nil {
			return nil, ao.Errorf(cmp.Or(ao.CodeOf(err), ao.CodeInvalid), "replace nonce %d: %w", nonce, err)
		}
		log.replaced[nonce] = replacement{item.ID(), bytes}
	}
	return log, nil
}

// replacementFor checks a message as a scheduler would: nobody's words are made up.
func replacementFor(process ao.ID, bytes []byte) (*dataitem.Item, error) {
	item, err := dataitem.Parse(bytes)
	if err == nil {
		err = item.Verify()
	}
	if err != nil {
		return nil, ao.Errorf(ao.CodeInvalid, "it is no signed message: %w", err)
	}
	kind, of, err := ao.CheckItem(item)
	if err != nil {
		return nil, err
	}
	if kind != ao.KindMessage || of != process {
		return nil, ao.Errorf(ao.CodeInvalid, "item %s is no message for process %s", item.ID(), process)
	}
	return item, nil
}

// forkModules gives the process's module, with other code if there is some.
type forkModules struct {
	engine.ModuleSource
	code []byte
}

// Module gives a module under its own name: that is what the process's item names.
func (m forkModules) Module(ctx context.Context, id ao.ID) (engine.Module, error) {
	module, err := m.ModuleSource.Module(ctx, id)
	if err == nil && len(m.code) > 0 {
		module.Bytes = m.code
	}
	return module, err
}
