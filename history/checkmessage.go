package history

import (
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// message looks at the item that an assignment is about. named says that the
// assignment could be read.
func (c *checker) message(n *inspection, a ao.Assignment, named bool) {
	if !n.item.there {
		switch {
		case !named:
		case a.Message.IsZero():
			c.wrong(a.Nonce, WhatProcess, "the process", "the assignment of the process itself comes without it")
		default:
			c.bare[a.Message] = append(c.bare[a.Message], a.Nonce)
			c.twice(a.Nonce, a.Message, Remark)
		}
		return
	}
	if n.item.malformed != nil {
		c.wrong(a.Nonce, WhatMessage, "", "the item cannot be read: %v", n.item.malformed)
		return
	}
	item := n.item.item
	if n.item.unsigned != nil {
		if n.record.Flags&FlagItemRebuilt != 0 {
			c.find(a.Nonce, WhatMessageSignature, Unproven, "", "item %s was put together from what a scheduler told, which is not what was signed", item.ID())
		} else {
			c.wrong(a.Nonce, WhatMessageSignature, "", "item %s: %v", item.ID(), n.item.unsigned)
		}
	}
	if !named {
		return
	}
	want := a.Message
	if want.IsZero() {
		want = c.header.Process
	}
	if item.ID() != want {
		c.wrong(a.Nonce, WhatMessageID, want.String(), "the item with it is %s", item.ID())
		return
	}
	kind, process, err := ao.CheckItem(item)
	switch {
	case err != nil:
		c.wrong(a.Nonce, WhatMessageTarget, "", "item %s: %v", item.ID(), err)
	case a.Message.IsZero() && kind != ao.KindProcess:
		c.wrong(a.Nonce, WhatProcess, "a process", "item %s is a message", item.ID())
	case process != c.header.Process:
		c.wrong(a.Nonce, WhatMessageTarget, c.header.Process.String(), "item %s is for process %s", item.ID(), process)
	}
	switch {
	case !a.Message.IsZero():
		c.twice(a.Nonce, a.Message, Wrong)
		if a.Nonce == 0 && c.process == nil {
			c.wrong(0, WhatProcess, "the process", "the history begins with message %s", a.Message)
		}
	case a.Nonce > 0:
		c.wrong(a.Nonce, WhatProcess, "a message", "the process itself is assigned again")
	default:
		c.process = item
		c.begin()
	}
}

// twice finds a message that has a place already.
func (c *checker) twice(nonce uint64, message ao.ID, severity Severity) {
	if first, ok := c.messages[message]; ok {
		c.find(nonce, WhatMessageTwice, severity, "a message without a place", "message %s has nonce %d already", message, first)
		return
	}
	c.messages[message] = nonce
}

// begin reads from the process how it is ordered.
func (c *checker) begin() {
	c.report.ModuleID, _ = ao.ParseID(c.process.Tags.Get(ao.TagModule))
	if text, ok := c.process.Tags.Lookup(ao.TagSequencing); ok {
		if mode, err := aolog.ParseMode(text); err == nil {
			c.mode = mode
		}
	}
}

// item looks at an item that an assignment names and does not carry.
func (c *checker) item(n *inspection) {
	nonce := n.record.Nonce
	if n.item.malformed != nil || !n.item.there {
		c.wrong(nonce, WhatItem, "", "the item cannot be read: %v", n.item.malformed)
		return
	}
	id := n.item.item.ID()
	if n.item.unsigned != nil {
		c.wrong(nonce, WhatItem, "", "item %s: %v", id, n.item.unsigned)
	}
	if id == c.header.Process {
		c.process = n.item.item
		c.begin()
		c.find(nonce, WhatProcess, Remark, "", "the process has no assignment of its own")
		return
	}
	if _, ok := c.bare[id]; !ok {
		c.wrong(nonce, WhatItem, "an item that an assignment before it names", "item %s", id)
		return
	}
	delete(c.bare, id)
}

// claim looks at an assignment that is known from hearsay.
func (c *checker) claim(n *inspection) {
	told := n.claim
	if told.Process != c.header.Process {
		c.wrong(n.record.Nonce, WhatOtherProcess, c.header.Process.String(), "assignment %s is of process %s", told.ID, told.Process)
		return
	}
	if !c.claims.add(told.Nonce) {
		c.tellClaims()
		c.claims.add(told.Nonce)
	}
	if !c.order(told.Nonce, placed{assignment: told.ID, timestamp: told.TimestampMS, height: told.BlockHeight}) {
		return
	}
	if told.Nonce == 0 && told.Message == c.header.Process {
		told.Message = ao.ID{}
	}
	c.message(n, ao.Assignment{ID: told.ID, Process: told.Process, Message: told.Message, Nonce: told.Nonce}, true)
}

// tellClaims makes one finding of claims that follow each other.
func (c *checker) tellClaims() {
	if s := c.claims; s.any {
		c.find(s.from, WhatClaim, Unproven, "signed assignments", "%s: the order is known from hearsay", nonces(s.from, s.to))
	}
	c.claims = stretch{}
}

func nonces(from, to uint64) string {
	if from == to {
		return "nonce " + strconv.FormatUint(from, 10)
	}
	return "nonces " + strconv.FormatUint(from, 10) + " to " + strconv.FormatUint(to, 10)
}
