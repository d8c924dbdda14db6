// Package http is the outside language of a node: the routes of the scheduler,
// the messenger and the compute unit as the reference units speak them, and
// the limits and metrics around them. Their client is package connect.
//
// It decides nothing: it turns requests into calls of small interfaces and
// their answers and errors into JSON. Error codes and statuses have one table,
// which stands in package connect.
package http
