package history

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// inEpoch compares an assignment's epoch with the one that has begun.
func (c *checker) inEpoch(a ao.Assignment) {
	if a.Epoch == c.epoch {
		return
	}
	c.wrong(a.Nonce, WhatEpoch, fmt.Sprintf("epoch %d", c.epoch), "epoch %d, which nothing before it begins", a.Epoch)
	c.tellUnattested(a.Nonce)
	c.epoch, c.epochFrom = a.Epoch, a.Nonce
}

// opening begins the next epoch, which must go on from exactly the head so far.
func (c *checker) opening(n *inspection) {
	o := n.opening
	head := c.next - 1
	at := c.places[head]
	want := aolog.Head{Process: c.header.Process, Epoch: c.epoch, Nonce: head, Assignment: at.assignment, HashChain: at.hashChain, TimestampMS: at.timestamp, BlockHeight: at.height}
	got := o.Head
	got.PromisedMS = 0
	if at.sound && got != want {
		c.wrong(o.Head.Nonce, WhatOpening, describe(want), "epoch %d goes on from %s", o.Head.Epoch+1, describe(got))
	}
	c.wish(n)
	if c.epoch == 0 && (c.process == nil || !c.process.Tags.Has(ao.TagSequencing)) {
		c.mode = o.Before // which the scheduler has chosen
	}
	c.tellUnattested(c.next)
	c.epoch, c.epochFrom, c.mode = o.Head.Epoch+1, c.next, o.Mode
	c.promised = max(c.promised, o.Head.PromisedMS)
}

func describe(h aolog.Head) string {
	return fmt.Sprintf("epoch %d, nonce %d, assignment %s, hash chain %s, timestamp %d, height %d, of process %s",
		h.Epoch, h.Nonce, h.Assignment, h.HashChain, h.TimestampMS, h.BlockHeight, h.Process)
}

// wish looks at the signed order for an epoch, if there was one.
func (c *checker) wish(n *inspection) {
	if !n.item.there {
		return
	}
	o, wish := n.opening, n.item
	nonce := o.Head.Nonce
	if wish.malformed != nil || wish.unsigned != nil {
		c.wrong(nonce, WhatOrder, "", "the order for epoch %d: %v", o.Head.Epoch+1, first(wish.malformed, wish.unsigned))
		return
	}
	tags := wish.item.Tags
	got := fmt.Sprintf("%s of %s in epoch %s", tags.Get(ao.TagSequencing), tags.Get(ao.TagProcess), tags.Get(ao.TagEpoch))
	if want := fmt.Sprintf("%s of %s in epoch %d", o.Mode, c.header.Process, o.Head.Epoch+1); !tags.Contains(ao.TagType, ao.TypeSequencing) || got != want {
		c.wrong(nonce, WhatOrder, want, "the signed order is for %s", got)
	}
	may := slices.Clone(c.options.Schedulers)
	if c.process != nil {
		may = append(may, addressesOf(c.process)...)
	}
	if names := addressesOf(wish.item); !slices.ContainsFunc(names, func(name string) bool { return slices.Contains(may, name) }) {
		c.wrong(nonce, WhatOrder, "the process's owner or its scheduler", "the order is signed by %s", names[0])
	}
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// attest looks at operators' signatures.
func (c *checker) attest(n *inspection) {
	a := n.attested
	at, ok := c.places[a.Nonce]
	if !ok {
		c.wrong(a.Nonce, WhatAttestation, "", "operators have signed nonce %d, which is not there", a.Nonce)
		return
	}
	signers := map[ao.ID]bool{}
	for _, s := range n.statements {
		want := aolog.Statement{Process: c.header.Process, Epoch: a.Epoch, Nonce: a.Nonce, Assignment: at.assignment, HashChain: ao.NextHashChain(at.assignment, at.hashChain)}
		switch {
		case s.err != nil:
			c.wrong(a.Nonce, WhatAttestation, "", "%v", s.err)
		case at.sound && s.said != want:
			c.wrong(a.Nonce, WhatAttestation, say(want), "operator %s signed %s", s.operator, say(s.said))
		case len(c.options.Operators) > 0 && !slices.Contains(c.options.Operators, s.operator.String()):
			c.wrong(a.Nonce, WhatAttestation, "an operator that you named", "%s has signed", s.operator)
		default:
			signers[s.operator] = true
		}
	}
	// The hash chain covers all before it, too.
	if at.sound && len(signers) >= c.need() && a.Epoch == c.epoch {
		c.attested = max(c.attested, a.Nonce+1)
	}
}

func say(s aolog.Statement) string {
	return fmt.Sprintf("assignment %s at nonce %d of epoch %d with hash chain %s", s.Assignment, s.Nonce, s.Epoch, s.HashChain)
}

// need is how many operators must have signed.
func (c *checker) need() int {
	if c.options.Need > 0 {
		return c.options.Need
	}
	return max(1, c.mode.Cosigners)
}

// tellUnattested ends an epoch before a nonce: places that not enough operators
// have signed are found, if the epoch asks for it.
func (c *checker) tellUnattested(before uint64) {
	if before <= c.epochFrom {
		return
	}
	from := min(max(c.attested, c.epochFrom), before)
	c.report.Attested += from - c.epochFrom
	if c.mode.Cosigners > 0 && from < before {
		c.find(from, WhatUnattested, Unproven, fmt.Sprintf("signatures of %d operators", c.need()), "%s: fewer have signed", nonces(from, before-1))
	}
}

// skip looks at time that crons leave out: it lies behind a place and before the
// next.
func (c *checker) skip(n *inspection) {
	s := n.skip
	at, ok := c.places[s.Nonce]
	switch {
	case s.Process != c.header.Process:
		c.wrong(s.Nonce, WhatSkip, c.header.Process.String(), "it is about process %s", s.Process)
	case !ok || s.Nonce != c.next-1:
		c.wrong(s.Nonce, WhatSkip, fmt.Sprintf("nonce %d", c.next-1), "it is about nonce %d", s.Nonce)
	case s.FromMS >= s.UntilMS || at.sound && s.FromMS < at.timestamp:
		c.wrong(s.Nonce, WhatSkip, fmt.Sprintf("from %d on", at.timestamp), "from %d until %d", s.FromMS, s.UntilMS)
	default:
		c.promised = max(c.promised, s.UntilMS)
	}
}

// module compares the module with the one that the process names.
func (c *checker) module(n *inspection) {
	m := n.module
	c.report.ModuleBytes = len(m.Bytes)
	if c.process != nil && m.ID != c.report.ModuleID {
		c.wrong(c.next, WhatModule, c.report.ModuleID.String(), "the module in the file is %s", m.ID)
	}
	switch {
	case n.item.item == nil:
		c.find(c.next, WhatModule, Remark, "", "module %s comes without a signature: its %d bytes have the SHA-256 %x", m.ID, len(m.Bytes), sha256.Sum256(m.Bytes))
	case n.item.unsigned != nil:
		c.wrong(c.next, WhatModule, "", "module %s: %v", m.ID, n.item.unsigned)
	case n.item.item.ID() != m.ID:
		c.wrong(c.next, WhatModule, m.ID.String(), "the signed item is %s", n.item.item.ID())
	}
}

// finish looks at what only the end shows.
func (c *checker) finish() {
	c.tellClaims()
	c.tellUnattested(c.next)
	if c.ended != nil && c.ended.Entries > 0 {
		c.next = max(c.next, c.ended.Head+1)
	}
	c.tellMissing()
	for message, places := range c.bare {
		for _, nonce := range places {
			c.find(nonce, WhatMessageMissing, Unproven, "", "item %s is assigned by name and not in the file", message)
		}
	}
	if c.ended == nil || c.misplaced > 0 {
		return
	}
	if c.ended.Entries != c.report.Entries {
		c.wrong(c.next, WhatIndex, fmt.Sprintf("%d entries", c.report.Entries), "the file says that it has %d", c.ended.Entries)
	}
	var places []place
	err := fmt.Errorf("there is none")
	if c.index != nil && c.index.Offset == c.ended.Index {
		places, err = decodeIndex(c.index.Payload)
	}
	if err != nil || !slices.Equal(places, c.indexed) {
		c.wrong(c.next, WhatIndex, "where records begin", "the index says otherwise")
	}
}

// tellMissing finds nonces that never came. Without a single place there is nothing
// that could be proven.
func (c *checker) tellMissing() {
	if len(c.places) == 0 && c.next == 0 {
		c.wrong(0, WhatMissing, "the process", "nothing")
		return
	}
	next := uint64(0)
	for _, nonce := range append(slices.Sorted(maps.Keys(c.places)), c.next) {
		if between := next == 1 && nonce == c.options.From; nonce > next && !between {
			c.wrong(next, WhatMissing, nonces(next, nonce-1), "nothing")
		}
		next = nonce + 1
	}
}
