// Package lsm stores small keys in sorted tables that are merged as they become
// many: a log-structured merge tree without a log of its own. What was put last
// is in memory alone and is lost with the process, so it is for what can be
// derived again. What is left is always the whole of the first so many puts.
//
// The design is that of O'Neil and others, "The log-structured merge-tree"
// (1996), with tiers of tables rather than one sorted run per level: a key is
// written once for each tier, and a look-up asks a filter of each table (Bloom,
// 1970) before it reads one.
package lsm
