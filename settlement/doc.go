// Package settlement brings what a log takes onto the weave, and back.
//
// Every item and assignment is uploaded, to a bundler or in bundles of the node's
// own, in the order of its group, so that no nonce of a process is there before
// the one below it. The log is the queue: what is stored is only how far it was
// uploaded and how far that was found again, deep enough in the chain and with the
// right bytes. What is lost on the way is uploaded again.
//
// An Archive reads from any gateway. It believes nothing but where things are:
// signatures, hashes and chains are checked here.
package settlement
