package log

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
)

// Weave knows what lies outside the log.
type Weave interface {
	// Standing says how an item or transaction lies there; known is false when
	// nobody has it.
	Standing(ctx context.Context, id ao.ID) (standing Standing, known bool, err error)
}

// Standing is how an item or transaction lies on the weave.
type Standing struct {
	// Confirmations counts the blocks from its own to the newest; 0: it is in
	// none yet.
	Confirmations uint64
	DataBytes     uint64
	Whole         bool // all of its data is there
}

var (
	// ErrNotThere is the cause of a refusal to assign what nobody has, or not all
	// of: somebody may upload it.
	ErrNotThere = errors.New("what is assigned is not there")
	// ErrNotSettled is the cause of a refusal to assign a transaction that does
	// not lie deep enough yet, and will within a week.
	ErrNotSettled = errors.New("what is assigned is not settled")
)

const (
	// settlementDepthDefault is how deep a base-layer transaction must lie when its
	// process does not say, or says something that is no number.
	settlementDepthDefault = 20
	// minutesPerBlock is what Arweave aims at.
	minutesPerBlock = 2
	// settlementWaitMax is for how many blocks a messenger waits: a week.
	settlementWaitMax = 7 * 24 * 60 / minutesPerBlock
	// AssignedBytesMax bounds the data that an assignment brings to a process.
	AssignedBytesMax = 10 << 20
)

// CheckAssignment makes sure that what a bare assignment names can be given to
// its process. The log would keep an assignment of nothing for ever, and its
// process would wait for it as long. A base-layer assignment waits until the
// transaction lies as deep as the process's Settlement-Depth asks.
func CheckAssignment(ctx context.Context, l Log, weave Weave, p Proposal, baseLayer bool) error {
	process, err := l.Read(ctx, p.Process, 0)
	if errors.Is(err, ErrProcessUnknown) || errors.Is(err, ErrEntryUnknown) {
		return ao.Errorf(ao.CodeNotFound, "process %s is not known to this scheduler", p.Process)
	}
	if err != nil {
		return err
	}
	if !baseLayer {
		if whole, err := holds(ctx, l, p.Message); whole || err != nil {
			return err
		}
	}
	standing, known, err := weave.Standing(ctx, p.Message)
	if err != nil {
		return err
	}
	if !known {
		return notThere(ao.CodeNotFound, "Transaction not found: neither the log nor the gateway knows %s", p.Message)
	}
	if baseLayer {
		if err := settled(process, p.Message, standing.Confirmations); err != nil {
			return err
		}
	}
	switch {
	case slices.Contains(p.Exclude, "Data"):
		return nil
	case !standing.Whole:
		return notThere(ao.CodeUnprocessable, "the data of %s is not all at the gateway: upload the rest, or assign it with exclude=Data", p.Message)
	case standing.DataBytes > AssignedBytesMax:
		return ao.Errorf(ao.CodeTooLarge, "%s has %d bytes of data, more than the %d that a process is given: assign it with exclude=Data",
			p.Message, standing.DataBytes, AssignedBytesMax)
	}
	return nil
}

// holds reports whether the log has an item's own bytes, or an assignment of
// this id, and not only an assignment of something elsewhere.
func holds(ctx context.Context, l Log, id ao.ID) (bool, error) {
	process, nonce, err := l.Locate(ctx, id)
	if errors.Is(err, ErrEntryUnknown) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	entry, err := l.Read(ctx, process, nonce)
	return err == nil && (entry.ID == id || !entry.IsBare()), err
}

// settled compares a transaction's depth with what a process asks for.
func settled(process Entry, tx ao.ID, depth uint64) error {
	item, err := process.Item()
	if err != nil {
		return err
	}
	want, err := strconv.ParseUint(item.Tags.Get(ao.TagSettlementDepth), 10, 64)
	if err != nil {
		want = settlementDepthDefault
	}
	if depth >= want {
		return nil
	}
	missing := want - depth
	if missing > settlementWaitMax {
		return ao.Errorf(ao.CodeUnprocessable, "Not enough confirmations to assign: %s has %d of %d: try again in %d blocks", tx, depth, want, missing)
	}
	refusal := ao.Errorf(ao.CodeUnprocessable, "Not enough confirmations to assign: %s has %d of %d: try again in %d blocks, about %d minutes",
		tx, depth, want, missing, missing*minutesPerBlock)
	refusal.Cause = ErrNotSettled
	return refusal
}

func notThere(code ao.Code, format string, args ...any) error {
	refusal := ao.Errorf(code, format, args...)
	refusal.Cause = ErrNotThere
	return refusal
}
