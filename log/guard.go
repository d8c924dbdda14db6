//go:build !mutant

package log

// tipGuard has a ledger refuse to open when it ends before its tip. A build with
// the tag mutant goes without, so that a test can show what that loses.
const tipGuard = true
