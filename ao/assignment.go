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
	a := Assignment{ID: it.ID()}
	var known [7]bool
	isAssignment := false
	for _, tag := range it.Tags {
		var err error
		switch tag.Name {
		case TagType:
			isAssignment = isAssignment || tag.Value == TypeAssignment
		case TagExclude:
			a.Exclude = append(a.Exclude, tag.Value)
		case TagProcess:
			err = first(&known[0], a.Process.UnmarshalText, tag.Value)
		case TagMessage:
			err = first(&known[1], a.Message.UnmarshalText, tag.Value)
		case TagHashChain:
			err = first(&known[2], a.HashChain.UnmarshalText, tag.Value)
		case TagEpoch:
			err = firstNumber(&known[3], &a.Epoch, tag.Value)
		case TagNonce:
			err = firstNumber(&known[4], &a.Nonce, tag.Value)
		case TagBlockHeight:
			err = firstNumber(&known[5], &a.BlockHeight, tag.Value)
		case TagTimestamp:
			if !known[6] {
				known[6] = true
				a.TimestampMS, err = strconv.ParseInt(tag.Value, 10, 64)
			}
		}
		if err != nil {
			return a, fmt.Errorf("assignment %s: tag %s: %w", a.ID, tag.Name, err)
		}
	}
	if !isAssignment {
		return a, fmt.Errorf("item %s is not an assignment", a.ID)
	}
	for i, name := range []string{3: TagEpoch, 4: TagNonce, 5: TagBlockHeight, 6: TagTimestamp} {
		if name != "" && !known[i] {
			return a, fmt.Errorf("assignment %s: it has no tag %s", a.ID, name)
		}
	}
	return a, nil
}

// first reads a tag's value if it is the first of its name, which counts.
func first(known *bool, read func([]byte) error, value string) error {
	if *known {
		return nil
	}
	*known = true
	return read([]byte(value))
}

func firstNumber(known *bool, to *uint64, value string) (err error) {
	if !*known {
		*known = true
		*to, err = strconv.ParseUint(value, 10, 64)
	}
	return err
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
