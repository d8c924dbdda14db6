package log

import (
	"encoding/binary"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
)

// Ordering is how far a group has ordered a process. Each epoch of a process is
// ordered by one group, in one mode.
type Ordering struct {
	// Head is the newest place. Of an epoch without an entry it is the place
	// that the epoch goes on from, with the new epoch's number.
	Head
	Mode  Mode
	Group uint32
	// First is the nonce of the epoch's first place.
	First uint64
	// Sealed says that the epoch has ended and group To goes on.
	Sealed bool
	To     uint32
	// Attested is one past the newest place that enough operators have signed, in
	// a mode that asks for it.
	Attested uint64
}

// Counts gives one past the newest place that counts: in a cosigned epoch those
// without enough signatures do not yet.
func (o Ordering) Counts() uint64 {
	if o.Mode.Cosigners > 0 {
		return o.Attested
	}
	return o.Nonce + 1
}

// Seal ends an epoch of a process: its group takes nothing after Head, and group
// To goes on from exactly there, in the next epoch.
type Seal struct {
	Head Head   `json:"head"`
	Mode Mode   `json:"mode"` // of the next epoch
	To   uint32 `json:"to"`
	// Order is the signed item that asked for it; none for a move between groups
	// of one mode.
	Order []byte `json:"order,omitempty"`
}

// Opening begins the next epoch of a process in the group that a seal names.
type Opening struct {
	Seal
	// From is the group that sealed the epoch before, and Before its mode.
	From   uint32 `json:"from"`
	Before Mode   `json:"before"`
}

// Ordering gives where the epoch that an opening begins goes on from.
func (o Opening) Ordering() Ordering {
	next := Ordering{Head: o.Head, Mode: o.Mode, Group: o.To, First: o.Head.Nonce + 1, Attested: o.Head.Nonce + 1}
	next.Epoch++
	return next
}

const orderingBytes = headBytes + 4 + 8 + 1 + 4 + 2 + 8

// encodeOrdering writes a head, then: group u32, first u64, sealed u8, to u32,
// voters u8, cosigners u8, attested u64.
func encodeOrdering(o Ordering) []byte {
	b := make([]byte, 0, orderingBytes)
	b = append(b, encodeHead(o.Head)...)
	b = binary.BigEndian.AppendUint32(b, o.Group)
	b = binary.BigEndian.AppendUint64(b, o.First)
	sealed := byte(0)
	if o.Sealed {
		sealed = 1
	}
	b = append(b, sealed)
	b = binary.BigEndian.AppendUint32(b, o.To)
	b = append(b, byte(o.Mode.Voters), byte(o.Mode.Cosigners))
	return binary.BigEndian.AppendUint64(b, o.Attested)
}

func decodeOrdering(process ao.ID, b []byte) (o Ordering, err error) {
	if len(b) != orderingBytes {
		return o, fmt.Errorf("%w: an ordering of %d bytes in the log index", ErrCorrupt, len(b))
	}
	if o.Head, err = decodeHead(process, b[:headBytes]); err != nil {
		return o, err
	}
	b = b[headBytes:]
	o.Group = binary.BigEndian.Uint32(b)
	o.First = binary.BigEndian.Uint64(b[4:])
	o.Sealed = b[12] == 1
	o.To = binary.BigEndian.Uint32(b[13:])
	o.Mode = Mode{Voters: int(b[17]), Cosigners: int(b[18])}
	o.Attested = binary.BigEndian.Uint64(b[19:])
	return o, nil
}
