package settlement

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Checkpoint says which state of which process a checkpoint's memory is. Its tags
// are the reference compute unit's, which can take it up, and two of our own.
type Checkpoint struct {
	Process     ao.ID  `json:"process"`
	Module      ao.ID  `json:"module"`
	Nonce       uint64 `json:"nonce"`
	Epoch       uint64 `json:"epoch"`
	TimestampMS int64  `json:"timestamp"`
	BlockHeight uint64 `json:"blockHeight"`
	Assignment  ao.ID  `json:"assignment"` // zero: not said
	HashChain   ao.ID  `json:"hashChain"`  // zero: not said
	// Cron names the tick of a cron that the state lies behind; "" for a message.
	Cron string `json:"cron,omitempty"`
	// SHA256 is of the memory before it was packed, in hexadecimal.
	SHA256 string `json:"sha256"`
	// Unit is the program that made it, anew at each start.
	Unit string `json:"unit,omitempty"`
	// StateRoot and Fingerprint are zero on a checkpoint of the reference.
	StateRoot   ao.ID `json:"stateRoot"`
	Fingerprint ao.ID `json:"fingerprint"`
	// Sections are what the state is beside the memory, as EncodeSections writes them.
	// Without them the root cannot be worked out of the memory.
	Sections string `json:"-"`
	packed   bool
}

// Names of a checkpoint's tags.
const (
	TypeCheckpoint   = "Checkpoint"
	tagSHA256        = "SHA-256"
	tagEncoding      = "Content-Encoding"
	tagUnit          = "Unit-Identifier"
	tagOrdinate      = "Ordinate"
	tagStateRoot     = "State-Root"
	tagFingerprint   = "VM-Fingerprint"
	tagSections      = "State-Sections"
	checkpointMedia  = "application/octet-stream"
	checkpointPacked = "gzip"
)

// Tags are those of the reference, in its order; what it leaves out when it is
// zero is left out. Ours come last.
func (c Checkpoint) Tags() dataitem.Tags {
	nonce := strconv.FormatUint(c.Nonce, 10)
	tags := dataitem.Tags{
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagVariant, Value: ao.Variant}, {Name: ao.TagType, Value: TypeCheckpoint},
		{Name: ao.TagModule, Value: c.Module.String()}, {Name: ao.TagProcess, Value: c.Process.String()},
		{Name: ao.TagNonce, Value: nonce},
		{Name: ao.TagTimestamp, Value: strconv.FormatInt(c.TimestampMS, 10)},
		{Name: ao.TagBlockHeight, Value: strconv.FormatUint(c.BlockHeight, 10)},
		{Name: ao.TagContentType, Value: checkpointMedia},
		{Name: tagSHA256, Value: c.SHA256},
		{Name: tagEncoding, Value: checkpointPacked},
		{Name: tagUnit, Value: c.Unit},
		{Name: tagOrdinate, Value: nonce},
		{Name: ao.TagAssignment, Value: c.Assignment.String()},
		{Name: ao.TagHashChain, Value: c.HashChain.String()},
	}
	if c.Epoch > 0 {
		tags = append(tags, dataitem.Tag{Name: ao.TagEpoch, Value: strconv.FormatUint(c.Epoch, 10)})
	}
	tags = append(tags,
		dataitem.Tag{Name: tagStateRoot, Value: c.StateRoot.String()},
		dataitem.Tag{Name: tagFingerprint, Value: c.Fingerprint.String()})
	if c.Sections != "" {
		tags = append(tags, dataitem.Tag{Name: tagSections, Value: c.Sections})
	}
	return tags
}

// NewCheckpoint packs a memory, which write writes, and signs it with what is said
// of it.
func NewCheckpoint(c Checkpoint, write func(io.Writer) error, signer dataitem.Signer) (*dataitem.Item, error) {
	var packed bytes.Buffer
	sum := sha256.New()
	packer, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err == nil {
		err = write(io.MultiWriter(sum, packer))
	}
	if err == nil {
		err = packer.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("pack the memory of process %s: %w", c.Process, err)
	}
	c.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return dataitem.Create(dataitem.Draft{Tags: c.Tags(), Data: packed.Bytes()}, signer)
}

// ParseCheckpoint reads the tags of a checkpoint.
func ParseCheckpoint(tags dataitem.Tags) (c Checkpoint, err error) {
	if !tags.Contains(ao.TagType, TypeCheckpoint) {
		return c, ao.Errorf(ao.CodeInvalid, "it is no checkpoint")
	}
	number := func(name string, into *uint64) func() error {
		return func() (err error) {
			*into, err = strconv.ParseUint(tags.Get(name), 10, 64)
			return err
		}
	}
	id := func(name string, into *ao.ID) func() error {
		return func() error { return into.UnmarshalText([]byte(tags.Get(name))) }
	}
	read := map[string]func() error{
		ao.TagProcess: id(ao.TagProcess, &c.Process), ao.TagModule: id(ao.TagModule, &c.Module),
		ao.TagNonce: number(ao.TagNonce, &c.Nonce), ao.TagBlockHeight: number(ao.TagBlockHeight, &c.BlockHeight),
		ao.TagTimestamp: func() (err error) {
			c.TimestampMS, err = strconv.ParseInt(tags.Get(ao.TagTimestamp), 10, 64)
			return err
		},
	}
	for name, field := range map[string]func() error{
		ao.TagAssignment: id(ao.TagAssignment, &c.Assignment), ao.TagHashChain: id(ao.TagHashChain, &c.HashChain), ao.TagEpoch: number(ao.TagEpoch, &c.Epoch),
		tagStateRoot: id(tagStateRoot, &c.StateRoot), tagFingerprint: id(tagFingerprint, &c.Fingerprint),
	} {
		if tags.Has(name) {
			read[name] = field
		}
	}
	for name, field := range read {
		if err := field(); err != nil {
			return c, ao.Errorf(ao.CodeInvalid, "its tag %s: %w", name, err)
		}
	}
	c.SHA256, c.Unit, c.Cron = tags.Get(tagSHA256), tags.Get(tagUnit), tags.Get(ao.TagCronInterval)
	c.Sections = tags.Get(tagSections)
	c.packed = tags.Contains(tagEncoding, checkpointPacked)
	return c, nil
}

// Agrees says why a checkpoint is not one behind this entry of a log, or nil.
func (c Checkpoint) Agrees(entry aolog.Entry) error {
	switch {
	case c.Process != entry.Process || c.Nonce != entry.Nonce:
		return fmt.Errorf("it is of nonce %d of %s", c.Nonce, c.Process)
	case c.Cron != "":
		return fmt.Errorf("it lies behind a tick of the cron %s and not behind a message", c.Cron)
	case c.Assignment.IsZero() || c.HashChain.IsZero():
		return fmt.Errorf("it does not say behind which assignment it lies")
	case c.Assignment != entry.ID:
		return fmt.Errorf("it lies behind assignment %s, and the log has %s at nonce %d", c.Assignment, entry.ID, entry.Nonce)
	case c.HashChain != entry.HashChain:
		return fmt.Errorf("its hash chain is %s, and the log has %s at nonce %d", c.HashChain, entry.HashChain, entry.Nonce)
	case c.TimestampMS != entry.TimestampMS || c.Epoch != entry.Epoch || c.BlockHeight != entry.BlockHeight:
		return fmt.Errorf("its time, height or epoch is not that of nonce %d in the log", entry.Nonce)
	}
	return nil
}

// Memory unpacks the memory, at most so many bytes, and checks its hash.
func (c Checkpoint) Memory(data []byte, bytesMax int64) ([]byte, error) {
	memory := data
	if c.packed {
		unpacker, err := gzip.NewReader(bytes.NewReader(data))
		if err == nil {
			memory, err = io.ReadAll(io.LimitReader(unpacker, bytesMax+1))
		}
		if err != nil {
			return nil, fmt.Errorf("its memory does not unpack: %w", err)
		}
	}
	if int64(len(memory)) > bytesMax {
		return nil, fmt.Errorf("its memory has more than %d bytes", bytesMax)
	}
	if sum := sha256.Sum256(memory); hex.EncodeToString(sum[:]) != c.SHA256 {
		return nil, fmt.Errorf("its memory has the SHA-256 %x and not %s", sum, c.SHA256)
	}
	return memory, nil
}

// checkpointPages bounds how far a list of checkpoints is read.
const checkpointPages = 10

// Checkpoints lists a process's checkpoints, whoever made them.
func (a *Archive) Checkpoints(ctx context.Context, process ao.ID) (list []Found, err error) {
	search := Search{Tags: dataitem.Tags{
		{Name: ao.TagProcess, Value: process.String()}, {Name: ao.TagType, Value: TypeCheckpoint}, {Name: ao.TagDataProtocol, Value: ao.DataProtocol},
	}}
	for range checkpointPages {
		page, next, err := a.Find(ctx, search)
		if err != nil {
			return nil, err
		}
		list = append(list, page...)
		if search.After = next; next == "" {
			break
		}
	}
	return list, nil
}
