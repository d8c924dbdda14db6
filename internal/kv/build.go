package kv

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"
)

// Builder makes a new database of keys that come in order. It writes tables as
// badger would in the end, without the way there: no write-ahead log, no tables
// that are merged again and again.
//
// Nothing is flushed: a database whose files did not all reach the disk is found
// damaged when it is opened, and whoever can build one can build it again.
type Builder struct {
	options badger.Options

	mu     sync.Mutex
	tables []uint64
}

// The places of badger's format: a manifest begins with the magic text, a
// version of the application's and one of its own, and then holds one set of
// changes with its length and checksum.
const (
	manifestMagic   = "Bdgr"
	manifestVersion = 8
	// builtVersion is the version of every key that was built.
	builtVersion = 1
	// builtTableBytes is the size of a table at the lowest level.
	builtTableBytes = 8 << 20
)

// NewBuilder builds the database that options describe, whose directory must be
// there and empty. They must ask for no encryption and no compression.
func NewBuilder(options badger.Options) *Builder { return &Builder{options: options} }

// Writer takes keys in rising order, of a stretch of keys that no other writer
// of the same Builder touches. It is not safe for concurrent use; several
// writers are.
type Writer struct {
	builder *Builder
	table   *table.Builder
	key     []byte
}

// Writer begins a stretch of keys.
func (b *Builder) Writer() *Writer { return &Writer{builder: b} }

// Add adds a key that is greater than all before. It keeps neither slice.
func (w *Writer) Add(key, value []byte) error {
	if w.table != nil && w.table.ReachedCapacity() {
		if err := w.Close(); err != nil {
			return err
		}
	}
	if w.table == nil {
		w.table = table.NewTableBuilder(w.builder.tableOptions())
	}
	// A version follows each key, the newest first.
	w.key = binary.BigEndian.AppendUint64(append(w.key[:0], key...), ^uint64(builtVersion))
	w.table.Add(w.key, y.ValueStruct{Value: value}, 0)
	return nil
}

// Close writes what is left. A writer may go on afterwards.
func (w *Writer) Close() error {
	if w.table == nil {
		return nil
	}
	defer func() { w.table.Close(); w.table = nil }()
	path := table.NewFilename(w.builder.nextTable(), w.builder.options.Dir)
	if err := os.WriteFile(path, w.table.Finish(), 0o600); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

func (b *Builder) nextTable() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := uint64(len(b.tables) + 1)
	b.tables = append(b.tables, id)
	return id
}

func (b *Builder) tableOptions() table.Options {
	return table.Options{
		TableSize: builtTableBytes, BlockSize: b.options.BlockSize, BloomFalsePositive: b.options.BloomFalsePositive,
		Compression: b.options.Compression,
	}
}

// Finish lists the tables, all at the lowest level, which makes the directory a
// database. All writers must be closed.
func (b *Builder) Finish() error {
	set := pb.ManifestChangeSet{}
	for _, id := range b.tables {
		set.Changes = append(set.Changes, &pb.ManifestChange{
			Id: id, Op: pb.ManifestChange_CREATE, Level: uint32(b.options.MaxLevels - 1), Compression: uint32(b.options.Compression),
		})
	}
	changes, err := proto.Marshal(&set)
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	manifest := binary.BigEndian.AppendUint16([]byte(manifestMagic), b.options.ExternalMagicVersion)
	manifest = binary.BigEndian.AppendUint16(manifest, manifestVersion)
	manifest = binary.BigEndian.AppendUint32(manifest, uint32(len(changes)))
	manifest = binary.BigEndian.AppendUint32(manifest, crc32.Checksum(changes, y.CastagnoliCrcTable))
	if err := os.WriteFile(filepath.Join(b.options.Dir, badger.ManifestFilename), append(manifest, changes...), 0o600); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return nil
}
