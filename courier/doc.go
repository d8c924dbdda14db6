// Package courier reaches the schedulers of processes that are not in this
// node's log: it finds out which scheduler a process names and where that answers,
// and posts items and assignments to it.
//
// What was there already counts as delivered, so posting the same bytes again is
// safe. An assignment has no bytes to be known by: whether one whose answer was
// lost is made twice is up to its scheduler, and Wallaby's makes it once. A refusal
// comes back with the scheduler's own words; a failure that may pass says so.
//
// It keeps nothing on disk, and evaluates nothing: what comes of an item is up to
// the other side.
package courier
