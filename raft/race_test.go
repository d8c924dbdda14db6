//go:build race

package raft

// raceEnabled makes tests try fewer worlds: the detector makes each ten times as
// slow, and one is enough for it.
const raceEnabled = true
