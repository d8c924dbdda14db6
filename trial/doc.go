// Package trial runs processes without a node: in memory, step by step, with a clock that
// moves when it is told to, and keys that follow from names. The same messages come to the
// same bytes every time. What evaluates and what carries messages is what a node has.
//
// On top of that it runs tests that are written in Lua.
package trial
