package history

import "github.com/wallaby-ao/wallaby/ao"

// Severity says what a finding means for whoever relies on a history.
type Severity string

// The severities.
const (
	// Wrong: it contradicts a signature, a hash or what comes before it.
	Wrong Severity = "wrong"
	// Unproven: nothing contradicts it, and nothing in the file proves it.
	Unproven Severity = "unproven"
	// Remark: allowed, and worth knowing.
	Remark Severity = "remark"
)

// What names a kind of finding, for machines.
type What string

// What may be found. docs/formats/aolog.md says when.
const (
	WhatDamaged             What = "damaged"
	WhatCutOff              What = "cut-off"
	WhatIndex               What = "index"
	WhatMissing             What = "missing"
	WhatRepeated            What = "repeated"
	WhatOutOfOrder          What = "out-of-order"
	WhatTwoOrders           What = "two-orders"
	WhatOtherProcess        What = "other-process"
	WhatAssignment          What = "assignment"
	WhatAssignmentSignature What = "assignment-signature"
	WhatScheduler           What = "scheduler"
	WhatEpoch               What = "epoch"
	WhatHashChain           What = "hash-chain"
	WhatTimestamp           What = "timestamp"
	WhatBlockHeight         What = "block-height"
	WhatMessage             What = "message"
	WhatMessageID           What = "message-id"
	WhatMessageSignature    What = "message-signature"
	WhatMessageTarget       What = "message-target"
	WhatMessageTwice        What = "message-twice"
	WhatMessageMissing      What = "message-missing"
	WhatProcess             What = "process"
	WhatItem                What = "item"
	WhatClaim               What = "claim"
	WhatOpening             What = "opening"
	WhatOrder               What = "order"
	WhatAttestation         What = "attestation"
	WhatUnattested          What = "unattested"
	WhatSkip                What = "skip"
	WhatTime                What = "time"
	WhatModule              What = "module"
	WhatNote                What = "note"
	WhatUnknown             What = "unknown-record"
)

// Finding is one thing that a check of a history came upon.
type Finding struct {
	// Nonce is the place that it is about, or the one that comes next if the part
	// of the file does not say.
	Nonce    uint64   `json:"nonce"`
	What     What     `json:"what"`
	Severity Severity `json:"severity"`
	Expected string   `json:"expected,omitempty"`
	Got      string   `json:"got"`
}

// findingsMax bounds the findings that a report lists; all are counted.
const findingsMax = 10_000

// Report is what checking a history came to.
type Report struct {
	Process ao.ID  `json:"process"`
	Source  Origin `json:"source"`
	Bytes   int64  `json:"bytes"`
	// Entries is how many places were there, and Signatures how many signatures
	// were checked.
	Entries    uint64 `json:"entries"`
	Signatures uint64 `json:"signatures"`
	// The newest place, and the hash chain that the next one must carry.
	Epoch       uint64 `json:"epoch"`
	Head        uint64 `json:"head"`
	Assignment  ao.ID  `json:"assignment"`
	HashChain   ao.ID  `json:"hashChain"`
	FirstMS     int64  `json:"firstTimestamp"`
	LastMS      int64  `json:"lastTimestamp"`
	Attested    uint64 `json:"attested,omitempty"` // places that enough operators signed
	ModuleID    ao.ID  `json:"module"`
	ModuleBytes int    `json:"moduleBytes,omitempty"` // 0: the file has no module
	// Schedulers have signed the assignments.
	Schedulers []string  `json:"schedulers"`
	Findings   []Finding `json:"findings"`
	Wrong      int       `json:"wrong"`
	Unproven   int       `json:"unproven"`
	Remarks    int       `json:"remarks"`
	Done       bool      `json:"done"`
}

// OK reports whether everything was there and proven.
func (r Report) OK() bool { return r.Done && r.Wrong == 0 && r.Unproven == 0 }

func (r *Report) add(f Finding) {
	switch f.Severity {
	case Wrong:
		r.Wrong++
	case Unproven:
		r.Unproven++
	case Remark:
		r.Remarks++
	}
	if len(r.Findings) < findingsMax {
		r.Findings = append(r.Findings, f)
	}
}
