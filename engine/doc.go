// Package engine evaluates processes: it follows a log, runs every message of
// every process once and in order on a virtual machine, and the ticks of its crons
// between them as far as the log says that time has passed, and keeps the results.
//
// It owns the process table, the hot instances and their memory budget, the
// store of results, snapshots and outbox records, and dry runs.
//
// It promises that a result is stored at most once per (process, nonce, tick), in
// the same transaction as the outbox records that follow from it; that results
// and effects are a function of the log, the modules and the limits alone; and
// that everything it stores can be lost and is then evaluated again from the log,
// but for when this node evaluated a message, and what became of its effects.
//
// It does not order messages, open sockets, deliver what results ask for, or
// publish anything: those are the log's, http's and the messenger's.
package engine
