package vm

import (
	"context"

	"github.com/wallaby-ao/wallaby/dataitem"
)

// Driver is one kind of virtual machine. It is safe for concurrent use.
type Driver interface {
	// Name is the word an operator chooses the driver by, e.g. "wazero".
	Name() string
	// Formats lists the Module-Format values the driver accepts.
	Formats() []string
	// Load checks and compiles a module. Loading the same source again is
	// cheap. A module the driver cannot run gives ErrUnsupported.
	Load(ctx context.Context, source Source) (Module, error)
	// Close frees everything; no process of the driver may be in use.
	Close() error
}

// Source is a published module: what the network knows of it.
type Source struct {
	ID     dataitem.ID
	Format string // the Module-Format tag
	Bytes  []byte
}

// Module is a loaded module. It is safe for concurrent use.
type Module interface {
	Info() Info
	// New makes a process in the module's initial state, or in the state that
	// snapshot holds when it is not nil.
	New(ctx context.Context, config Config, snapshot SnapshotReader) (Process, error)
}

// Info describes a loaded module.
type Info struct {
	Format         string
	PointerBits    int
	MemoryBytesMin uint64
	MemoryBytesMax uint64
	// Metered says whether GasUsed is reported to clients; unmetered formats
	// still run under a gas budget but report 0.
	Metered bool
	// Fingerprint names module bytes and every transformation applied to them.
	Fingerprint [32]byte
}

// Config bounds a process and gives it its deterministic surroundings.
type Config struct {
	Process          dataitem.ID
	MemoryLimitBytes uint64 // 0: the driver's default
	OutputLimitBytes int    // 0: the driver's default
	// TimeoutMS is the wall clock allowed for one message, as the last resort
	// behind gas; 0: none.
	TimeoutMS int64
	Host      Host // nil: a host without data access
}

// Host gives a guest data from outside that every replay can get again.
type Host interface {
	// Open gives the content behind a WeaveDrive path, or ErrNotFound.
	Open(ctx context.Context, path string) ([]byte, error)
}

// Call is one message for a process.
type Call struct {
	Message  []byte // JSON
	Env      []byte // JSON
	GasLimit uint64 // 0: no limit
}

// Output is what a process answered.
type Output struct {
	// Response is the JSON of the guest's response object when it answered ok.
	Response []byte
	GasUsed  uint64
	// MemoryBytes is the size of the linear memory or its equivalent.
	MemoryBytes uint64
}

// Process is one process's live state. It is used by one goroutine at a time.
type Process interface {
	// Handle runs one message. On any error but a cancelled ctx the state may
	// be changed or unusable until Rollback. ErrGuest carries the guest's own
	// refusal text.
	Handle(ctx context.Context, call Call) (Output, error)
	// Rollback restores the state from before the last Handle.
	Rollback(ctx context.Context) error
	// Snapshot writes the whole state; only between messages.
	Snapshot(w SnapshotWriter) error
	// Fork makes an independent process in the same state, for dry runs.
	Fork(ctx context.Context) (Process, error)
	// ResidentBytes estimates the real memory the process holds.
	ResidentBytes() uint64
	Close() error
}

// PageBytes is the size of a snapshot page.
const PageBytes = 65536

// SnapshotWriter receives a state as named sections of bytes and one paged
// memory. Pages that are all zero are not written.
type SnapshotWriter interface {
	// Section stores a small named value, e.g. "globals".
	Section(name string, value []byte) error
	// Memory announces the size of the paged memory, before any Page.
	Memory(sizeBytes uint64) error
	// Page stores page number index; data is PageBytes long and only valid
	// during the call.
	Page(index uint32, data []byte) error
}

// HashWriter is a SnapshotWriter to which a process may give a page with its SHA-256,
// when it knows that without reading the page.
type HashWriter interface {
	SnapshotWriter
	// HashedPage is Page with the hash of data.
	HashedPage(index uint32, data []byte, hash [32]byte) error
}

// SnapshotReader gives a stored state back.
type SnapshotReader interface {
	// Sections lists the names of the values.
	Sections() []string
	// Section gives a named value, or ErrNotFound.
	Section(name string) ([]byte, error)
	// Memory gives the size of the paged memory.
	Memory() (sizeBytes uint64, err error)
	// Pages calls fn for every page that is not all zero, in rising order.
	Pages(fn func(index uint32, data []byte) error) error
}
