// Package vmtest says what every virtual machine must do, as tests that any
// driver's package runs: Conformance with modules made for it, Compare with real
// aos modules against ao's reference loader, which runs in node, and Equal and
// Relay, which hold drivers against each other.
package vmtest
