package messenger_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/internal/kv"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/messenger"
	"github.com/wallaby-ao/wallaby/vm"
)

// shaky is a node with a store, an engine and a messenger, on a log that it
// shares with others. It may die at every step of a delivery.
type shaky struct {
	w    *shakyWorld
	name string

	mu sync.Mutex
	// owns says of which groups it believes that it delivers what they send.
	owns map[int]bool
	// dying says that its power is gone: whatever it does has no effect.
	dying bool
	// times is how often each step was reached with each effect.
	times map[string]int

	killed chan struct{}   // signalled when it begins to die
	saved  []*badger.Entry // what a power cut leaves of the store

	// life is held by others while they use what follows, and by the node when it
	// is closed or opened.
	life      sync.RWMutex
	up        bool
	opened    byte // how often
	db        *kv.DB
	engine    *engine.Engine
	messenger *messenger.Messenger
}

func newShaky(w *shakyWorld, name string) *shaky {
	n := &shaky{w: w, name: name, owns: map[int]bool{}, times: map[string]int{}, killed: make(chan struct{}, 1)}
	n.db = openMemory(w, nil)
	n.open()
	return n
}

// openMemory opens a store with entries in it.
func openMemory(w *shakyWorld, entries []*badger.Entry) *kv.DB {
	settings := badger.DefaultOptions("").WithInMemory(true).WithMemTableSize(1 << 20).WithValueThreshold(64 << 10).WithNumCompactors(2).
		WithCompression(options.None).WithBlockCacheSize(0).WithDetectConflicts(false).WithMetricsEnabled(false)
	db, err := kv.Open(settings, nil)
	if err != nil {
		w.Fatal(err)
	}
	batch := db.NewWriteBatch()
	for _, entry := range entries {
		if err := batch.SetEntry(badger.NewEntry(entry.Key, entry.Value).WithMeta(entry.UserMeta)); err != nil {
			w.Fatal(err)
		}
	}
	if err := batch.Flush(); err != nil {
		w.Fatal(err)
	}
	return db
}

// open starts engine and messenger on what the store has.
func (n *shaky) open() {
	n.mu.Lock()
	n.dying = false
	n.mu.Unlock()
	n.life.Lock()
	defer n.life.Unlock()
	n.up = true
	authority := n.w.authority
	if n.w.wrong == signsAnew {
		n.opened++
		authority = logtest.Signer(n.w, 100+n.opened)
	}
	var err error
	n.engine, err = engine.Open(context.Background(), engine.Options{
		Log: n.w.log, DB: n.db.DB, Drivers: []vm.Driver{n.w.guests}, Modules: n.w.guests, Items: logItems{n.w.log},
		Workers: 2, HotMax: 2, SnapshotWorthMS: 1, Fatal: func(err error) { n.w.Errorf("the engine of %s: %v", n.name, err) },
	})
	if err != nil {
		n.w.Fatal(err)
	}
	n.messenger = messenger.Open(messenger.Options{
		Outbox: shakyOutbox{n.engine.Outbox(), n}, Log: shakyLog{n.w.log, n}, Owns: n.believesSlowly,
		Signer: authority, Uploader: n.w.weave, Directory: n.w.weave,
		Workers: 4, LoadedMax: 5, RetryBaseMS: 20, RetryMaxMS: 300, AttemptsMax: 1 << 20,
		Fatal: func(err error) {
			if !errors.Is(err, errDead) {
				n.w.Errorf("the messenger of %s: %v", n.name, err)
			}
		},
	})
}

// die ends the node and starts it again. A power cut takes the newest of what its
// store was told.
func (n *shaky) die(powerCut bool, down time.Duration) {
	n.kill()
	n.close()
	if powerCut {
		if err := n.db.Close(); err != nil {
			n.w.Error(err)
		}
		n.db = openMemory(n.w, n.saved)
	}
	time.Sleep(down)
	select {
	case <-n.killed:
	default:
	}
	n.open()
}

// use calls fn unless the node is down.
func (n *shaky) use(fn func()) {
	n.life.RLock()
	defer n.life.RUnlock()
	if n.up {
		fn()
	}
}

func (n *shaky) close() {
	n.life.Lock()
	n.up = false
	n.life.Unlock()
	if err := errors.Join(n.messenger.Close(), n.engine.Close()); err != nil {
		n.w.Error(err)
	}
}

// save has a later power cut leave at least what the store has by now.
func (n *shaky) save() {
	var entries []*badger.Entry
	err := n.db.View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.DefaultIteratorOptions)
		defer iterator.Close()
		for iterator.Rewind(); iterator.Valid(); iterator.Next() {
			value, err := iterator.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			entries = append(entries, badger.NewEntry(iterator.Item().KeyCopy(nil), value).WithMeta(iterator.Item().UserMeta()))
		}
		return nil
	})
	if err != nil {
		n.w.Error(err)
	}
	n.saved = entries
}

func (n *shaky) kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dying = true
	select {
	case n.killed <- struct{}{}:
	default:
	}
}

// errDead is what a node gets from the rest of the world after its death.
var errDead = ao.Errorf(ao.CodeUnavailable, "this node is dead")

// step is a moment at which a node may die, or something may fail. It draws by
// the seed, the step and what is done there, so that a world fails alike again,
// as far as goroutines take the same turns.
func (n *shaky) step(name, of string) (draw uint64, err error) {
	n.mu.Lock()
	key := name + " " + of
	n.times[key]++
	times, dying := n.times[key], n.dying
	n.mu.Unlock()
	if dying {
		return 0, errDead
	}
	if !n.w.faulty.Load() {
		return 1 << 32, nil
	}
	sum := fnv.New64a()
	fmt.Fprint(sum, n.w.seed, n.name, key, times)
	draw = mix(sum.Sum64())
	if draw%n.w.killOneIn == 0 && n.w.kills.Add(-1) >= 0 {
		n.kill()
		return 0, errDead
	}
	return draw / n.w.killOneIn, nil
}

// mix spreads what a sum says over all bits.
func mix(x uint64) uint64 {
	x ^= x >> 31
	x *= 0x9e3779b97f4a7c15
	x ^= x >> 29
	return x * 0xbf58476d1ce4e5b9 >> 7
}

// believesSlowly is how a messenger asks: the lead may move meanwhile.
func (n *shaky) believesSlowly(process ao.ID) bool {
	if draw, err := n.step("owns", process.String()); err == nil && n.w.faulty.Load() && draw%4 == 0 {
		time.Sleep(time.Duration(draw%20) * time.Millisecond)
	}
	return n.believes(process)
}

func (n *shaky) believes(process ao.ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.owns[groupOf(process)]
}

func (n *shaky) believe(group int, owns bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.owns[group] = owns
}

// groups is how many lots processes are in, each delivered by one node.
const groups = 2

func groupOf(process ao.ID) int { return int(process[0]) % groups }

// shakyOutbox is a node's outbox as its messenger sees it.
type shakyOutbox struct {
	*engine.Outbox
	n *shaky
}

func (o shakyOutbox) Pending(ctx context.Context, after engine.EffectKey, limit int) ([]engine.Effect, error) {
	draw, err := o.n.step("list", after.String())
	if err != nil {
		return nil, err
	}
	page, err := o.list(ctx, after, limit)
	if draw%3 == 0 {
		time.Sleep(time.Duration(draw%200) * time.Millisecond) // and the page is old
	}
	return page, err
}

// list gives a page, and does what is wrong in this world.
func (o shakyOutbox) list(ctx context.Context, after engine.EffectKey, limit int) ([]engine.Effect, error) {
	page, err := o.Outbox.Pending(ctx, after, limit)
	switch o.n.w.wrong {
	case completesFirst:
		for _, effect := range page {
			err = errors.Join(err, o.Outbox.Complete(effect))
		}
	case turnsRound:
		slices.Reverse(page)
	}
	return page, err
}

func (o shakyOutbox) News() ([]engine.Effect, bool, error) {
	if _, err := o.n.step("news", ""); err != nil {
		return nil, false, err
	}
	return o.Outbox.News()
}

func (o shakyOutbox) Update(effect engine.Effect) error {
	return o.note("update", effect, o.Outbox.Update)
}

func (o shakyOutbox) Complete(effect engine.Effect) error {
	return o.note("complete", effect, o.Outbox.Complete)
}

// note writes, unless the node dies before, and may have it die after.
func (o shakyOutbox) note(what string, effect engine.Effect, write func(engine.Effect) error) error {
	if _, err := o.n.step("before "+what, effect.Key().String()); err != nil {
		return err
	}
	if err := write(effect); err != nil {
		return err
	}
	_, err := o.n.step("after "+what, effect.Key().String())
	return err
}

// shakyLog is the log as a node's messenger reaches it.
type shakyLog struct {
	aolog.Log
	n *shaky
}

// Append may fail before it has an effect, or after; be late, or out of time.
func (l shakyLog) Append(ctx context.Context, p aolog.Proposal) (aolog.Entry, bool, error) {
	of := p.Process.String() + p.Message.String()
	if p.Item != nil {
		of = p.Item.ID().String()
	}
	draw, err := l.n.step("before append", of)
	if err != nil {
		return aolog.Entry{}, false, err
	}
	switch draw % 12 {
	case 0:
		return aolog.Entry{}, false, ao.Errorf(ao.CodeUnavailable, "no majority")
	case 1:
		time.Sleep(2 * time.Second)
		return aolog.Entry{}, false, ao.Errorf(ao.CodeTimeout, "no answer")
	case 2, 3:
		time.Sleep(time.Duration(draw%900) * time.Millisecond)
	}
	entry, duplicate, err := l.Log.Append(context.WithoutCancel(ctx), p)
	if err != nil {
		return entry, duplicate, err
	}
	after, err := l.n.step("after append", of)
	if err != nil {
		return aolog.Entry{}, false, err
	}
	if after%10 == 0 {
		return aolog.Entry{}, false, ao.Errorf(ao.CodeUnavailable, "the answer is lost")
	}
	return entry, duplicate, nil
}

// logItems finds what was assigned by name.
type logItems struct{ log aolog.Log }

func (s logItems) Item(ctx context.Context, id ao.ID, _ bool) (meta engine.TxMeta, err error) {
	process, nonce, err := s.log.Locate(ctx, id)
	if err != nil {
		return meta, ao.Errorf(ao.CodeNotFound, "item %s: %w", id, err)
	}
	entry, err := s.log.Read(ctx, process, nonce)
	if err != nil {
		return meta, err
	}
	item, err := entry.Item()
	if err != nil {
		return meta, err
	}
	return engine.TxMeta{ID: id, Owner: item.Address(), Target: item.TargetID().String(), Tags: item.Tags, Data: item.Data}, nil
}

// shakyWeave takes what goes to wallets, any number of times.
type shakyWeave struct {
	messenger.Directory // nobody is elsewhere

	mu    sync.Mutex
	items map[ao.ID]*dataitem.Item
}

func (s *shakyWeave) PutItem(_ context.Context, item *dataitem.Item) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.items[item.ID()]
	s.items[item.ID()] = item
	return !known, nil
}

func (s *shakyWeave) SchedulerOf(context.Context, ao.ID) (string, error) { return "", nil }

// spawn and post put what users send into the log.
func (w *shakyWorld) spawn(name string) ao.ID {
	item := logtest.ProcessItem(w, w.user, name)
	w.post(item)
	return item.ID()
}

func (w *shakyWorld) post(item *dataitem.Item) {
	if _, _, err := w.log.Append(context.Background(), aolog.Proposal{Item: item}); err != nil {
		w.Fatal(err)
	}
	w.posted[item.ID()] = true
}
