package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/history"
	aohttp "github.com/wallaby-ao/wallaby/http"
	"github.com/wallaby-ao/wallaby/node"
)

// importFlags are those of the command import.
type importFlags struct {
	from, kind, out, gateway string
	module                   bool
}

func (a *app) importCommand() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import PROCESS --from URL|FILE.aolog|arweave",
		Short: "Get a process's whole history, to verify and replay it here",
		Long: `import writes a process's log to a history file: the process, every message and
every assignment, as they were signed. A Wallaby node gives them byte for byte, and
with them epochs and operators' signatures. Of the JSON of a reference scheduler
they are put together again; where that does not give what was signed, a gateway is
asked, and if it does not help, the file says so and verify names it. A HyperBEAM
node's JSON leaves out what was signed of assignments. From Arweave comes what its
scheduler has settled there, found through a gateway.

A file that is there already is continued. Nothing is believed here: run wallaby
verify.`,
		Example: `  wallaby import PID --from http://127.0.0.1:4000 --module
  wallaby import PID --from https://su-router.ao-testnet.xyz --gateway https://arweave.net --out token.aolog
  wallaby import PID --from arweave --gateway https://arweave.net
  wallaby import PID --from http://127.0.0.1:4000 --out - | ssh auditor 'cat > token.aolog'`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			if f.from == "" {
				return usageError{errors.New("say where the history is with --from: the URL of a node or a scheduler, a file, or arweave")}
			}
			return a.importHistory(cmd.Context(), process, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "", "the `URL` of a Wallaby node, a reference scheduler or a HyperBEAM node, a history file, or arweave")
	flags.StringVar(&f.kind, "kind", "", "what it is, if it should not be asked: `KIND` wallaby, su or hyperbeam")
	flags.StringVar(&f.out, "out", "history.aolog", "write to this `FILE`; - for standard output")
	flags.StringVar(&f.gateway, "gateway", "", "ask this Arweave gateway, by its `URL`, for what the source does not give exactly (default a Wallaby node's own), or for everything, with --from arweave (default "+defaultGateway+")")
	flags.BoolVar(&f.module, "module", false, "put the module in as well, so that the file can be replayed without a network")
	return cmd
}

func (a *app) importHistory(ctx context.Context, process ao.ID, f importFlags) (err error) {
	items := f.items()
	source, err := f.source(ctx, process, items)
	if err != nil {
		return err
	}
	w, out, before, err := a.openHistory(f.out, history.Header{Process: process, Source: source.Origin()})
	if err != nil {
		return err
	}
	if out != nil {
		defer func() { err = errors.Join(err, out.Close()) }()
	}
	progress := a.newBar("import")
	defer progress.close()
	err = history.Import(ctx, w, source, history.ImportOptions{
		Wait: waitLonger,
		Progress: func(w *history.Writer) error {
			progress.show(w.Entries(), 0)
			return nil
		},
	})
	if err == nil && f.module && !w.HasModule() {
		err = a.importModule(ctx, w, out, items)
	}
	if err != nil && before == 0 && w.Entries() == 0 && out != nil {
		return errors.Join(err, os.Remove(f.out))
	}
	// What is here is worth keeping, whatever comes next.
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	progress.close()
	return a.printImport(w, f.out, before)
}

// items is the gateway to ask.
func (f importFlags) items() *aohttp.GatewayItems {
	base := f.gateway
	if base == "" && f.from == fromArweave {
		base = defaultGateway
	}
	if base == "" && f.isURL() {
		base = strings.TrimSuffix(strings.TrimRight(f.from, "/"), "/su")
	}
	if base == "" {
		return nil
	}
	return &aohttp.GatewayItems{Gateway: &arweave.Client{BaseURL: base, HTTP: &http.Client{}}}
}

func (f importFlags) isURL() bool {
	return strings.HasPrefix(f.from, "http://") || strings.HasPrefix(f.from, "https://")
}

// fromArweave is the source that is no URL and no file.
const (
	fromArweave    = "arweave"
	defaultGateway = "https://arweave.net"
)

func (f importFlags) source(ctx context.Context, process ao.ID, items *aohttp.GatewayItems) (history.Source, error) {
	if f.from == fromArweave {
		return node.NewWeaveHistory(items.Gateway.BaseURL)
	}
	if !f.isURL() {
		return history.FileSource{Path: f.from, Open: func() (io.ReadCloser, error) { return os.Open(f.from) }}, nil
	}
	o := aohttp.HistoryOptions{URL: f.from, Kind: f.kind, HTTP: &http.Client{}}
	if items != nil {
		o.Items = items
	}
	return aohttp.NewHistorySource(ctx, process, o)
}

// openHistory begins a file, or goes on with one that is there and had so many
// entries.
func (a *app) openHistory(path string, header history.Header) (w *history.Writer, file *os.File, had uint64, err error) {
	if path == "-" {
		w, err = history.NewWriter(a.stdout, header)
		return w, nil, 0, err
	}
	file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("write history: %w", err)
	}
	if w, had, err = startHistory(file, header); err != nil {
		return nil, nil, 0, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
	}
	return w, file, had, nil
}

func startHistory(file *os.File, header history.Header) (w *history.Writer, had uint64, err error) {
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	if info.Size() == 0 {
		w, err = history.NewWriter(file, header)
		return w, 0, err
	}
	before, err := history.NewReader(file)
	if err == nil && before.Header().Process != header.Process {
		err = fmt.Errorf("it is the history of process %s: name another file with --out", before.Header().Process)
	}
	if err != nil {
		return nil, 0, usageError{err}
	}
	return history.Resume(file)
}

// waitLonger waits twice as long each time.
func waitLonger(ctx context.Context, attempt int) error {
	select {
	case <-time.After(500 * time.Millisecond << min(attempt, 6)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// importModule puts in the module that the process names.
func (a *app) importModule(ctx context.Context, w *history.Writer, out *os.File, items *aohttp.GatewayItems) error {
	switch {
	case items == nil:
		return usageError{errors.New("--module needs --gateway: the module is not in the source")}
	case out == nil:
		return usageError{errors.New("--module needs a file that can be read again: name one with --out")}
	}
	process, err := readProcess(out)
	if err != nil {
		return err
	}
	id, err := ao.ParseID(process.Tags.Get(ao.TagModule))
	if err != nil {
		return fmt.Errorf("the process names no module: %w", err)
	}
	module, err := items.Module(ctx, id)
	if err != nil {
		return err
	}
	return w.Write(history.ModuleRecord(module))
}

// readProcess gives the process that a history begins with, and leaves the file
// where it is written on.
func readProcess(file *os.File) (*dataitem.Item, error) {
	end, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	reader, err := history.NewReader(io.NewSectionReader(file, 0, end))
	if err != nil {
		return nil, err
	}
	first, err := reader.Next()
	switch {
	case err != nil:
	case first.Kind == history.KindItem:
		return first.Item()
	default:
		return first.AssignedItem()
	}
	return nil, err
}

func (a *app) printImport(w *history.Writer, path string, before uint64) error {
	news := w.Entries() - before
	if a.output == outputJSON && path != "-" {
		return a.printJSON(map[string]any{"file": path, "process": w.Header().Process, "source": w.Header().Source, "entries": w.Entries(), "new": news, "head": w.Next() - 1})
	}
	to := a.stdout
	if path == "-" {
		to = a.stderr
	}
	fmt.Fprintf(to, "%s: %d places of process %s, %d of them new, to nonce %d\n", path, w.Entries(), w.Header().Process, news, w.Next()-1)
	return nil
}
