// Package stateroot owns the state root: a short commitment to every byte of a
// process's state, the same on every machine and virtual machine that reached it,
// and proofs that one page or one section belongs to a root.
//
// It promises that the root is a function of the state alone and that its format
// stands: test vectors hold it (testdata/vectors.json). H is SHA-256, integers are
// big-endian.
//
//	root    = H(0 ‖ memory size (8) ‖ memory tree ‖ section tree)
//	memory  = tree over H(page) for every page of 65,536 bytes, the zero ones too
//	section = tree over H(2 ‖ length of name (4) ‖ name ‖ H(value)), by name
//	tree    = H(1 ‖ left ‖ right) pairwise from the left; the odd one moves up;
//	          the tree over nothing is 32 zero bytes
//
// Nothing passes for something else: what is hashed begins with a byte of its own,
// but for a page, which alone stands in the memory tree's leaves and has a length that
// a node has not. The shape of a tree follows from the number of its leaves, for the
// memory from its size, which the root has in it.
package stateroot
