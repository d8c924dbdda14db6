// Package guard is the one way out to addresses that a node's operator did not
// name: the locations of other schedulers, and wherever they redirect to. Its
// client looks at the address that a connection is made to, after names are
// resolved, and refuses the node's own machine, its operator's networks and what
// is no address of the internet, unless the operator allows it. Time, redirects
// and answers are bounded.
//
// It does not judge who answers, and what an operator names himself is not
// checked.
package guard
