//go:build race

package messenger_test

// seedsPerRun is how many worlds a run of the tests tries: the detector makes each
// ten times as slow, and a few are enough for it.
const seedsPerRun = 50
