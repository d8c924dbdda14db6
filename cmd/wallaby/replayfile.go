package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/history"
	"github.com/wallaby-ao/wallaby/node"
)

// replayFlags are those for history files.
type replayFlags struct {
	machines                 []string
	against, results, module string
	plugins                  []string
	keepEvery                time.Duration
}

func (f *replayFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.against, "against", "", "compare with a compute unit, by its `URL`, or with a file of results")
	flags.StringVar(&f.results, "results", "", "write every result to this `FILE`, one a line")
	flags.DurationVar(&f.keepEvery, "keep-every", 10*time.Second, "with --results: keep the state this often, to go on from")
	flags.StringVar(&f.module, "module", "", "the module's `FILE.wasm`, if the history has none")
	flags.StringArrayVar(&f.plugins, "plugin-dir", nil, "look for virtual machines in this `DIR`, too (repeatable)")
}

func (f *replayFlags) fileOnly() bool {
	return f.against != "" || f.results != "" || f.module != ""
}

// isFile tells a history file from a process.
func isFile(arg string) bool {
	if strings.HasSuffix(arg, ".aolog") {
		return true
	}
	info, err := os.Stat(arg)
	return err == nil && !info.IsDir()
}

// openHistoryFile opens a whole history file.
func openHistoryFile(path string) (file *history.File, closeFile func() error, err error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read history: %w", err)
	}
	info, err := in.Stat()
	if err == nil {
		file, err = history.Open(in, info.Size())
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w: see wallaby verify", path, err), in.Close())
	}
	return file, in.Close, nil
}

// replayHistory replays a history file in this process.
func (a *app) replayHistory(ctx context.Context, path string, f replayFlags) (err error) {
	file, closeFile, err := openHistoryFile(path)
	if err != nil {
		return err
	}
	defer closeFile()
	replay := node.FileReplay{
		File: file, PluginDirs: pluginDirs(f.plugins), CacheDir: moduleCacheDir(),
	}
	if replay.Logger, err = newLogger(a.stderr, "auto", "warn"); err != nil {
		return err
	}
	if replay.Module, err = f.moduleOf(file); err != nil {
		return err
	}
	claims, err := openClaims(ctx, f.against, file)
	if err != nil {
		return err
	}
	defer claims.close()
	results, err := openResults(f.results, file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, results.close(err == nil)) }()
	replay.StateDir = results.stateDir()
	progress := a.newBar("replay")
	defer progress.close()
	var state engine.Replay
	replay.ReplayOptions = engine.ReplayOptions{
		Machines: f.machines, Result: results.write, Claimed: claims.compare,
		Keep: results.flush, KeepAfter: f.keepEvery, Have: results.have(),
		Begin: func(nonce uint64) error { return results.begin(nonce, claims.compare) },
		Progress: func(s engine.Replay) error {
			state = s
			progress.show(s.Messages, file.End().Entries)
			return nil
		},
	}
	if err := node.ReplayFile(ctx, replay); err != nil {
		return err
	}
	progress.close()
	if err := a.printReplay(state); err != nil {
		return err
	}
	if claims.of != nil && a.output != outputJSON {
		fmt.Fprintf(a.stdout, "compared with %d of %d results of %s\n", claims.compared, state.Messages, claims.whose)
	}
	if state.Divergence != nil {
		return verificationError{fmt.Errorf("the replay differs at nonce %d", state.Divergence.Nonce)}
	}
	return nil
}

// moduleCacheDir keeps compiled modules between replays; "" where there is no place
// for that.
func moduleCacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "wallaby")
}

// moduleOf reads the module that was named for a history without one. Its tags are
// those that a published file would get.
func (f *replayFlags) moduleOf(file *history.File) (*engine.Module, error) {
	if f.module == "" {
		return nil, nil
	}
	code, err := os.ReadFile(f.module)
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	tags, err := node.ModuleTags(code, nil)
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", f.module, err)
	}
	first, ok, err := file.Entry(0)
	if err == nil && !ok {
		err = errors.New("the history does not begin with the process")
	}
	if err != nil {
		return nil, err
	}
	process, err := first.AssignedItem()
	if err != nil {
		return nil, fmt.Errorf("read the process: %w", err)
	}
	id, err := ao.ParseID(process.Tags.Get(ao.TagModule))
	if err != nil {
		return nil, fmt.Errorf("the process names no module: %w", err)
	}
	return &engine.Module{ID: id, Owner: ao.ID{}.String(), Tags: tags, Bytes: code}, nil
}
