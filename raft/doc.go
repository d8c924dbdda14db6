// Package raft is a log.Log whose order is agreed by hashicorp/raft.
//
// The Raft log is the message log: the library's LogStore is a view of the
// ledger's segments, so a payload is written once. One node is a group of one
// voter, with no code path of its own. The state machine holds no results,
// only an index that says where each entry is; it checks every entry against
// the one before it and refuses what a stale leader proposed.
//
// It knows nothing of evaluation.
package raft
