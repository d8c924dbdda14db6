// Package lua makes ao modules of Lua files. A module is a runtime, which is the same for
// all, with a bundle of files in its memory: the process's own and a library with what
// an ao process has. So no compiler is needed, and packing takes milliseconds.
//
// The runtime is Lua 5.3 and the C in lua/runtime, built by scripts/runtime.sh. The
// bundle's format is docs/formats/luabundle.md.
package lua
