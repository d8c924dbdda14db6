// Package gateway is a small Arweave gateway, node and bundler in one: it takes
// data items and base-layer transactions, verifies them, unbundles bundles,
// serves data with ranges, and answers GraphQL.
//
// It owns the store of everything that was published and the order in which it
// came. What it acknowledged is on disk; what PutVerifiedBatch was given is too
// when that call returns. Inner items of a bundle are verified one by one, and
// those that fail are left out.
//
// It is a devnet's Arweave, so it differs from the real one where that helps:
// storage costs nothing (/price is 0, no fee is taken), /mint gives any wallet
// tokens, transactions are in the current block at once instead of waiting in a
// pool (Options.PendingBlocks changes that), anchors are accepted whatever
// their age, and blocks come from the clock: nothing is mined, and /mine moves
// the height on. A block is made by arithmetic from its height, so an idle
// gateway writes nothing.
package gateway
