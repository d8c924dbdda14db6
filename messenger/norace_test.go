//go:build !race

package messenger_test

// seedsPerRun is how many worlds a run of the tests tries.
const seedsPerRun = 1000
