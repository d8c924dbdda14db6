package ao

import (
	"crypto/sha256"
	"fmt"
	"strconv"

	"github.com/wallaby-ao/wallaby/dataitem"
)

// Assignment gives a message its place in a process's log.
type Assignment struct {
	ID      ID // of the assignment item; zero while it is unsigned
	Process ID
	// Message is the assigned item. It is zero on the assignment of the
	// process itself, which has nonce 0.
	Message     ID
	Epoch       uint64
	Nonce       uint64
	HashChain   ID
	BlockHeight uint64
	TimestampMS int64
	// Exclude names the message fields a bare assignment leaves out.
	Exclude []string
}

// Tags gives the assignment's tags in the reference scheduler's order.
func (a Assignment) Tags() dataitem.Tags {
	tags := dataitem.Tags{
		{Name: TagProcess, Value: a.Process.String()},
		{Name: TagEpoch, Value: strconv.FormatUint(a.Epoch, 10)},
		{Name: TagNonce, Value: strconv.FormatUint(a.Nonce, 10)},
		{Name: TagHashChain, Value: a.HashChain.String()},
		{Name: TagBlockHeight, Value: fmt.Sprintf("%012d", a.BlockHeight)},
		{Name: TagTimestamp, Value: strconv.FormatInt(a.TimestampMS, 10)},
		{Name: TagDataProtocol, Value: DataProtocol},
		{Name: TagType, Value: TypeAssignment},
		{Name: TagVariant, Value: Variant},
	}
	if !a.Message.IsZero() {
		tags = append(tags, dataitem.Tag{Name: TagMessage, Value: a.Message.String()})
	}
	for _, field := range a.Exclude {
		tags = append(tags, dataitem.Tag{Name: TagExclude, Value: field})
	}
	return tags
}

// ParseAssignment reads an assignment item's tags. It does not check the
// signature.
func ParseAssignment(it *dataitem.Item) (Assignment, error) {
	a := Assignment{ID: it.ID(), Exclude: it.Tags.All(TagExclude)}
	if !it.Tags.Contains(TagType, TypeAssignment) {
		return a, fmt.Errorf("item %s is not an assignment", a.ID)
	}
	var err error
	read := func(name string, set func(string) error) {
		if err != nil {
			return
		}
		if e := set(it.Tags.Get(name)); e != nil {
			err = fmt.Errorf("assignment %s: tag %s: %w", a.ID, name, e)
		}
	}
	read(TagProcess, func(s string) error { return a.Process.UnmarshalText([]byte(s)) })
	read(TagMessage, func(s string) error { return a.Message.UnmarshalText([]byte(s)) })
	read(TagHashChain, func(s string) error { return a.HashChain.UnmarshalText([]byte(s)) })
	read(TagEpoch, parseUint(&a.Epoch))
	read(TagNonce, parseUint(&a.Nonce))
	read(TagBlockHeight, parseUint(&a.BlockHeight))
	read(TagTimestamp, func(s string) (e error) {
		a.TimestampMS, e = strconv.ParseInt(s, 10, 64)
		return e
	})
	return a, err
}

func parseUint(to *uint64) func(string) error {
	return func(s string) (err error) {
		*to, err = strconv.ParseUint(s, 10, 64)
		return err
	}
}

// FirstHashChain is the hash chain of a process's first slot.
func FirstHashChain(process ID) ID { return sha256.Sum256(process[:]) }

// NextHashChain is the hash chain of the slot after the one whose assignment
// id and hash chain are given.
func NextHashChain(assignment, hashChain ID) ID {
	var both [64]byte
	copy(both[:32], assignment[:])
	copy(both[32:], hashChain[:])
	return sha256.Sum256(both[:])
}
