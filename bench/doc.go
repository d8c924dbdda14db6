// Package bench measures Wallaby beside its peers: the same work, the same
// machine, the same run. A figure without a peer is only a description; a
// ratio above 1 always means that Wallaby is better.
package bench
