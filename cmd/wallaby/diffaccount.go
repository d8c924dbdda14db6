package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/diff"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/history"
	"github.com/wallaby-ao/wallaby/node"
)

// account is one side of a comparison: a history and a machine for it, a file of results,
// or a compute unit.
type account struct {
	name      string
	file      *history.File // nil: it is no history
	closeFile func() error
	machine   string
	results   map[uint64]json.RawMessage // nil: it is no file of results
}

func openAccount(name string) (s *account, err error) {
	s = &account{name: name, closeFile: func() error { return nil }}
	if strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://") {
		return s, nil
	}
	path, machine, chosen := strings.Cut(name, ".aolog@")
	switch {
	case chosen:
		path, s.machine = path+".aolog", machine
	case strings.HasSuffix(name, ".aolog"):
		s.machine = "wazero"
	default:
		return s, s.readResults()
	}
	s.file, s.closeFile, err = openHistoryFile(path)
	return s, err
}

func (s *account) readResults() error {
	in, err := os.Open(s.name)
	if err != nil {
		return fmt.Errorf("read results: %w", err)
	}
	defer in.Close()
	if s.results, err = readResults(in); err != nil {
		return usageError{fmt.Errorf("%s holds no results, and is not called .aolog as histories are: %w", s.name, err)}
	}
	return nil
}

// replayAccount replays a history.
func (a *app) replayAccount(ctx context.Context, s *account, f diffFlags, options engine.ReplayOptions) (state engine.Replay, err error) {
	progress := a.newBar("replay")
	defer progress.close()
	options.Progress = func(told engine.Replay) error {
		state = told
		progress.show(told.Messages, s.file.End().Entries)
		return nil
	}
	replay := node.FileReplay{File: s.file, ReplayOptions: options, PluginDirs: pluginDirs(f.plugins), CacheDir: moduleCacheDir()}
	if replay.Logger, err = newLogger(a.stderr, "auto", "warn"); err != nil {
		return state, err
	}
	if replay.Module, err = f.moduleOf(s.file); err != nil {
		return state, err
	}
	return state, node.ReplayFile(ctx, replay)
}

// digester is a side that can be asked for one result, too.
type digester interface {
	diff.Side
	newest(ctx context.Context) (uint64, error)
	result(ctx context.Context, nonce uint64) (message ao.ID, result []byte, err error)
}

// unit is a compute unit that gives digests.
type unit struct {
	node    string // the URL that was named
	base    string
	process ao.ID
}

func (u unit) ask(ctx context.Context, from, to uint64) (d engine.ResultsDigest, err error) {
	target := fmt.Sprintf("%s/digest/%s?from=%d&to=%d", u.base, u.process, from, to)
	if err := connect.New(u.base).Do(ctx, http.MethodGet, target, "", nil, &d); err != nil {
		return d, fmt.Errorf("ask %s for a digest: %w", u.base, err)
	}
	return d, nil
}

// Digest asks for one; see diff.Side.
func (u unit) Digest(ctx context.Context, from, to uint64) (diff.Digest, error) {
	d, err := u.ask(ctx, from, to)
	return diff.Digest(d.Digest), err
}

func (u unit) newest(ctx context.Context) (uint64, error) {
	d, err := u.ask(ctx, 0, 0)
	return d.Newest, err
}

func (u unit) result(ctx context.Context, nonce uint64) (ao.ID, []byte, error) {
	d, err := u.ask(ctx, nonce, nonce)
	if err != nil {
		return ao.ID{}, nil, err
	}
	if d.Message == nil || (diff.Digest{}).Add(d.Result) != diff.Digest(d.Digest) {
		return ao.ID{}, nil, fmt.Errorf("%s commits to another result of nonce %d than it tells", u.base, nonce)
	}
	return *d.Message, d.Result, nil
}

// replayed keeps a replay's results in a file, to be digested.
type replayed struct {
	file     *os.File
	ends     []int64
	messages []ao.ID
}

func newReplayed() (*replayed, error) {
	file, err := os.CreateTemp("", "wallaby-diff-*")
	if err != nil {
		return nil, fmt.Errorf("keep results: %w", err)
	}
	return &replayed{file: file}, nil
}

func (r *replayed) close() error { return errors.Join(r.file.Close(), os.Remove(r.file.Name())) }

func (r *replayed) add(result engine.ReplayResult) error {
	if result.Nonce != uint64(len(r.ends)) {
		return fmt.Errorf("the replay gives nonce %d where %d should come", result.Nonce, len(r.ends))
	}
	begin := int64(0)
	if len(r.ends) > 0 {
		begin = r.ends[len(r.ends)-1]
	}
	if _, err := r.file.WriteAt(result.Result, begin); err != nil {
		return fmt.Errorf("keep results: %w", err)
	}
	r.ends, r.messages = append(r.ends, begin+int64(len(result.Result))), append(r.messages, result.Message)
	return nil
}

func (r *replayed) newest(context.Context) (uint64, error) { return uint64(len(r.ends)) - 1, nil }

func (r *replayed) result(_ context.Context, nonce uint64) (ao.ID, []byte, error) {
	begin := int64(0)
	if nonce > 0 {
		begin = r.ends[nonce-1]
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.NewSectionReader(r.file, begin, r.ends[nonce]-begin)); err != nil {
		return ao.ID{}, nil, fmt.Errorf("read results: %w", err)
	}
	return r.messages[nonce], b.Bytes(), nil
}

// Digest makes one; see diff.Side.
func (r *replayed) Digest(ctx context.Context, from, to uint64) (d diff.Digest, err error) {
	for nonce := from; nonce <= to; nonce++ {
		_, result, err := r.result(ctx, nonce)
		if err != nil {
			return d, err
		}
		d = d.Add(result)
	}
	return d, nil
}
