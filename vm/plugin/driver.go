package plugin

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/wallaby-ao/wallaby/vm"
)

// Options say which plugin runs, and within which limits.
type Options struct {
	// Path is the plugin's program.
	Path string
	// Workers is how many processes of it run; default 1. A crash costs the
	// processes on one worker a fresh start.
	Workers int
	// MemoryBytesMax bounds the memory of a worker; 0: none. It is checked once a
	// second, on Linux.
	MemoryBytesMax uint64
	// OpenFilesMax bounds the files a worker has open; 0: none. Linux only.
	OpenFilesMax uint64
	// HangGraceMS is how much longer than its wall clock a message may take before
	// its worker counts as hung; default 10,000.
	HangGraceMS int64
	// LoadTimeoutMS is how long a worker may take to load a module before it counts
	// as hung; default 300,000.
	LoadTimeoutMS int64
	// PingTimeoutMS is how long a worker may take to answer a health check, in whole
	// seconds, before it counts as hung; default 20,000.
	PingTimeoutMS int64
	// CacheDir is where the plugin may keep compiled code; "" keeps none.
	CacheDir string
	// Warn is told what the plugin says on its standard error, and of workers that
	// were lost; default nobody.
	Warn func(string)
}

// Driver is a plugin as a vm.Driver.
type Driver struct {
	options Options
	name    string

	mu      sync.Mutex
	about   *header   // once it was asked
	workers []*worker // nil where none runs
	closed  bool
}

var _ vm.Driver = (*Driver)(nil)

// New makes a driver of a plugin. Its process starts when it is first needed.
func New(o Options) *Driver {
	if o.Workers <= 0 {
		o.Workers = 1
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.HangGraceMS <= 0 {
		o.HangGraceMS = 10_000
	}
	if o.LoadTimeoutMS <= 0 {
		o.LoadTimeoutMS = 300_000
	}
	if o.PingTimeoutMS <= 0 {
		o.PingTimeoutMS = 20_000
	}
	name := strings.TrimPrefix(filepath.Base(o.Path), programPrefix)
	return &Driver{options: o, name: strings.TrimSuffix(name, filepath.Ext(name)), workers: make([]*worker, o.Workers)}
}

// Name is what follows wallaby-vm- in the name of the plugin's program.
func (d *Driver) Name() string { return d.name }

// Path is the plugin's program.
func (d *Driver) Path() string { return d.options.Path }

// Formats lists the module formats, none if the plugin does not run.
func (d *Driver) Formats() []string {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	about, err := d.Describe(ctx)
	if err != nil {
		d.options.Warn(err.Error())
	}
	return about.Formats
}

// Describe asks the plugin what it is, which starts it.
func (d *Driver) Describe(ctx context.Context) (About, error) {
	d.mu.Lock()
	about := d.about
	d.mu.Unlock()
	if about == nil {
		w, err := d.worker(ctx)
		if err != nil {
			return About{}, err
		}
		defer d.release(w)
		answer, err := w.ask(ctx, frame{kind: kindDescribe}, d.options.LoadTimeoutMS)
		if err == nil && len(answer.Formats) == 0 {
			err = errors.New("it names no module format")
		}
		if err != nil {
			return About{}, fmt.Errorf("describe %s: %w", d.options.Path, err)
		}
		about = &answer.header
		d.mu.Lock()
		d.about = about
		d.mu.Unlock()
	}
	return About{Engine: about.Engine, Needs: about.Needs, Can: about.Can, Formats: about.Formats}, nil
}

// worker gives the worker with the fewest processes, starting or replacing it.
// The caller releases it.
func (d *Driver) worker(ctx context.Context) (*worker, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, &vm.LostError{Reason: "the node is closing"}
	}
	best := 0
	for i, w := range d.workers {
		if w == nil || w.gone() {
			best = i
			break
		}
		if w.load() < d.workers[best].load() {
			best = i
		}
	}
	if w := d.workers[best]; w != nil && w.gone() {
		w.kill("it ended")
		d.workers[best] = nil
	}
	if d.workers[best] == nil {
		w, err := startWorker(ctx, d.options)
		if err != nil {
			return nil, err
		}
		d.workers[best] = w
	}
	w := d.workers[best]
	w.mu.Lock()
	w.users++
	w.mu.Unlock()
	return w, nil
}

func (w *worker) load() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.users
}

func (d *Driver) release(w *worker) {
	w.mu.Lock()
	w.users--
	w.mu.Unlock()
}

// Load has a worker load a module. Others load it when they first need it.
func (d *Driver) Load(ctx context.Context, source vm.Source) (vm.Module, error) {
	m := &module{driver: d, source: source, key: moduleKey(source.Format, source.Bytes)}
	w, err := d.worker(ctx)
	if err != nil {
		return nil, err
	}
	defer d.release(w)
	if m.info, err = m.loadOn(ctx, w); err != nil {
		return nil, err
	}
	return m, nil
}

// Close ends all workers.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for i, w := range d.workers {
		if w != nil {
			w.kill("the node is closing")
			d.workers[i] = nil
		}
	}
	return nil
}

// module is a module that a worker has accepted. It keeps the bytes for workers
// to come.
type module struct {
	driver *Driver
	source vm.Source
	key    string
	info   vm.Info
}

var _ vm.Module = (*module)(nil)

// Info describes the module.
func (m *module) Info() vm.Info { return m.info }

func (m *module) loadOn(ctx context.Context, w *worker) (vm.Info, error) {
	answer, err := w.ask(ctx, frame{
		kind:   kindLoad,
		header: header{ID: hex.EncodeToString(m.source.ID[:]), Format: m.source.Format},
		body:   m.source.Bytes,
	}, m.driver.options.LoadTimeoutMS)
	if err != nil {
		return vm.Info{}, err
	}
	if answer.Info == nil {
		return vm.Info{}, errors.New("the plugin says nothing about the module")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.modules[m.key] = true
	return *answer.Info, nil
}

// New makes a process on a worker.
func (m *module) New(ctx context.Context, c vm.Config, snapshot vm.SnapshotReader) (vm.Process, error) {
	w, err := m.driver.worker(ctx)
	if err != nil {
		return nil, err
	}
	p, err := m.newOn(ctx, w, c, snapshot)
	if err != nil {
		m.driver.release(w)
		return nil, err
	}
	return p, nil
}

func (m *module) newOn(ctx context.Context, w *worker, c vm.Config, snapshot vm.SnapshotReader) (*process, error) {
	w.mu.Lock()
	known := w.modules[m.key]
	w.mu.Unlock()
	if !known {
		if _, err := m.loadOn(ctx, w); err != nil {
			return nil, err
		}
	}
	connection, err := w.dial(ctx)
	if err != nil {
		return nil, err
	}
	p := &process{module: m, worker: w, connection: connection, config: c}
	request := frame{kind: kindNew, header: header{Module: m.key, Restored: snapshot != nil, Config: &config{
		Process:          hex.EncodeToString(c.Process[:]),
		MemoryLimitBytes: c.MemoryLimitBytes,
		OutputLimitBytes: c.OutputLimitBytes,
		TimeoutMS:        c.TimeoutMS,
		Host:             c.Host != nil,
	}}}
	if _, err := p.ask(ctx, request, func() error {
		if snapshot == nil {
			return nil
		}
		if err := sendSnapshot(connection, snapshot); err != nil {
			return errors.Join(err, connection.send(frame{kind: kindEnd, header: header{Error: err.Error()}}))
		}
		return nil
	}); err != nil {
		_ = connection.Close()
		return nil, err
	}
	return p, nil
}

// Find lists the plugins in directories: programs called wallaby-vm-NAME.
func Find(dirs ...string) (paths []string) {
	for _, dir := range dirs {
		found, err := programs(dir)
		if err != nil {
			continue
		}
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
