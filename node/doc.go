// Package node wires a whole ao computer together: log, engine, messenger,
// gateway and the HTTP servers of every unit. It is the only place that knows
// all of them; opening and closing happen in one visible order.
package node
