package history

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// checker looks at records in the order of the file. It keeps what later ones are
// compared with.
type checker struct {
	options VerifyOptions
	header  Header
	report  Report
	places  map[uint64]placed
	next    uint64 // one past the highest nonce so far
	// misplaced counts findings about which records there are, which make the
	// index wrong too.
	misplaced int

	messages map[ao.ID]uint64   // first place of each message
	bare     map[ao.ID][]uint64 // places whose item has not come yet
	process  *dataitem.Item

	epoch     uint64
	mode      aolog.Mode
	epochFrom uint64 // the epoch's first nonce
	attested  uint64 // one past the newest place that enough operators signed
	promised  int64
	until     *Time // what passed behind the newest place
	claims    stretch
	indexed   []place
	index     *Record
	ended     *Ended
}

// placed is what is kept of a place.
type placed struct {
	assignment ao.ID
	hashChain  ao.ID
	timestamp  int64
	height     uint64
	// sound says that the assignment is as it was signed: others may be compared
	// with it.
	sound bool
	// promised is the time that was said to have passed before it.
	promised int64
}

func newChecker(header Header, options VerifyOptions) *checker {
	c := &checker{
		options: options, header: header, mode: aolog.Solo,
		places: map[uint64]placed{}, messages: map[ao.ID]uint64{}, bare: map[ao.ID][]uint64{},
	}
	c.report.Process, c.report.Source = header.Process, header.Source
	c.report.Schedulers, c.report.Findings = []string{}, []Finding{} // never null in JSON
	return c
}

func (c *checker) find(nonce uint64, what What, severity Severity, expected, format string, args ...any) {
	switch what {
	case WhatDamaged, WhatMissing, WhatRepeated, WhatOutOfOrder, WhatTwoOrders, WhatCutOff:
		c.misplaced++
	}
	c.report.add(Finding{nonce, what, severity, expected, fmt.Sprintf(format, args...)})
}

func (c *checker) wrong(nonce uint64, what What, expected, format string, args ...any) {
	c.find(nonce, what, Wrong, expected, format, args...)
}

// take looks at the next record.
func (c *checker) take(n *inspection) {
	c.report.Bytes = n.size
	c.report.Signatures += n.signatures
	r := n.record
	if n.damage != nil {
		c.damaged(n.damage)
		return
	}
	c.note(r)
	if n.malformed != nil {
		c.wrong(c.nonceOf(r.Kind, r.Nonce), WhatDamaged, "", "byte %d: the %s cannot be read: %v", r.Offset, r.Kind, n.malformed)
		return
	}
	switch r.Kind {
	case KindEntry:
		c.entry(n)
	case KindClaim:
		c.claim(n)
	case KindItem:
		c.item(n)
	case KindOpening:
		c.opening(n)
	case KindAttest:
		c.attest(n)
	case KindSkip:
		c.skip(n)
	case KindTime:
		c.time(n)
	case KindModule:
		c.module(n)
	case KindNote:
		c.find(r.Nonce, WhatNote, Remark, "", "%s", n.note.Text)
	case KindIndex:
		c.index = &r
	case KindEnd:
		c.ended = &n.ended
	case KindCheckpoint, KindStatement: // are package proof's to check
	default:
		c.find(r.Nonce, WhatUnknown, Remark, "", "byte %d: a record of kind %d, which this program does not know", r.Offset, uint8(r.Kind))
	}
}

// note keeps where records begin, as a writer does, to compare the index.
func (c *checker) note(r Record) {
	w := Writer{places: c.indexed, entries: c.report.Entries}
	w.note(r)
	c.indexed, c.report.Entries = w.places, w.entries
}

// nonceOf gives the nonce that a record is about.
func (c *checker) nonceOf(kind Kind, nonce uint64) uint64 {
	switch kind {
	case 0, KindHeader, KindModule, KindIndex, KindEnd:
		return c.next
	}
	return nonce
}

func (c *checker) damaged(d *Damage) {
	nonce := c.nonceOf(d.Kind, d.Nonce)
	what := WhatDamaged
	if d.Cut {
		what = WhatCutOff
	}
	c.wrong(nonce, what, "", "%v", d)
	if d.Kind == KindEntry || d.Kind == KindClaim {
		c.fill(nonce)
	}
}

// entry looks at a place of the log.
func (c *checker) entry(n *inspection) {
	nonce := n.record.Nonce
	if n.assignment.malformed != nil {
		c.wrong(nonce, WhatAssignment, "", "the assignment cannot be read: %v", n.assignment.malformed)
		c.fill(nonce)
		c.message(n, ao.Assignment{Nonce: nonce}, false)
		return
	}
	a := n.place
	sound := c.signedAssignment(n, a)
	if a.Process != c.header.Process {
		c.wrong(nonce, WhatOtherProcess, c.header.Process.String(), "assignment %s is of process %s", a.ID, a.Process)
		c.fill(nonce)
		return
	}
	if a.Nonce != nonce {
		c.wrong(nonce, WhatAssignment, "nonce "+strconv.FormatUint(nonce, 10), "assignment %s has nonce %d", a.ID, a.Nonce)
		if !sound {
			a.Nonce = nonce
		}
	}
	c.timed(a)
	if sound {
		c.signer(n, a)
		c.inEpoch(a)
	}
	if c.order(a.Nonce, placed{a.ID, a.HashChain, a.TimestampMS, a.BlockHeight, sound, c.promised}) {
		c.link(a.Nonce)
		c.link(a.Nonce + 1)
		c.message(n, a, true)
	}
}

// fill keeps a place whose record is useless from being missing as well.
func (c *checker) fill(nonce uint64) {
	if _, ok := c.places[nonce]; !ok {
		c.places[nonce] = placed{}
		c.next = max(c.next, nonce+1)
	}
}

// signedAssignment reports whether an assignment is as it was signed.
func (c *checker) signedAssignment(n *inspection, a ao.Assignment) bool {
	switch {
	case n.assignment.unsigned == nil:
		return true
	case n.record.Flags&FlagAssignmentRebuilt != 0:
		c.find(n.record.Nonce, WhatAssignmentSignature, Unproven, "", "assignment %s was put together from what a scheduler told, which is not what was signed", a.ID)
	default:
		c.wrong(n.record.Nonce, WhatAssignmentSignature, "", "assignment %s: %v", a.ID, n.assignment.unsigned)
	}
	return false
}

// order gives a place its turn, and reports whether it is the first of its nonce.
func (c *checker) order(nonce uint64, at placed) bool {
	known, ok := c.places[nonce]
	switch {
	case ok && known.assignment.IsZero(): // only damage was there
	case ok && known.assignment == at.assignment:
		c.wrong(nonce, WhatRepeated, "nonce "+strconv.FormatUint(c.next, 10), "assignment %s is there again", at.assignment)
		return false
	case ok:
		c.wrong(nonce, WhatTwoOrders, "assignment "+known.assignment.String(), "assignment %s has the same place", at.assignment)
		return false
	case nonce < c.next:
		c.wrong(nonce, WhatOutOfOrder, "nonce "+strconv.FormatUint(c.next, 10), "nonce %d stands behind nonce %d", nonce, c.next-1)
	}
	c.places[nonce] = at
	if nonce == 0 {
		c.report.FirstMS = at.timestamp
	}
	if nonce >= c.next {
		c.next = nonce + 1
		c.report.Head, c.report.Assignment, c.report.LastMS, c.report.Epoch = nonce, at.assignment, at.timestamp, c.epoch
		c.report.HashChain = ao.ID{}
		if at.sound {
			c.report.HashChain = ao.NextHashChain(at.assignment, at.hashChain)
		}
	}
	return true
}

// link compares a place with the one before it, when both are there.
func (c *checker) link(nonce uint64) {
	at, ok := c.places[nonce]
	if !ok || !at.sound {
		return
	}
	if nonce == 0 {
		if want := ao.FirstHashChain(c.header.Process); at.hashChain != want {
			c.wrong(0, WhatHashChain, want.String(), "%s", at.hashChain)
		}
		return
	}
	before, ok := c.places[nonce-1]
	if !ok || !before.sound {
		return
	}
	if want := ao.NextHashChain(before.assignment, before.hashChain); at.hashChain != want {
		c.wrong(nonce, WhatHashChain, want.String(), "%s", at.hashChain)
	}
	switch earliest := max(before.timestamp, at.promised); {
	case at.timestamp < before.timestamp, at.timestamp <= at.promised:
		c.wrong(nonce, WhatTimestamp, fmt.Sprintf("after %d", earliest), "%d", at.timestamp)
	case at.timestamp == before.timestamp:
		c.find(nonce, WhatTimestamp, Remark, fmt.Sprintf("after %d", earliest), "%d: a query by time may leave one of the two out", at.timestamp)
	}
	if at.height < before.height {
		c.find(nonce, WhatBlockHeight, Remark, fmt.Sprintf("%d or more", before.height), "%d", at.height)
	}
}

// signer looks at who signed an assignment: anybody can order anything, so it must
// be whom the process names, or whom the caller trusts.
func (c *checker) signer(n *inspection, a ao.Assignment) {
	names := addressesOf(n.assignment.item)
	if !slices.Contains(c.report.Schedulers, names[0]) {
		c.report.Schedulers = append(c.report.Schedulers, names[0])
	}
	trusted := c.options.Schedulers
	if len(trusted) == 0 {
		trusted = c.namedSchedulers(n, a)
		c.options.Schedulers = append(trusted, names...) // one finding is enough
	}
	if len(trusted) == 0 {
		c.find(a.Nonce, WhatScheduler, Unproven, "", "the process does not say that %s may order it", names[0])
		return
	}
	if !slices.ContainsFunc(names, func(name string) bool { return slices.Contains(trusted, name) }) {
		c.wrong(a.Nonce, WhatScheduler, strings.Join(trusted, " or "), "assignment %s is signed by %s", a.ID, names[0])
	}
}

// namedSchedulers gives whom the process names.
func (c *checker) namedSchedulers(n *inspection, a ao.Assignment) (names []string) {
	process := c.process
	if process == nil && a.Message.IsZero() && n.item.item != nil && n.item.item.ID() == c.header.Process {
		process = n.item.item
	}
	if process == nil {
		return nil
	}
	for name := range strings.SplitSeq(process.Tags.Get(ao.TagScheduler), ",") {
		names = append(names, strings.TrimSpace(name))
	}
	return names
}

// addressesOf gives an owner's address as gateways index it, and as contracts see
// it.
func addressesOf(item *dataitem.Item) []string {
	return []string{item.OwnerAddress().String(), item.Address()}
}

// stretch gathers findings about nonces that follow each other.
type stretch struct {
	from, to uint64
	any      bool
}

// add takes one more nonce, and reports false if it does not follow.
func (s *stretch) add(nonce uint64) bool {
	if s.any && nonce != s.to+1 {
		return false
	}
	if !s.any {
		s.from = nonce
	}
	s.to, s.any = nonce, true
	return true
}
