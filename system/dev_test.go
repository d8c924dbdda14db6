package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/internal/testport"
)

// said is what a process has printed so far.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestDevClusterIsOneCommand starts three nodes with one command, twice on the
// same directory, and stops them with Ctrl-C.
func TestDevClusterIsOneCommand(t *testing.T) {
	dir, base := t.TempDir(), testport.Free(t, 30)
	for range 2 {
		out := &said{}
		cmd := exec.Command(binary, "dev", "--cluster", "3", "--data-dir", dir, "--port-base", fmt.Sprint(base))
		cmd.Stdout, cmd.Stderr = out, out
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); !strings.Contains(out.String(), "Any node takes any message"); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no panel after a minute: %s", out)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		status := ""
		// Eight groups of three, and one for each node.
		for leads := 0; leads < 11 && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
			b, err := exec.CommandContext(ctx, binary, "cluster", "status", "-o", "json", "--url", fmt.Sprintf("http://127.0.0.1:%d", base+10)).Output()
			status = string(b)
			if leads = strings.Count(status, `"role": "leader"`); err != nil {
				t.Fatalf("cluster status: %v", err)
			}
		}
		cancel()
		if strings.Count(status, `"role": "leader"`) != 11 {
			t.Errorf("not every group has a leader: %s", status)
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("Ctrl-C: %v: %s", err, out)
		}
	}
}

// TestDevClusterThatCannotStartEnds has a port of a unit in use, then that of a node for the
// others, and nodes that cannot start.
func TestDevClusterThatCannotStartEnds(t *testing.T) {
	base := testport.Free(t, 30)
	refused := func(why, want string, args ...string) (dir string) {
		t.Helper()
		dir = t.TempDir()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, binary, append([]string{"dev", "--cluster", "3", "--data-dir", dir, "--port-base", fmt.Sprint(base)}, args...)...).CombinedOutput()
		if code := exitCode(err); code != 1 || !strings.Contains(string(out), want) {
			t.Errorf("%s: exit %d, %v: %s", why, code, err, out)
		}
		return dir
	}
	for _, port := range []int{base + 13, base + 29} {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		dir := refused("a port in use", fmt.Sprintf("port 127.0.0.1:%d", port))
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%v is left behind, %v", left, err)
		}
	}
	refused("no node starts", "did not start (exit status 1)", "--module", filepath.Join(t.TempDir(), "absent.wasm"))
}

func exitCode(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return 0
}
