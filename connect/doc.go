// Package connect is the client of an ao computer, with the words of aoconnect:
// spawn, message, result, results, dry run, monitor, assign. It speaks to the
// units of a node as the reference's units are spoken to.
//
// It also holds the shapes of what goes over the wire, which the units in package
// http send and read, too.
package connect
