package gateway

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"sort"
	"sync"
	"time"
)

// blockID is a block's indep_hash, 64 characters as text.
type blockID [48]byte

func (b blockID) String() string { return base64.RawURLEncoding.EncodeToString(b[:]) }

// Block is one block of the gateway's chain.
type Block struct {
	ID        string
	Previous  string // "" for the first
	Height    uint64
	Timestamp int64 // seconds
}

// era is a stretch of blocks with even spacing. A new one begins when the
// interval changes or blocks are mined on demand.
type era struct {
	height     uint64 // of its first block
	startMS    int64  // time of its first block
	intervalMS int64
}

const eraBytes = 24

func (e era) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, e.height)
	b = binary.BigEndian.AppendUint64(b, uint64(e.startMS))
	return binary.BigEndian.AppendUint64(b, uint64(e.intervalMS))
}

func decodeEra(b []byte) (era, error) {
	if len(b) != eraBytes {
		return era{}, fmt.Errorf("%w: an era of %d bytes", ErrDamaged, len(b))
	}
	e := era{
		height:     binary.BigEndian.Uint64(b),
		startMS:    int64(binary.BigEndian.Uint64(b[8:])),
		intervalMS: int64(binary.BigEndian.Uint64(b[16:])),
	}
	if e.intervalMS <= 0 {
		return era{}, fmt.Errorf("%w: an era with an interval of %d ms", ErrDamaged, e.intervalMS)
	}
	return e, nil
}

// chain computes blocks from the clock.
type chain struct {
	now  func() time.Time
	seed []byte

	mu   sync.Mutex
	eras []era  // at least one, by height
	seen uint64 // highest height given out: it holds when the clock steps back
}

// height is the current block's height. It never falls while the gateway runs.
func (c *chain) height() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heightLocked()
}

func (c *chain) heightLocked() uint64 {
	last := c.eras[len(c.eras)-1]
	height := last.height
	if elapsed := c.now().UnixMilli() - last.startMS; elapsed > 0 {
		height += uint64(elapsed / last.intervalMS)
	}
	c.seen = max(c.seen, height)
	return c.seen
}

func (c *chain) genesis() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.eras[0].height
}

// next is the era that begins now, blocks higher than the current one.
func (c *chain) next(blocks uint64, intervalMS int64) (era, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return era{height: c.heightLocked() + blocks, startMS: c.now().UnixMilli(), intervalMS: intervalMS}, len(c.eras)
}

func (c *chain) begin(e era) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.eras = append(c.eras, e)
}

// intervalMS is the spacing of blocks to come.
func (c *chain) intervalMS() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.eras[len(c.eras)-1].intervalMS
}

// block gives the block of a height, which must lie between the first and the
// current one.
func (c *chain) block(height uint64) (Block, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if height < c.eras[0].height || height > c.heightLocked() {
		return Block{}, false
	}
	b := Block{ID: c.id(height).String(), Height: height, Timestamp: c.timeMS(height) / 1000}
	if height > c.eras[0].height {
		b.Previous = c.id(height - 1).String()
	}
	return b, true
}

// timeMS is when a block came. Blocks that were mined on demand would lie in
// the future by the spacing of their era, so the next era's start bounds them.
func (c *chain) timeMS(height uint64) int64 {
	i := len(c.eras) - 1
	for i > 0 && c.eras[i].height > height {
		i--
	}
	at := c.eras[i].startMS + int64(height-c.eras[i].height)*c.eras[i].intervalMS
	if i+1 < len(c.eras) {
		at = min(at, c.eras[i+1].startMS)
	}
	return at
}

// between lists blocks by their seconds; see Gateway.Blocks.
func (c *chain) between(afterMS, beforeMS int64, limit int) (blocks []Block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	genesis, last := c.eras[0].height, c.eras[len(c.eras)-1]
	end := last.height + uint64(max(0, afterMS+1000-last.startMS)/last.intervalMS) + 2
	skip := sort.Search(int(end-genesis), func(i int) bool { return c.timeMS(genesis+uint64(i))/1000*1000 > afterMS })
	for height := genesis + uint64(skip); ; height++ {
		seconds := c.timeMS(height) / 1000
		if seconds*1000 >= beforeMS || len(blocks) >= limit && blocks[len(blocks)-1].Timestamp != seconds {
			return blocks
		}
		blocks = append(blocks, Block{Height: height, Timestamp: seconds})
	}
}

// id makes a block's id from the seed, so that no block has to be stored. The
// last eight bytes hide the height, by which heightOf finds it again.
func (c *chain) id(height uint64) blockID {
	number := binary.BigEndian.AppendUint64(nil, height)
	mac := hmac.New(sha512.New384, c.seed)
	mac.Write(number)
	id := blockID(mac.Sum(nil))
	for i, b := range c.mask(id[:40]) {
		id[40+i] = number[i] ^ b
	}
	return id
}

func (c *chain) mask(prefix []byte) []byte {
	mac := hmac.New(sha512.New384, c.seed)
	mac.Write(prefix)
	return mac.Sum(nil)[:8]
}

// heightOf finds the block with an id.
func (c *chain) heightOf(text string) (uint64, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != len(blockID{}) {
		return 0, false
	}
	number := append([]byte(nil), raw[40:]...)
	for i, b := range c.mask(raw[:40]) {
		number[i] ^= b
	}
	height := binary.BigEndian.Uint64(number)
	return height, c.id(height) == blockID(raw)
}
