package gateway

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/graph-gophers/graphql-go"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/internal/kv"
)

// ErrDamaged is returned when the store holds what this package never wrote.
var ErrDamaged = kv.ErrDamaged

// Gateway is an open gateway. It is safe for concurrent use.
type Gateway struct {
	options Options
	db      *kv.DB
	files   fileStore
	chain   *chain
	commit  *committer
	schema  *graphql.Schema
	bodies  *bodyBudget
	marker  *marker // nil in memory

	reading sync.RWMutex // held for writing by Close
	closed  bool

	// The following are written by the committer only.
	sequence   atomic.Uint64 // the last one given out
	weaveEnd   uint64        // last weave offset that holds data
	lastHeight uint64        // of the newest record
}

const storeVersion = 1

// Open opens the gateway's store, or makes a new one.
func Open(o Options) (*Gateway, error) {
	o = o.withDefaults()
	g := &Gateway{options: o, files: newMemoryFiles(), bodies: newBodyBudget(2 * o.BodyBytesMax)}
	if o.Dir != "" {
		files, err := openDiskFiles(filepath.Join(o.Dir, "data"))
		if err != nil {
			return nil, fmt.Errorf("open the gateway's store in %s: %w", o.Dir, err)
		}
		g.files = files
	}
	db, err := openDatabase(o)
	if err != nil {
		return nil, err
	}
	g.db = db
	err = g.load()
	if err == nil {
		err = g.openMarker()
	}
	if err == nil {
		g.schema, err = parseSchema(g)
	}
	g.commit = startCommitter(db.DB, func() error { return g.marker.set(g.sequence.Load()) }, o.OnFatal)
	if err == nil {
		err = g.resume(context.Background())
	}
	if err != nil {
		err = fmt.Errorf("open the gateway's store in %s: %w", o.Dir, err)
		if closing := g.Close(); closing != nil {
			o.Logger.Error().Err(closing).Msg("gateway's store could not be closed either")
		}
		return nil, err
	}
	return g, nil
}

// openMarker checks that the database reaches what was acknowledged.
func (g *Gateway) openMarker() error {
	if g.options.Dir == "" {
		return nil
	}
	m, acknowledged, err := openMarker(g.options.Dir)
	if err != nil {
		return err
	}
	g.marker = m
	if have := g.sequence.Load(); have < acknowledged {
		return fmt.Errorf("%w: %s: %d items were acknowledged and only %d are left: bring the directory back from a copy",
			ErrDamaged, indexDir(g.options), acknowledged, have)
	}
	return nil
}

// indexDir is where the database lies; "" in memory.
func indexDir(o Options) string {
	if o.Dir == "" {
		return ""
	}
	return filepath.Join(o.Dir, "index")
}

// openDatabase opens badger for a small store: every commit is flushed, little
// memory is held, and all values lie in the tree itself.
func openDatabase(o Options) (*kv.DB, error) {
	dir := indexDir(o)
	settings := badger.DefaultOptions(dir).
		WithInMemory(dir == "").
		WithSyncWrites(true).
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithCompression(options.None).
		WithChecksumVerificationMode(options.OnTableAndBlockRead).
		WithBlockCacheSize(0).
		WithIndexCacheSize(4 << 20).
		WithMemTableSize(8 << 20).
		WithNumMemtables(2).
		WithBaseTableSize(4 << 20).
		WithNumLevelZeroTables(2).
		WithNumLevelZeroTablesStall(6).
		WithNumCompactors(2).
		WithValueThreshold(1 << 20).
		WithValueLogFileSize(1 << 20)
	return kv.Open(settings, func(err error) {
		o.OnFatal(fmt.Errorf("%w: %s: %w", ErrDamaged, dir, err))
	})
}

// Close waits for what is being written and closes the store.
func (g *Gateway) Close() error {
	g.commit.close()
	g.reading.Lock()
	defer g.reading.Unlock()
	g.closed = true
	if err := errors.Join(g.db.Close(), g.marker.close()); err != nil {
		return fmt.Errorf("close the gateway's store: %w", err)
	}
	return nil
}

// view reads the database, which must not be closed meanwhile: it unmaps its
// files.
func (g *Gateway) view(fn func(txn *badger.Txn) error) error {
	g.reading.RLock()
	defer g.reading.RUnlock()
	if g.closed {
		return ErrClosed
	}
	return g.db.View(fn)
}

// Height is the height of the current block.
func (g *Gateway) Height() uint64 { return g.chain.height() }

// Blocks lists blocks whose second begins after afterMS and before beforeMS, in
// order: at most limit, and those of the last one's second. It does not look at the
// clock, so blocks that are to come are listed, too. They come without ids.
func (g *Gateway) Blocks(afterMS, beforeMS int64, limit int) []Block {
	return g.chain.between(afterMS, beforeMS, limit)
}

// Count is how many items, transactions and pinned files were ever put.
func (g *Gateway) Count() uint64 { return g.sequence.Load() }

// load reads the counters and the chain, making both for a new store.
func (g *Gateway) load() error {
	return g.db.Update(func(txn *badger.Txn) error {
		if err := checkFormat(txn); err != nil {
			return err
		}
		seed, err := loadSeed(txn, g.options.Seed)
		if err != nil {
			return err
		}
		g.chain = &chain{now: g.options.Now, seed: seed}
		if err := g.loadEras(txn); err != nil {
			return err
		}
		g.sequence.Store(lastKeyNumber(txn, keySequence))
		g.weaveEnd = lastKeyNumber(txn, keyWeave)
		// Heights of records never fall, even when the clock stood back
		// between two runs.
		g.lastHeight = lastKeyNumber(txn, keyHeight)
		return nil
	})
}

func checkFormat(txn *badger.Txn) error {
	value, err := get(txn, []byte{keyMetaFormat})
	if err != nil {
		return err
	}
	if value == nil {
		if lastKeyNumber(txn, keySequence) != 0 {
			return fmt.Errorf("%w: it holds items and no format version", ErrDamaged)
		}
		return txn.Set([]byte{keyMetaFormat}, []byte{storeVersion})
	}
	if len(value) != 1 || value[0] != storeVersion {
		return fmt.Errorf("the store has format %v, this program reads format %d", value, storeVersion)
	}
	return nil
}

func loadSeed(txn *badger.Txn, given []byte) ([]byte, error) {
	seed, err := get(txn, []byte{keyMetaSeed})
	if err != nil || seed != nil {
		return seed, err
	}
	if seed = given; seed == nil {
		seed = make([]byte, 32)
		if _, err := rand.Read(seed); err != nil {
			return nil, fmt.Errorf("make the seed of block ids: %w", err)
		}
	}
	return seed, txn.Set([]byte{keyMetaSeed}, seed)
}

func (g *Gateway) loadEras(txn *badger.Txn) error {
	err := scan(txn, []byte{keyEra}, func(_, value []byte) error {
		e, err := decodeEra(value)
		g.chain.eras = append(g.chain.eras, e)
		return err
	})
	if err != nil {
		return err
	}
	first := era{height: g.options.GenesisHeight, startMS: g.options.GenesisMS, intervalMS: g.options.BlockIntervalMS}
	if len(g.chain.eras) == 0 {
		if first.startMS == 0 {
			first.startMS = g.options.Now().UnixMilli()
		}
		g.chain.eras = []era{first}
		return txn.Set(eraKey(0), first.encode())
	}
	if g.options.GenesisMS != 0 && (len(g.chain.eras) > 1 || g.chain.eras[0] != first) {
		return errors.New("its chain is not the one that it is to share with others, which only a new store can take up: move the directory away, or take the chain out of the node's file")
	}
	if g.chain.intervalMS() == g.options.BlockIntervalMS {
		return nil
	}
	next, number := g.chain.next(0, g.options.BlockIntervalMS)
	g.chain.begin(next)
	return txn.Set(eraKey(uint64(number)), next.encode())
}

// mine moves the height on by some blocks at once.
func (g *Gateway) mine(ctx context.Context, blocks uint64) error {
	if g.options.GenesisMS != 0 {
		return ao.Errorf(ao.CodeConflict, "this gateway shares its chain with others: its blocks come by themselves, every %d ms", g.options.BlockIntervalMS)
	}
	return g.commit.do(ctx, 1, eraBytes, func(txn *badger.Txn) error {
		e, number := g.chain.next(blocks, g.chain.intervalMS())
		if err := txn.Set(eraKey(uint64(number)), e.encode()); err != nil {
			return err
		}
		g.chain.begin(e)
		return nil
	})
}

// get gives a copy of a value, or nil when the key is not there.
func get(txn *badger.Txn, key []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the gateway's store: %w", err)
	}
	value, err := item.ValueCopy(nil)
	if err != nil {
		return nil, fmt.Errorf("read the gateway's store: %w", err)
	}
	if value == nil {
		value = []byte{}
	}
	return value, nil
}

// scan calls fn for every key with a prefix, in order. The slices hold only
// until fn returns.
func scan(txn *badger.Txn, prefix []byte, fn func(key, value []byte) error) error {
	settings := badger.DefaultIteratorOptions
	settings.Prefix, settings.PrefetchSize = prefix, 16
	it := txn.NewIterator(settings)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		item := it.Item()
		if err := item.Value(func(value []byte) error { return fn(item.Key(), value) }); err != nil {
			return err
		}
	}
	return nil
}

// lastKeyNumber is the number in the last key of a kind whose keys are numbers,
// or 0.
func lastKeyNumber(txn *badger.Txn, kind byte) uint64 {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kind}, Reverse: true})
	defer it.Close()
	it.Seek(binary.BigEndian.AppendUint64([]byte{kind}, 1<<64-1))
	if !it.Valid() {
		return 0
	}
	return lastNumber(it.Item().Key())
}
