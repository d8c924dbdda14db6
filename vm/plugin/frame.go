package plugin

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/wallaby-ao/wallaby/vm"
)

// kind says what a frame is.
type kind byte

// The kinds of frames. A connection carries one request at a time; its answer
// is done or failed, before which other frames may come in either direction.
const (
	kindDescribe kind = iota + 1 // what are you
	kindLoad                     // here is a module
	kindNew                      // make a process, on this connection
	kindAttach                   // this connection is for a process that was forked
	kindHandle                   // run a message
	kindRollback
	kindSnapshot
	kindFork
	kindResident
	kindCancel // give up the message in hand; has no answer

	kindSection // of a snapshot, as are the next three
	kindMemory
	kindPage
	kindEnd

	kindOpen   // a guest wants data from outside
	kindOpened // here it is

	kindDone
	kindFailed
)

// header is what frames say beside their body. Each kind uses few of its fields.
type header struct {
	// Describe's answer.
	Engine  string   `json:"engine,omitempty"`
	Formats []string `json:"formats,omitempty"`
	Needs   []string `json:"needs,omitempty"`
	Can     []string `json:"can,omitempty"`

	Name   string   `json:"name,omitempty"`   // of a section
	Module string   `json:"module,omitempty"` // hex SHA-256 of format and bytes
	ID     string   `json:"id,omitempty"`
	Format string   `json:"format,omitempty"`
	Info   *vm.Info `json:"info,omitempty"`

	Config   *config `json:"config,omitempty"`
	Restored bool    `json:"restored,omitempty"` // a snapshot follows
	Fork     string  `json:"fork,omitempty"`

	Number      uint64 `json:"number,omitempty"` // of a message, and of what to cancel
	EnvBytes    int    `json:"envBytes,omitempty"`
	SameEnv     bool   `json:"sameEnv,omitempty"`
	Gas         uint64 `json:"gas,omitempty"`
	MemoryBytes uint64 `json:"memoryBytes,omitempty"`

	Path  string `json:"path,omitempty"`
	Page  uint32 `json:"page,omitempty"`
	Code  string `json:"code,omitempty"`
	Error string `json:"error,omitempty"`
}

// config is a vm.Config without its host, which is at the other end.
type config struct {
	Process          string `json:"process"`
	MemoryLimitBytes uint64 `json:"memoryLimitBytes,omitempty"`
	OutputLimitBytes int    `json:"outputLimitBytes,omitempty"`
	TimeoutMS        int64  `json:"timeoutMS,omitempty"`
	Host             bool   `json:"host,omitempty"`
}

// frame is one message of the protocol: u32 length of what follows, u8 kind, u32
// length of the header, the header as JSON, the body. Integers are little-endian.
type frame struct {
	kind kind
	header
	body []byte
}

const (
	frameHeadBytes = 9
	// frameBytesMax bounds a frame, headerBytesMax its header.
	frameBytesMax  = 512 << 20
	headerBytesMax = 1 << 20
)

// connection sends and receives frames. One goroutine reads; many may write.
type connection struct {
	net.Conn
	in *bufio.Reader

	mu  sync.Mutex
	out []byte
}

func newConnection(c net.Conn) *connection {
	return &connection{Conn: c, in: bufio.NewReaderSize(c, 64<<10)}
}

// send writes a frame at once, so that the other side wakes once.
func (c *connection) send(f frame) error {
	text, err := json.Marshal(f.header)
	if err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	size := frameHeadBytes - 4 + len(text) + len(f.body)
	if size > frameBytesMax {
		return fmt.Errorf("a frame of %d bytes is over the limit of %d", size, frameBytesMax)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b := binary.LittleEndian.AppendUint32(c.out[:0], uint32(size))
	b = append(b, byte(f.kind))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	b = append(append(b, text...), f.body...)
	if cap(b) <= 1<<20 {
		c.out = b
	}
	_, err = c.Write(b)
	return err
}

// receive reads a frame. Its body is its own.
func (c *connection) receive() (f frame, err error) {
	var head [frameHeadBytes]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return f, err
	}
	size, text := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[5:])
	if size > frameBytesMax || text > headerBytesMax || size < frameHeadBytes-4+text {
		return f, fmt.Errorf("a frame of %d bytes with a header of %d is malformed", size, text)
	}
	f.kind = kind(head[4])
	b := make([]byte, size-(frameHeadBytes-4))
	if _, err := io.ReadFull(c.in, b); err != nil {
		return f, err
	}
	if err := json.Unmarshal(b[:text], &f.header); err != nil {
		return f, fmt.Errorf("decode frame: %w", err)
	}
	f.body = b[text:]
	return f, nil
}
