package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/wallaby-ao/wallaby/lua"
	"github.com/wallaby-ao/wallaby/project"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

const (
	luaRounds = 5
	luaEvals  = 1000
	// luaFiles is how large the project is that is built.
	luaFiles = 50
)

// Lua measures a process on Wallaby's own Lua runtime beside one on an aos module, on the
// same engine and in turns, and how long a project takes to build.
func Lua(ctx context.Context, dir, aosModule string, progress func(string)) ([]Row, error) {
	runtime, err := lua.Runtime()
	if err != nil {
		return nil, err
	}
	own, err := lua.Module(runtime, lua.Files{"process": []byte("Count = 0\n")})
	if err != nil {
		return nil, err
	}
	aos, err := os.ReadFile(aosModule)
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	driver, err := wazero.NewDriver(wazero.Options{CacheDir: filepath.Join(dir, "code")})
	if err != nil {
		return nil, err
	}
	defer driver.Close()
	sides := [2]*luaSide{
		{source: vm.Source{Format: lua.Format, Bytes: own}}, {source: vm.Source{Format: formatOf(aosModule), Bytes: aos}},
	}
	for round := range luaRounds {
		progress(fmt.Sprintf("round %d of %d", round+1, luaRounds))
		for _, side := range sides {
			if err := side.round(ctx, driver); err != nil {
				return nil, err
			}
		}
	}
	peer := filepath.Base(aosModule)
	a, b := sides[0], sides[1]
	rows := []Row{
		Lower("process in Lua, wazero", "first message (target 10 ms)", "ms", a.firstMS, peer, b.firstMS),
		Higher("process in Lua, wazero", "trivial Eval (target 2)", "1/s", a.perSecond, peer, b.perSecond),
		Lower("process in Lua, wazero", "memory after 1000 Evals", "MB", a.residentMB, peer, b.residentMB),
		Lower("process in Lua, wazero", "module", "MB", float64(len(own))/1e6, peer, float64(len(aos))/1e6),
	}
	built, err := buildSeconds(ctx, filepath.Join(dir, "project"), filepath.Join(dir, "code"))
	return append(rows, Row{Case: fmt.Sprintf("building %d Lua files", luaFiles), Metric: "time (target 100 ms)", Unit: "ms", Value: built * 1000}), err
}

// luaSide is a module and the best that it did.
type luaSide struct {
	source                         vm.Source
	firstMS, perSecond, residentMB float64
}

// round begins a process and sends it Evals.
func (s *luaSide) round(ctx context.Context, driver vm.Driver) (err error) {
	module, err := driver.Load(ctx, s.source)
	if err != nil {
		return err
	}
	process, err := module.New(ctx, vm.Config{}, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, process.Close()) }()
	took, _, err := handle(ctx, process, vmMessage(0, " "))
	if err != nil {
		return err
	}
	if ms := took.Seconds() * 1000; s.firstMS == 0 || ms < s.firstMS {
		s.firstMS = ms
	}
	var output vm.Output
	begun := time.Now()
	for n := range luaEvals {
		if _, output, err = handle(ctx, process, vmMessage(n+1, evalCode)); err != nil {
			return err
		}
	}
	s.perSecond = max(s.perSecond, luaEvals/time.Since(begun).Seconds())
	s.residentMB = float64(process.ResidentBytes()) / 1e6
	return checkAnswer(output.Response)
}

// buildSeconds makes a project and builds it, the second time, as one does all day.
func buildSeconds(ctx context.Context, dir, cacheDir string) (seconds float64, err error) {
	if err := project.Init(dir, "lua"); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "process.lua"))
	if err != nil {
		return 0, err
	}
	for i := range luaFiles - 1 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%d.lua", i)), text, 0o644); err != nil {
			return 0, err
		}
	}
	for range 2 {
		begun := time.Now()
		p, err := project.Open(dir)
		if err == nil {
			_, err = p.Build(ctx, cacheDir)
		}
		if err != nil {
			return 0, err
		}
		seconds = time.Since(begun).Seconds()
	}
	return seconds, nil
}
