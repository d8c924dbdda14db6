// Package wazero runs prepared modules on wazero: pure Go, no cgo, the default
// engine. Compiled code is kept on disk between starts when a directory is
// given.
package wazero
