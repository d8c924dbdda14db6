// Package arweave speaks the base layer: format-2 transactions, the Merkle
// tree over their data, and a client for nodes, gateways and bundlers.
//
// It owns what Arweave signs and proves and does no storage; package
// arweave/gateway builds on it. It does not mine, price or judge anchors, and
// it reads neither format-1 transactions nor secp256k1 wallets.
package arweave
