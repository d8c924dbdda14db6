package kv

import (
	"fmt"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// watch is badger's logger: it listens for errors that badger tells nobody
// else.
type watch struct {
	mu     sync.Mutex
	seen   error
	damage func(error)
}

var _ badger.Logger = (*watch)(nil)

// start gives the first error of the time before, and passes later ones on.
func (w *watch) start(damage func(error)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		w.damage = damage
	}
	return w.seen
}

// stop ends the reports: what goes wrong while closing, Close returns.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.damage = nil
}

func (w *watch) report(err error) {
	w.mu.Lock()
	damage := w.damage
	if w.seen == nil {
		w.seen = err
	}
	w.damage = nil
	w.mu.Unlock()
	if damage != nil {
		damage(err)
	}
}

// Errorf takes what badger calls an error.
func (w *watch) Errorf(format string, args ...any) {
	w.report(fmt.Errorf("badger: "+format, args...))
}

// Warningf ignores warnings: badger gives them in ordinary work.
func (w *watch) Warningf(string, ...any) {}

// Infof ignores information.
func (w *watch) Infof(string, ...any) {}

// Debugf ignores what is for badger's authors.
func (w *watch) Debugf(string, ...any) {}
