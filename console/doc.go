// Package console is a conversation with a process: what its owner types is evaluated in
// it, and what comes of its other messages is shown as it happens.
package console
