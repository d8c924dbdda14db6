package engine

import (
	"encoding/binary"

	"github.com/wallaby-ao/wallaby/ao"
)

// Keys in the store. All integers are big-endian, so that keys sort as their
// numbers do. A place is a nonce, and behind it the number of a tick of crons if it
// is one: so ticks sort behind their message and before the next.
//
//	er process place    evaluation (see record)
//	eh process          progress: the first place without an evaluation
//	em process message  nonce of the message's first place in the process
//	el process          mark: the process was behind when the position was kept
//	eg group            position up to which the log has been followed
//	eo process place    outbox record with something to deliver
//	ek process place    outbox record whose remainder is parked, or dead
//	ex process place    outbox record whose remainder is dead
//	et process place    outbox record that is done, kept as a trace
//	ed process place index (4)  how a done effect was delivered (see delivery)
//	es process place    snapshot manifest
//	ep hash             snapshot page, compressed
//	ef hash process     reference of a process's snapshots to a page
//	ez process place    root of the state there (see storedRoot)
//	ec process          choice of a virtual machine, as JSON
//	eq process push     tally of a push that waits for authorities
//	ea process push     tally of a push that the process got
//	ey process nonce    hash of a replay's results up to a snapshot of its state
//	ei process          mark: a snapshot of the process is being written
const (
	keyRecord    = "er"
	keyProgress  = "eh"
	keyMessage   = "em"
	keyLag       = "el"
	keyPosition  = "eg"
	keyOutbox    = "eo"
	keyParked    = "ek"
	keyDead      = "ex"
	keyTrace     = "et"
	keyDelivered = "ed"
	keyManifest  = "es"
	keyPage      = "ep"
	keyReference = "ef"
	keyIntent    = "ei"
	keyStateRoot = "ez"
	keyChoice    = "ec"
	keyWaiting   = "eq"
	keyHanded    = "ea"
	keyReplay    = "ey"
)

func idKey(prefix string, id ao.ID) []byte {
	return append([]byte(prefix), id[:]...)
}

func idsKey(prefix string, first, second ao.ID) []byte {
	return append(idKey(prefix, first), second[:]...)
}

func placeKey(prefix string, process ao.ID, at place) []byte {
	b := binary.BigEndian.AppendUint64(idKey(prefix, process), at.nonce)
	if at.tick > 0 {
		b = binary.BigEndian.AppendUint64(b, at.tick)
	}
	return b
}

func deliveryKey(key EffectKey) []byte {
	return binary.BigEndian.AppendUint32(placeKey(keyDelivered, key.Process, key.place()), key.Index)
}

func groupKey(group uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte(keyPosition), group)
}

// splitPlaceKey reads the process and place of a key made by placeKey.
func splitPlaceKey(key []byte) (process ao.ID, at place) {
	process, at.nonce = ao.ID(key[2:34]), binary.BigEndian.Uint64(key[34:42])
	if len(key) > 42 {
		at.tick = binary.BigEndian.Uint64(key[42:50])
	}
	return process, at
}
