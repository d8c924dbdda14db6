// Package examples holds processes in Lua to read, to build and to begin from:
// docs/EXAMPLES.md.
package examples

import "embed"

// Files has a directory for each example.
//
//go:embed */*.lua */wallaby.yaml
var Files embed.FS
