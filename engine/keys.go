package engine

import (
	"encoding/binary"

	"github.com/wallaby-ao/wallaby/ao"
)

// Keys in the store. All integers are big-endian, so that keys sort as their
// numbers do.
//
//	er process nonce    evaluation (see record)
//	eh process          progress: the first nonce without an evaluation
//	em process message  nonce of the message's first place in the process
//	el process          mark: the process was behind when the position was kept
//	eg group            position up to which the log has been followed
//	eo process nonce    outbox record with something to deliver
//	ex process nonce    outbox record whose remainder is dead
//	et process nonce    outbox record that is done, kept as a trace
//	ed process nonce index (4)  ids that a done effect delivered
//	es process nonce    snapshot manifest
//	ep hash             snapshot page, compressed
//	ef hash process     reference of a process's snapshots to a page
//	ec process          choice of a virtual machine, as JSON
//	ey process nonce    hash of a replay's results up to a snapshot of its state
//	ei process          mark: a snapshot of the process is being written
const (
	keyRecord    = "er"
	keyProgress  = "eh"
	keyMessage   = "em"
	keyLag       = "el"
	keyPosition  = "eg"
	keyOutbox    = "eo"
	keyDead      = "ex"
	keyTrace     = "et"
	keyDelivered = "ed"
	keyManifest  = "es"
	keyPage      = "ep"
	keyReference = "ef"
	keyIntent    = "ei"
	keyChoice    = "ec"
	keyReplay    = "ey"
)

func idKey(prefix string, id ao.ID) []byte {
	return append([]byte(prefix), id[:]...)
}

func idsKey(prefix string, first, second ao.ID) []byte {
	return append(idKey(prefix, first), second[:]...)
}

func nonceKey(prefix string, process ao.ID, nonce uint64) []byte {
	return binary.BigEndian.AppendUint64(idKey(prefix, process), nonce)
}

func effectKey(key EffectKey) []byte {
	return binary.BigEndian.AppendUint32(nonceKey(keyDelivered, key.Process, key.Nonce), key.Index)
}

func groupKey(group uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte(keyPosition), group)
}

// splitNonceKey reads the process and nonce of a key made by nonceKey.
func splitNonceKey(key []byte) (process ao.ID, nonce uint64) {
	return ao.ID(key[2:34]), binary.BigEndian.Uint64(key[34:42])
}
