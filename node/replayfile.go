package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/history"
	"github.com/wallaby-ao/wallaby/internal/kv"
)

// FileReplay says how to replay a history file. It needs no node and no network:
// everything is in the file, except for the module if that is not.
type FileReplay struct {
	File *history.File
	engine.ReplayOptions
	// Module is run if the file has none.
	Module *engine.Module
	// CacheDir keeps compiled modules; "": nothing is kept.
	CacheDir string
	// StateDir keeps the state, for a replay that is stopped to go on; "": nothing is
	// kept, and Keep is not called.
	StateDir string
	// PluginDirs are searched for virtual machines.
	PluginDirs []string
	// EvaluationTimeoutMS is as in Options.
	EvaluationTimeoutMS int64
	Logger              zerolog.Logger
}

// ReplayFile replays a history file with an engine of its own, on the virtual
// machines of a node. Signatures are not checked: that is history.Verify's.
func ReplayFile(ctx context.Context, o FileReplay) (err error) {
	var from uint64
	if o.From != nil {
		from = o.From.Nonce
	}
	log, err := history.NewLogFrom(o.File, from)
	if err != nil {
		return err
	}
	if err := refuseCrons(ctx, log, o.File.Header().Process); err != nil {
		return err
	}
	modules, err := o.modules()
	if err != nil {
		return err
	}
	drivers, err := OpenMachines(MachineOptions{CacheDir: o.CacheDir, PluginDirs: o.PluginDirs, Logger: o.Logger})
	defer func() {
		for _, driver := range drivers {
			err = errors.Join(err, driver.Close())
		}
	}()
	if err != nil {
		return err
	}
	db, err := o.openStore()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	e, err := engine.Open(ctx, engine.Options{
		Log: log, DB: db.DB, Drivers: drivers, Modules: modules, Items: fileItems{log}, Blocks: fileBlocks{log},
		EvaluationTimeoutMS: o.EvaluationTimeoutMS, Logger: o.Logger, Workers: 1,
	})
	if err != nil {
		return fmt.Errorf("open the engine: %w", err)
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	return e.ReplayWith(ctx, o.File.Header().Process, o.ReplayOptions)
}

// refuseCrons says that a history does not hold what a process with crons sees: what
// time passed behind its messages, and the blocks meanwhile.
func refuseCrons(ctx context.Context, log *history.Log, process ao.ID) error {
	if log.HasTime() {
		return nil
	}
	entry, err := log.Read(ctx, process, 0)
	if err != nil {
		return err
	}
	item, err := entry.Item()
	if err != nil {
		return err
	}
	if crons, err := ao.ParseCrons(item.Tags); err != nil || len(crons) == 0 {
		return nil // in a log, wrong tags are none
	}
	return ao.Errorf(ao.CodeUnprocessable, "process %s has crons, and the history does not say what they saw: import it anew from a node of Wallaby that has evaluated it, or replay it there with wallaby replay %s", process, process)
}

// fileBlocks gives crons the blocks that are in a history.
type fileBlocks struct{ log *history.Log }

// Blocks lists blocks by time.
func (b fileBlocks) Blocks(ctx context.Context, afterMS, beforeMS int64, limit int) (list []engine.Block, err error) {
	found, err := b.log.Blocks(ctx, afterMS, beforeMS, limit)
	for _, block := range found {
		list = append(list, engine.Block{Height: block.Height, TimestampMS: block.TimestampMS})
	}
	return list, err
}

// openStore opens the engine's store, in memory if nothing is kept.
func (o *FileReplay) openStore() (*kv.DB, error) {
	if o.StateDir != "" {
		return openState(o.StateDir, func(error) {})
	}
	o.Keep = nil
	db, err := kv.Open(badger.DefaultOptions("").WithInMemory(true).WithMemTableSize(8<<20).WithNumCompactors(2).WithDetectConflicts(false), nil)
	if err != nil {
		return nil, fmt.Errorf("open a store in memory: %w", err)
	}
	return db, nil
}

// modules gives the file's module, or the one that was named instead.
func (o FileReplay) modules() (engine.ModuleSource, error) {
	known := fileModules{}
	if o.Module != nil {
		known[o.Module.ID] = *o.Module
	}
	err := o.File.Others(history.KindModule, func(r history.Record) error {
		m, err := r.Module()
		if err != nil {
			return fmt.Errorf("read the module in the history: %w", err)
		}
		known[m.ID] = engine.Module{ID: m.ID, Owner: m.Owner, Tags: m.Tags, Bytes: m.Bytes}
		return nil
	})
	return known, err
}

type fileModules map[ao.ID]engine.Module

// Module gives a module.
func (m fileModules) Module(_ context.Context, id ao.ID) (engine.Module, error) {
	if module, ok := m[id]; ok {
		return module, nil
	}
	return engine.Module{}, ao.Errorf(ao.CodeNotFound, "module %s is not in the history: import with --module, or name it with --module", id)
}

// fileItems gives items that bare assignments name.
type fileItems struct{ log *history.Log }

// Item gives an item.
func (i fileItems) Item(ctx context.Context, id ao.ID, _ bool) (engine.TxMeta, error) {
	item, err := i.log.Item(ctx, id)
	if err != nil {
		return engine.TxMeta{}, err
	}
	return metaOfItem(item), nil
}
