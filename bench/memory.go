package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/node"
)

// MemoryOptions say how large a node is measured.
type MemoryOptions struct {
	Dir    string
	Binary string // the wallaby to run as a process of its own
	Module string // an aos module's file
	// Processes is how many the node holds; Hot of them are aos and in use.
	Processes, Hot int
	Progress       func(string)
}

// Memory measures the resident memory of a node as a process of its own, with
// many processes of which a few are hot. The others run a module of a few
// bytes, because what is measured is what a process costs that nobody uses.
func Memory(ctx context.Context, o MemoryOptions) (rows []Row, err error) {
	small := filepath.Join(o.Dir, "small.wasm")
	if err := os.WriteFile(small, smallModule, 0o644); err != nil {
		return nil, fmt.Errorf("write a small module: %w", err)
	}
	const portBase = 4470
	cmd := exec.CommandContext(ctx, o.Binary, "dev", "--data-dir", filepath.Join(o.Dir, "memory"),
		"--port-base", strconv.Itoa(portBase), "--module", o.Module, "--module", small, "--log-level", "error")
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Binary, err)
	}
	// A node that ends before it was told to ends the benchmark too.
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if waitErr := cmd.Wait(); waitErr != nil {
			cancel(fmt.Errorf("the measured node: %w", waitErr))
		}
	}()
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(nil)
	}()
	u, info, err := dialUser(ctx, fmt.Sprintf("http://127.0.0.1:%d", portBase))
	if err != nil {
		return nil, err
	}
	idle, err := residentBytes(cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	if err := o.fill(ctx, u, info); err != nil {
		return nil, err
	}
	full, err := residentBytes(cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	const mega = 1 << 20
	return []Row{
		{Case: "node, empty", Metric: "resident memory", Unit: "MB", Value: float64(idle) / mega},
		{Case: fmt.Sprintf("node, %d processes, %d hot", o.Processes, o.Hot), Metric: "resident memory", Unit: "MB", Value: float64(full) / mega},
	}, nil
}

// smallModule exports a memory, the stack functions of the ABI, and a handle
// that counts how often it is called, and answers {"ok":true,"response":{}} whatever
// it is told.
var smallModule = []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x14\x04`\x02\x7f\x7f\x01\x7f`\x00\x01\x7f`\x01\x7f\x00`\x01\x7f\x01\x7f" +
	"\x03\x05\x04\x00\x01\x02\x03" +
	"\x05\x03\x01\x00\x01" +
	"\x07;\x05\x06memory\x02\x00\x06handle\x00\x00\x09stackSave\x00\x01\x0cstackRestore\x00\x02\x0astackAlloc\x00\x03" +
	"\x0a\x24\x04\x13\x00A\x80\x04A\x80\x04(\x02\x00A\x01j6\x02\x00A\x10\x0b\x05\x00A\x80\x08\x0b\x02\x00\x0b\x05\x00A\x80\x08\x0b" +
	"\x0b \x01\x00A\x10\x0b\x1a{\"ok\":true,\"response\":{}}\x00")

// dialUser waits until a node is ready.
func dialUser(ctx context.Context, base string) (*user, node.Info, error) {
	var info node.Info
	signer, err := dataitem.GenerateSigner(dataitem.Ed25519, rand.Reader)
	if err != nil {
		return nil, info, err
	}
	client := connect.New(base)
	client.HTTP.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	for ctx.Err() == nil {
		if err = client.Do(ctx, http.MethodGet, base+node.PathInfo, "", nil, &info); err == nil {
			return &user{client, signer}, info, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil, info, errors.Join(ctx.Err(), err)
}

func (o MemoryOptions) fill(ctx context.Context, u *user, info node.Info) error {
	o.Progress(fmt.Sprintf("spawning %d processes", o.Processes))
	spawn := func(module, name string) (ao.ID, error) {
		return u.client.Send(ctx, dataitem.Draft{Data: []byte(" "), Tags: dataitem.Tags{
			{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagType, Value: ao.TypeProcess},
			{Name: ao.TagModule, Value: module}, {Name: ao.TagScheduler, Value: info.Scheduler}, {Name: "Name", Value: name},
		}}, u.signer)
	}
	var last ao.ID
	for i := range o.Processes - o.Hot {
		id, err := spawn(info.Modules[1].ID, fmt.Sprint(i))
		if err != nil {
			return err
		}
		last = id
	}
	if _, err := u.client.Result(ctx, last, last); err != nil {
		return err
	}
	o.Progress(fmt.Sprintf("using %d aos processes", o.Hot))
	hot := make([]ao.ID, o.Hot)
	for i := range hot {
		id, err := spawn(info.Modules[0].ID, fmt.Sprint("hot ", i))
		if err != nil {
			return err
		}
		hot[i] = id
	}
	for round := range 20 {
		for _, process := range hot {
			id, err := u.client.Send(ctx, evalDraft(process, uint64(round)), u.signer)
			if err != nil {
				return err
			}
			result, err := u.client.Result(ctx, process, id)
			if err != nil {
				return err
			}
			if err := checkAnswer(result.JSON()); err != nil {
				return err
			}
		}
	}
	return nil
}

// residentBytes reads a process's resident memory; Linux only.
func residentBytes(pid int) (uint64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read resident memory: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), "VmRSS:")
		if !ok {
			continue
		}
		kilo, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
		return kilo << 10, err
	}
	return 0, errors.New("read resident memory: /proc does not say")
}
