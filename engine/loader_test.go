package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/diff"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/log/memory"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/vmtest"
	"github.com/wallaby-ao/wallaby/vm/wasm"
)

// loader has ao's reference loader run processes, as far as a replay on it alone needs.
type loader struct {
	vm.Driver
	start func() *vmtest.Oracle
}

func (loader) Name() string { return "ao-loader" }

func (d loader) Load(ctx context.Context, source vm.Source) (vm.Module, error) {
	m, err := d.Driver.Load(ctx, source)
	return loaderModule{m, d}, err
}

type loaderModule struct {
	vm.Module
	driver loader
}

func (m loaderModule) New(context.Context, vm.Config, vm.SnapshotReader) (vm.Process, error) {
	return loaderProcess{oracle: m.driver.start()}, nil
}

type loaderProcess struct {
	vm.Process
	oracle *vmtest.Oracle
}

func (p loaderProcess) Handle(_ context.Context, call vm.Call) (vm.Output, error) {
	reply, err := p.oracle.Handle(call.Message, call.Env)
	var answer struct {
		OK       bool
		Response json.RawMessage
	}
	if err == nil {
		err = json.Unmarshal([]byte(reply.Text), &answer)
	}
	if err == nil && !answer.OK {
		err = &vm.GuestError{Response: answer.Response}
	}
	return vm.Output{Response: answer.Response}, err
}

func (loaderProcess) Rollback(context.Context) error     { return nil }
func (loaderProcess) Snapshot(w vm.SnapshotWriter) error { return w.Memory(0) }
func (loaderProcess) ResidentBytes() uint64              { return 0 }
func (loaderProcess) Close() error                       { return nil }

// told are results that were told.
type told [][]byte

func (r told) Digest(_ context.Context, from, to uint64) (d diff.Digest, err error) {
	for _, result := range r[from : to+1] {
		d = d.Add(result)
	}
	return d, nil
}

// TestTheTimeZoneOfTheReferenceLoaderIsFound: what a process says of the time depends on
// where the reference loader runs, which no log has in it. Two operators in two places
// come to different results, and the first of them is found.
func TestTheTimeZoneOfTheReferenceLoaderIsFound(t *testing.T) {
	for zone, want := range map[string][]diff.Field{
		"UTC": nil,
		"Asia/Tokyo": {{
			Path: "Output.data", A: `"Tue Nov 14 22:13:20 2023"`, B: `"Wed Nov 15 07:13:20 2023"`,
		}},
	} {
		t.Run(zone, func(t *testing.T) {
			t.Setenv("TZ", zone) // the loader inherits it
			log := memory.New(logtest.Signer(t, 1), time.Now)
			options := aosOptions(t, log)
			options.DB = openDB(t, t.TempDir())
			options.Drivers = append(options.Drivers, loader{options.Drivers[0], func() *vmtest.Oracle {
				return vmtest.StartOracle(t, vmtest.OracleOptions{
					Module: vmtest.ModulePath(t, "aos2_0_6.wasm"), Format: wasm.FormatWasm64, GasLimit: 9_000_000_000_000,
				})
			}})
			process := aosHistory(t, log, "zone", 9, func(n int) string {
				if n == 6 {
					return "return os.date('%c', 1700000000)"
				}
				return fmt.Sprintf("return %d", n)
			})
			options.Log = unfollowed{log} // nothing is stored that the loader could differ from
			e, err := Open(t.Context(), options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := e.Close(); err != nil {
					t.Error(err)
				}
				if err := options.DB.Close(); err != nil {
					t.Error(err)
				}
			})
			ours, theirs := resultsOn(t, e, process, "wazero"), resultsOn(t, e, process, "ao-loader")
			nonce, found, err := diff.First(t.Context(), ours, theirs, 9)
			if err != nil || found != (want != nil) || found && nonce != 7 {
				t.Fatalf("found %t at nonce %d, %v", found, nonce, err)
			}
			if !found {
				return
			}
			var fields []diff.Field
			for _, field := range diff.Fields(ours[nonce], theirs[nonce]) {
				if field.Path == "Output.data" {
					fields = append(fields, field)
				}
			}
			if d := cmp.Diff(want, fields); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func resultsOn(t *testing.T, e *Engine, process ao.ID, machine string) (results told) {
	t.Helper()
	err := e.ReplayWith(t.Context(), process, ReplayOptions{
		Machines: []string{machine}, Progress: func(Replay) error { return nil },
		Result: func(r ReplayResult) error { results = append(results, r.Result); return nil },
	})
	if err != nil {
		t.Fatalf("%s: %v", machine, err)
	}
	return results
}
