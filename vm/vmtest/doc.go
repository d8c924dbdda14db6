// Package vmtest says what every virtual machine must do, as tests that any
// driver's package runs: Conformance with modules made for it, and Compare with
// real aos modules against ao's reference loader, which runs in node.
package vmtest
