package plugin_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/plugin"
	"github.com/wallaby-ao/wallaby/vm/vmtest"
	"github.com/wallaby-ao/wallaby/vm/wasm"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

// TestMain makes this program a plugin when a node has started it.
func TestMain(m *testing.M) {
	if os.Getenv(plugin.SocketVariable) == "" {
		os.Exit(m.Run())
	}
	driver, err := wazero.NewDriver(wazero.Options{CacheDir: os.Getenv(plugin.CacheVariable)})
	if err != nil {
		panic(err)
	}
	plugin.Serve(sick{driver}, plugin.About{Engine: "test 1", Can: []string{"crash"}, Needs: []string{"care"}})
}

// sick is a driver whose processes crash, hang or grow when they are told to.
type sick struct{ vm.Driver }

type sickModule struct{ vm.Module }

type sickProcess struct{ vm.Process }

func (d sick) Load(ctx context.Context, source vm.Source) (vm.Module, error) {
	if string(source.Bytes) == "HANG" {
		select {}
	}
	m, err := d.Driver.Load(ctx, source)
	if err != nil {
		return nil, err
	}
	return sickModule{m}, nil
}

func (m sickModule) New(ctx context.Context, c vm.Config, snapshot vm.SnapshotReader) (vm.Process, error) {
	if c.Process == hangs {
		select {}
	}
	p, err := m.Module.New(ctx, c, snapshot)
	if err != nil {
		return nil, err
	}
	return sickProcess{p}, nil
}

// hangs is a process that never starts.
var hangs = ao.ID{0xff}

var held [][]byte

func (p sickProcess) Handle(ctx context.Context, call vm.Call) (vm.Output, error) {
	switch string(call.Message) {
	case `"CRASH"`:
		os.Exit(3)
	case `"HANG"`:
		select {}
	case `"GROW"`:
		for {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = 1
			}
			held = append(held, b)
			time.Sleep(time.Millisecond)
		}
	case `"PANIC"`:
		panic("as told")
	case `"FREEZE"`:
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		select {}
	case `"FILES"`:
		return vm.Output{Response: strconv.AppendInt(nil, int64(openAll()), 10)}, nil
	}
	return p.Process.Handle(ctx, call)
}

// openAll opens files until it may not, and says how many those were.
func openAll() int {
	var files []*os.File
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	for len(files) < 1<<20 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		files = append(files, f)
	}
	return len(files)
}

func open(tb testing.TB, o plugin.Options) *plugin.Driver {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	o.Path, o.CacheDir = self, filepath.Join(os.TempDir(), "wallaby-test-cache")
	driver := plugin.New(o)
	tb.Cleanup(func() {
		if err := driver.Close(); err != nil {
			tb.Error(err)
		}
	})
	return driver
}

func TestConformance(t *testing.T) {
	vmtest.Conformance(t, func(tb testing.TB) vm.Driver { return open(tb, plugin.Options{}) })
}

func TestHistories(t *testing.T) {
	vmtest.Histories(t, open(t, plugin.Options{Workers: 2}), "aos2_0_6.wasm", wasm.FormatWasm64, vmtest.AosBattery())
}

func start(t *testing.T, driver vm.Driver, config vm.Config) vm.Process {
	t.Helper()
	module, err := driver.Load(t.Context(), vm.Source{Format: wasm.FormatEmscripten4, Bytes: vmtest.Guest()})
	if err != nil {
		t.Fatal(err)
	}
	p, err := module.New(t.Context(), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func tell(t *testing.T, p vm.Process, command string) (string, error) {
	t.Helper()
	output, err := p.Handle(t.Context(), vm.Call{Message: []byte(`"` + command + `"`), Env: []byte(`{}`), GasLimit: 1e9})
	return string(output.Response), err
}

// TestAWorkerThatIsLostCostsItsProcessesOnly ends a worker in every way it can
// end; another one takes the next process.
func TestAWorkerThatIsLostCostsItsProcessesOnly(t *testing.T) {
	for command, reason := range map[string]string{
		"CRASH": "its process ended",
		"HANG":  "did not come back",
		"GROW":  "of memory",
	} {
		t.Run(command, func(t *testing.T) {
			driver := open(t, plugin.Options{Workers: 2, MemoryBytesMax: 300 << 20, HangGraceMS: 300})
			victim, other := start(t, driver, vm.Config{TimeoutMS: 1}), start(t, driver, vm.Config{})
			if command == "GROW" {
				victim = start(t, driver, vm.Config{})
			}
			if got, err := tell(t, other, "count"); err != nil || got != `"2"` {
				t.Fatalf("%s, %v", got, err)
			}
			_, err := tell(t, victim, command)
			lost, ok := errors.AsType[*vm.LostError](err)
			if !ok || !strings.Contains(lost.Reason, reason) {
				t.Fatalf("error %v", err)
			}
			if _, err := tell(t, victim, "count"); err == nil {
				t.Error("a lost process answers")
			}
			// The other one may have been on the same worker in one case: GROW's.
			if got, err := tell(t, other, "count"); command != "GROW" && (err != nil || got != `"4"`) {
				t.Errorf("a process of another worker: %s, %v", got, err)
			}
			again := start(t, driver, vm.Config{})
			if got, err := tell(t, again, "count"); err != nil || got != `"2"` {
				t.Errorf("a process after it: %s, %v", got, err)
			}
		})
	}
}

// TestAWorkerThatHangsAtTheStartIsReplaced hangs while it loads a module, and while
// it makes a process.
func TestAWorkerThatHangsAtTheStartIsReplaced(t *testing.T) {
	driver := open(t, plugin.Options{HangGraceMS: 300, LoadTimeoutMS: 1_000})
	good := vm.Source{Format: wasm.FormatEmscripten4, Bytes: vmtest.Guest()}
	module, err := driver.Load(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	_, err = driver.Load(t.Context(), vm.Source{Format: wasm.FormatEmscripten4, Bytes: []byte("HANG")})
	if lost, ok := errors.AsType[*vm.LostError](err); !ok || !strings.Contains(lost.Reason, "did not load") {
		t.Errorf("a module that hangs: %v", err)
	}
	_, err = module.New(t.Context(), vm.Config{Process: hangs, TimeoutMS: 1}, nil)
	if lost, ok := errors.AsType[*vm.LostError](err); !ok || !strings.Contains(lost.Reason, "did not come back") {
		t.Errorf("a process that hangs: %v", err)
	}
	if got, err := tell(t, start(t, driver, vm.Config{}), "count"); err != nil || got != `"2"` {
		t.Errorf("after both: %s, %v", got, err)
	}
}

// TestAWorkerThatFreezesIsReplaced stops a worker in the middle of a message that
// may take as long as it likes: nothing but the health check can see it.
func TestAWorkerThatFreezesIsReplaced(t *testing.T) {
	driver := open(t, plugin.Options{PingTimeoutMS: 1})
	_, err := tell(t, start(t, driver, vm.Config{}), "FREEZE")
	if lost, ok := errors.AsType[*vm.LostError](err); !ok || !strings.Contains(lost.Reason, "does not answer") {
		t.Fatalf("error %v", err)
	}
	if got, err := tell(t, start(t, driver, vm.Config{}), "count"); err != nil || got != `"2"` {
		t.Errorf("after it: %s, %v", got, err)
	}
}

func TestAWorkerOpensSoManyFiles(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: only Linux bounds the files of another process")
	}
	const most = 64
	got, err := tell(t, start(t, open(t, plugin.Options{OpenFilesMax: most}), vm.Config{}), "FILES")
	if n, _ := strconv.Atoi(got); err != nil || n == 0 || n >= most {
		t.Errorf("it opened %s files, %v", got, err)
	}
	if got, err := tell(t, start(t, open(t, plugin.Options{}), vm.Config{}), "FILES"); err != nil || len(got) < 3 {
		t.Errorf("without a bound it opened %s files, %v", got, err)
	}
}

func TestAPanicInAWorkerIsAnError(t *testing.T) {
	p := start(t, open(t, plugin.Options{}), vm.Config{})
	if _, err := tell(t, p, "PANIC"); err == nil || !strings.Contains(err.Error(), "as told") {
		t.Fatalf("error %v", err)
	}
	if got, err := tell(t, p, "count"); err != nil || got != `"2"` {
		t.Errorf("%s, %v", got, err)
	}
}

// lateHost answers the first request only when the message that asked is given up.
type lateHost struct {
	cancel context.CancelFunc
	late   bool
}

func (h *lateHost) Open(ctx context.Context, _ string) ([]byte, error) {
	if h.late {
		return []byte("7 bytes"), nil
	}
	h.late = true
	h.cancel()
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestALateAnswerIsNobodyElses gives a message up while its guest waits for data: the
// next one gets its own.
func TestALateAnswerIsNobodyElses(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := start(t, open(t, plugin.Options{}), vm.Config{Host: &lateHost{cancel: cancel}})
	call := vm.Call{Message: []byte(`"file"`), Env: []byte(`{}`), GasLimit: 1e9}
	if _, err := p.Handle(ctx, call); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	for range 2 {
		if got, err := tell(t, p, "file"); err != nil || got != `"7"` {
			t.Errorf("%s, %v", got, err)
		}
	}
}

func TestDescribe(t *testing.T) {
	about, err := open(t, plugin.Options{}).Describe(t.Context())
	if err != nil || about.Engine != "test 1" || !slices.Equal(about.Can, []string{"crash"}) || !slices.Equal(about.Needs, []string{"care"}) || len(about.Formats) != len(wasm.Formats()) {
		t.Errorf("%+v, %v", about, err)
	}
}

func TestWhatDoesNotStartIsNamed(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "wallaby-vm-broken")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho my library is missing >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"notes.txt", "wallaby-vm-text"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	found := plugin.Find(dir, filepath.Join(dir, "none"), dir)
	if len(found) != 1 || found[0] != script {
		t.Fatalf("found %q", found)
	}
	var warnings []string
	driver := plugin.New(plugin.Options{Path: script, Warn: func(text string) { warnings = append(warnings, text) }})
	if driver.Name() != "broken" {
		t.Errorf("it is called %q", driver.Name())
	}
	if _, err := driver.Describe(t.Context()); err == nil || !strings.Contains(err.Error(), script) || !strings.Contains(err.Error(), "my library is missing") {
		t.Errorf("error %v", err)
	}
	warnings = nil
	if formats := driver.Formats(); len(formats) != 0 || len(warnings) != 2 || !strings.Contains(warnings[1], script) {
		t.Errorf("formats %q, warnings %q", formats, warnings)
	}
}
