// Package diff owns how two accounts of a process are compared: the first nonce at which
// their results differ, found by bisection, and what of two results or two states is
// different, so that a person can look at it.
//
// It promises that the nonce is the first, whatever comes after it. It runs and fetches
// nothing: who gives an account is a Side.
package diff
