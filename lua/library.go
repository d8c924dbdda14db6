package lua

import (
	"embed"
	"io/fs"
	"maps"
	"path"
	"strings"
)

//go:embed library/*.lua
var libraryFiles embed.FS

// Library gives the files that every module has beside its own: what an ao process is
// made of. Their names begin with a dot, except for those that processes require without
// one.
func Library() Files {
	files := Files{}
	names, _ := fs.Glob(libraryFiles, "library/*.lua") // the pattern is well-formed
	for _, name := range names {
		text, _ := libraryFiles.ReadFile(name) // it is embedded
		base := strings.TrimSuffix(path.Base(name), ".lua")
		if !plain[base] {
			base = "." + base
		}
		files[base] = text
	}
	return files
}

// plain are required without a dot.
var plain = map[string]bool{"json": true, "ao": true}

// Module packs a process's files and the library into a module. The process's begin at
// the file process, or main.
func Module(runtime []byte, files Files) ([]byte, error) {
	all := Library()
	maps.Copy(all, files)
	return Pack(runtime, all)
}
