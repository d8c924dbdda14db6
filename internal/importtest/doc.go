// Package importtest holds the table of docs/ARCHITECTURE.md that says which
// package may import which. It has tests only: they list the packages of this
// module, and fail when an import goes upwards, when a package stands in no
// row, when the document and the test disagree, or when the standard
// library's log or a cgo package gets in.
package importtest
