package ao

import "github.com/wallaby-ao/wallaby/dataitem"

// ID names an item, a process, a module, an assignment or an address.
type ID = dataitem.ID

// ParseID reads the 43-character text form of an id.
func ParseID(s string) (ID, error) { return dataitem.ParseID(s) }

// Tag names of the data protocol ao.TN.1.
const (
	TagDataProtocol   = "Data-Protocol"
	TagVariant        = "Variant"
	TagType           = "Type"
	TagModule         = "Module"
	TagScheduler      = "Scheduler"
	TagAuthority      = "Authority"
	TagOnBoot         = "On-Boot"
	TagProcess        = "Process"
	TagEpoch          = "Epoch"
	TagNonce          = "Nonce"
	TagHashChain      = "Hash-Chain"
	TagBlockHeight    = "Block-Height"
	TagTimestamp      = "Timestamp"
	TagMessage        = "Message"
	TagExclude        = "Exclude"
	TagFromProcess    = "From-Process"
	TagFromModule     = "From-Module"
	TagPushedFor      = "Pushed-For"
	TagModuleFormat   = "Module-Format"
	TagInputEncoding  = "Input-Encoding"
	TagOutputEncoding = "Output-Encoding"
	TagMemoryLimit    = "Memory-Limit"
	TagComputeLimit   = "Compute-Limit"
	TagContentType    = "Content-Type"
	TagURL            = "Url"
	TagTimeToLive     = "Time-To-Live"
	// TagSettlementDepth says how many confirmations a base-layer transaction needs
	// before it is assigned to a process.
	TagSettlementDepth = "Settlement-Depth"
	// TagAuthorityQuorum is Wallaby's own: how many of a process's authorities must
	// have delivered a push before the process gets it.
	TagAuthorityQuorum = "Authority-Quorum"
	TagCronInterval    = "Cron-Interval"
	// TagSequencing is Wallaby's own: the mode in which a process is ordered.
	TagSequencing = "Sequencing"
	// TagVM is Wallaby's own: the name of the virtual machine that runs a process.
	TagVM = "VM"
	// TagAssignment names an assignment in an operator's attestation.
	TagAssignment = "Assignment"
)

// Tag values of the data protocol.
const (
	DataProtocol = "ao"
	Variant      = "ao.TN.1"

	TypeModule            = "Module"
	TypeProcess           = "Process"
	TypeMessage           = "Message"
	TypeAssignment        = "Assignment"
	TypeSchedulerLocation = "Scheduler-Location"

	// These types are Wallaby's own: an operator's signature under a process's
	// order, and a signed wish to have a process ordered otherwise.
	TypeAttestation = "Attestation"
	TypeSequencing  = "Sequencing"
)
