package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/fsx"
	"github.com/wallaby-ao/wallaby/internal/guard"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/settlement"
)

// RestoreOptions say which log is brought back from the weave, and where to.
type RestoreOptions struct {
	// DataDir becomes a node's. It must hold nothing but the node's wallets: without
	// the scheduler's key nobody can go on with its processes.
	DataDir string
	// Gateway is the URL of the gateway that has the log.
	Gateway string
	// Scheduler is the scheduler's address, if it should be checked against the key.
	Scheduler string
	// Processes are restored; none: all that the scheduler has ordered.
	Processes []ao.ID
	// Progress is told of each process now and then, and at its end.
	Progress func(RestoredProcess)
	Now      func() time.Time // default time.Now
	Logger   zerolog.Logger
}

// Restored is what a restore brought back.
type Restored struct {
	Scheduler string            `json:"scheduler"`
	Processes []RestoredProcess `json:"processes"`
}

// RestoredProcess is one process of it.
type RestoredProcess struct {
	Process ao.ID  `json:"process"`
	Nonce   uint64 `json:"nonce"` // of the newest message
	// Missing is what could not be brought back with the log, and must be there before
	// the process is evaluated.
	Missing []string `json:"missing,omitempty"`
}

// restoringFile is in a data directory while a log comes back.
const restoringFile = "restoring"

// restorer brings a log back, with parts of a node that does not serve.
type restorer struct {
	*Node
	options   RestoreOptions
	archive   *settlement.Archive
	scheduler ao.ID
	modules   map[ao.ID]string // why a module is missing; "": it is there
}

// Restore brings the processes of a scheduler back from the weave into a data
// directory that holds its wallets, with every signature and the whole chain checked.
// A restore that was cut off goes on when it is run again. The node that is started
// on the directory replays everything and goes on with the next nonces.
func Restore(ctx context.Context, o RestoreOptions) (restored Restored, err error) {
	options, err := Options{DataDir: o.DataDir, Logger: o.Logger, Now: o.Now}.withDefaults()
	if err != nil {
		return restored, err
	}
	if err := (Settlement{To: o.Gateway}).check(); err != nil || o.Gateway == "" {
		return restored, fmt.Errorf("name the gateway that has the log by its URL: %w", err)
	}
	r := &restorer{
		Node: &Node{options: options, failed: make(chan error, 1), ready: make(chan struct{})}, options: o, modules: map[ao.ID]string{},
	}
	defer func() { err = errors.Join(err, r.Close(context.WithoutCancel(ctx))) }()
	for _, step := range []func(context.Context) error{
		r.openDirectory, r.openDisk, r.checkEmpty, r.openWallets, r.openGateway, r.openLog, r.openState, r.openArchive,
	} {
		if err := step(ctx); err != nil {
			return restored, err
		}
	}
	if restored, err = r.run(ctx); err != nil {
		return restored, err
	}
	if err := r.noteSettled(ctx); err != nil {
		return restored, err
	}
	select {
	case err := <-r.Failed():
		return restored, err
	default:
	}
	return restored, os.Remove(filepath.Join(r.dir, restoringFile))
}

// checkEmpty makes sure that the wallets are there and that nothing else is, unless
// a restore was cut off.
func (r *restorer) checkEmpty(context.Context) error {
	for _, name := range []string{schedulerWallet, authorityWallet} {
		path := filepath.Join(r.dir, walletsDir, name)
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%s is not there: put back the wallets that the node had, since nobody else can go on with its processes", path)
		}
	}
	mark := filepath.Join(r.dir, restoringFile)
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	for _, name := range []string{"log", "state", "gateway"} {
		if _, err := os.Stat(filepath.Join(r.dir, name)); err == nil {
			return fmt.Errorf("%s holds the data of a node: restore into a directory with nothing but its wallets", r.dir)
		}
	}
	return fsx.CreateDurably(mark, 0o600, []byte("a log is being restored here\n"))
}

func (r *restorer) openArchive(context.Context) error {
	r.scheduler = dataitem.AddressOf(r.Node.scheduler.Owner())
	if want := r.options.Scheduler; want != "" && want != r.scheduler.String() {
		return fmt.Errorf("the scheduler's key in %s is that of %s, not of %s", filepath.Join(r.dir, walletsDir), r.scheduler, want)
	}
	client := weaveClient(r.options.Gateway, guard.Options{})
	r.onClose("outbound connections", func(context.Context) error { client.CloseIdleConnections(); return nil })
	r.archive = settlement.NewArchive(&arweave.Client{BaseURL: r.options.Gateway, HTTP: client, AnswerBytesMax: weaveAnswerBytesMax})
	return nil
}

func (r *restorer) run(ctx context.Context) (restored Restored, err error) {
	restored.Scheduler, restored.Processes = r.scheduler.String(), []RestoredProcess{}
	processes := r.options.Processes
	if len(processes) == 0 {
		if processes, err = r.archive.Processes(ctx, r.scheduler); err != nil {
			return restored, err
		}
	}
	if len(processes) == 0 {
		return restored, ao.Errorf(ao.CodeNotFound, "gateway %s knows of no process that scheduler %s has ordered", r.options.Gateway, r.scheduler)
	}
	for _, process := range processes {
		one, err := r.process(ctx, process)
		if err != nil {
			return restored, fmt.Errorf("restore process %s: %w", process, err)
		}
		restored.Processes = append(restored.Processes, one)
		r.tell(one)
	}
	return restored, nil
}

func (r *restorer) tell(one RestoredProcess) {
	if r.options.Progress != nil {
		r.options.Progress(one)
	}
}

// Bounds of what is imported at once.
const (
	importEntriesMax = 256
	importBytesMax   = 4 << 20
)

// process brings one process back, from where the log has it.
func (r *restorer) process(ctx context.Context, process ao.ID) (one RestoredProcess, err error) {
	one.Process = process
	head, err := r.log.Head(ctx, process)
	started := err == nil
	if err != nil && !errors.Is(err, aolog.ErrProcessUnknown) {
		return one, err
	}
	one.Nonce = head.Nonce
	var batch []aolog.Entry
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := r.log.Import(ctx, batch)
		one.Nonce, batch, size = batch[len(batch)-1].Nonce, nil, 0
		r.tell(one)
		return err
	}
	err = r.archive.Recover(ctx, r.scheduler, process, head, started, func(place settlement.Recovered) error {
		missing, err := r.beside(ctx, place)
		if err != nil {
			return err
		}
		if missing != "" {
			one.Missing = append(one.Missing, missing)
		}
		batch, size, started = append(batch, place.Entry), size+aolog.EntryBytes(place.Entry), true
		if len(batch) >= importEntriesMax || size >= importBytesMax {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err == nil && !started {
		err = ao.Errorf(ao.CodeNotFound, "the weave has no assignment of scheduler %s for it", r.scheduler)
	}
	return one, err
}

// beside puts into the gateway what a place of the log needs beside it: a process's
// module, or what was assigned by name. It says what cannot be had.
func (r *restorer) beside(ctx context.Context, place settlement.Recovered) (missing string, err error) {
	switch {
	case place.Item != nil:
		_, err = r.gateway.PutVerified(ctx, place.Item)
		return "", err
	case place.Tx != nil:
		if _, err := r.gateway.PutTx(ctx, place.Tx); err != nil {
			return fmt.Sprintf("transaction %s, which nonce %d assigns: %v", place.Tx.ID, place.Entry.Nonce, err), nil
		}
	case place.Entry.Nonce == 0:
		item, err := place.Entry.Item()
		if err != nil {
			return "", err
		}
		if text, ok := item.Tags.Lookup(ao.TagSequencing); ok && text != aolog.Solo.String() {
			return "", ao.Errorf(ao.CodeInvalid, "it was spawned to be ordered as %s, and a node that is alone cannot do that", text)
		}
		return r.module(ctx, item.Tags.Get(ao.TagModule))
	}
	return "", nil
}

// module gets a module once. A pinned one stands nowhere as a signed item.
func (r *restorer) module(ctx context.Context, text string) (missing string, err error) {
	id, err := ao.ParseID(text)
	if err != nil {
		return "", err
	}
	if why, known := r.modules[id]; known {
		return why, nil
	}
	if _, err = r.gateway.StoredItem(ctx, id); err != nil {
		var item *dataitem.Item
		if item, err = r.archive.Module(ctx, id); err == nil {
			_, err = r.gateway.PutVerified(ctx, item)
		}
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		r.modules[id] = fmt.Sprintf("module %s: start the node with --module %s=FILE.wasm (%v)", id, id, err)
	} else {
		r.modules[id] = ""
	}
	return r.modules[id], nil
}

// noteSettled notes that all of this came from the weave and need not go there again.
func (r *restorer) noteSettled(ctx context.Context) error {
	var (
		after ao.ID
		mark  settlement.Mark
	)
	for {
		heads, err := r.log.Processes(ctx, after, processesLimitMax)
		if err != nil {
			return err
		}
		if len(heads) == 0 {
			break
		}
		for _, head := range heads {
			mark.Entries, after = mark.Entries+head.Nonce+1, head.Process
		}
	}
	for _, group := range r.log.Status() {
		mark.Position = aolog.Position{Index: group.Last, Offset: math.MaxUint32}
		if err := settlement.SetSettled(settlementStore{r.state.DB}, group.Group, mark); err != nil {
			return err
		}
	}
	return nil
}
