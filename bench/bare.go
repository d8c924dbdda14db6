package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

// bareRate gives how many of the recorded messages a second the virtual machine runs
// when there is nothing around it: no log, no store, no results. Loading the module,
// whose compiled code is at hand as in a cold start, and booting are counted in. It
// keeps its thread, as an engine's long run does.
func bareRate(ctx context.Context, o NodeOptions, calls recorded) (rate float64, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	module, err := os.ReadFile(o.Module)
	if err != nil {
		return 0, err
	}
	driver, err := wazero.NewDriver(wazero.Options{CacheDir: filepath.Join(o.Dir, "bare-code")})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, driver.Close()) }()
	source := vm.Source{Format: formatOf(o.Module), Bytes: module}
	if _, err := driver.Load(ctx, source); err != nil {
		return 0, err
	}
	begun := time.Now()
	loaded, err := driver.Load(ctx, source)
	if err != nil {
		return 0, err
	}
	p, err := loaded.New(ctx, vm.Config{}, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	var output vm.Output
	for i := -1; i < len(calls.messages); i++ {
		message := calls.boot
		if i >= 0 {
			message = calls.messages[i]
		}
		if output, err = p.Handle(ctx, vm.Call{Message: message, Env: calls.env, GasLimit: vmGas}); err != nil {
			return 0, fmt.Errorf("run message %d alone: %w", i, err)
		}
	}
	took := time.Since(begun).Seconds()
	if err := checkAnswer(output.Response); err != nil {
		return 0, err
	}
	return float64(len(calls.messages)) / took, nil
}
