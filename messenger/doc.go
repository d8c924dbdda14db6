// Package messenger delivers what processes send: it takes effects out of the
// outbox, signs them as messages, processes and assignments, and puts each into
// its target's log, here or at the scheduler that its target names.
//
// A Monitor has time pass for processes whose crons somebody wants driven; what they
// send then is in the outbox.
//
// Signing is deterministic and logs know a message again, so an effect that is
// delivered twice, because the node died in between, takes effect once. Effects
// of one sender to one target keep their order. It evaluates nothing and keeps
// nothing that the outbox does not.
package messenger
