package system

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/internal/testport"
	"github.com/wallaby-ao/wallaby/node"
)

// impatient does not wait for a node that has its port but does not answer yet.
var impatient = &http.Client{Timeout: 2 * time.Second}

// binary is the wallaby under test.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "wallaby-system-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "wallaby")
		build := exec.Command("go", "build", "-o", binary, "../cmd/wallaby")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build wallaby: %v: %s\n", err, out)
			return 1
		}
		return m.Run()
	}())
}

// cluster is three nodes as processes.
type cluster struct {
	t     *testing.T
	nodes []*process
}

// process is one node, which may be down.
type process struct {
	t       *testing.T
	id      string
	config  string
	base    string // URL of its gateway
	client  *connect.Client
	modules []string

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // closed once cmd is gone
	out   said
}

// startCluster makes a cluster on free ports and waits until it takes messages.
func startCluster(t *testing.T, modules ...string) *cluster {
	t.Helper()
	return startClusterFrom(t, node.NodeFile, modules...)
}

// startClusterFrom starts each node with the file that config gives for the
// cluster's directory and the node.
func startClusterFrom(t *testing.T, config func(dir, id string) string, modules ...string) *cluster {
	t.Helper()
	dir := t.TempDir()
	plan := node.ClusterPlan{Name: "system"}
	for i := range 3 {
		base := testport.Free(t, 10)
		plan.Members = append(plan.Members, node.Member{ID: fmt.Sprintf("n%d", i+1), Address: fmt.Sprintf("127.0.0.1:%d", base+9)})
		plan.PortBases = append(plan.PortBases, base)
	}
	if err := node.CreateCluster(filepath.Join(dir, "c"), plan, time.Now()); err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	for i, member := range plan.Members {
		base := "http://127.0.0.1:" + strconv.Itoa(plan.PortBases[i])
		client := connect.New(base)
		client.HTTP.Transport = transport
		p := &process{t: t, id: member.ID, config: config(filepath.Join(dir, "c"), member.ID), base: base, client: client, modules: modules}
		c.nodes = append(c.nodes, p)
	}
	for _, p := range c.nodes {
		p.start()
	}
	t.Cleanup(func() {
		for _, p := range c.nodes {
			p.kill()
		}
		if t.Failed() {
			for _, p := range c.nodes {
				out := p.out.String()
				t.Logf("node %s said last:\n%s", p.id, out[max(0, len(out)-4000):])
			}
		}
	})
	for _, p := range c.nodes {
		p.awaitReady()
	}
	return c
}

func (p *process) start() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	args := []string{"node", "--config", p.config, "--log-format", "text", "--log-level", "warn"}
	for _, module := range p.modules {
		args = append(args, "--module", module)
	}
	fmt.Fprint(&p.out, startMark)
	p.cmd = exec.Command(binary, args...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatalf("start node %s: %v", p.id, err)
	}
	cmd, ended := p.cmd, make(chan struct{})
	p.ended = ended
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
}

func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(s)
	}
}

// kill ends the process at once and waits until it is gone.
func (p *process) kill() {
	p.mu.Lock()
	cmd := p.cmd
	p.cmd = nil
	p.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill()
		<-p.ended
	}
}

func (p *process) awaitReady() {
	p.t.Helper()
	if out, refused := p.readyOrEnded(); refused {
		p.t.Fatalf("node %s ended by itself: %s", p.id, out)
	}
}

// readyOrEnded waits until a node serves, or ended by itself, and gives what it
// said since it was started then.
func (p *process) readyOrEnded() (out string, ended bool) {
	p.t.Helper()
	return p.awaitOrEnded("ready", isReady)
}

// checkedOrEnded waits until a node serves and has read through all its files, or
// ended by itself, and gives what it said since it was started then.
func (p *process) checkedOrEnded() (out string, ended bool) {
	p.t.Helper()
	return p.awaitOrEnded("done with reading its files through", func(p *process) bool {
		return isReady(p) && strings.Contains(p.metrics(), "\nwallaby_results_checked 1\n")
	})
}

func (p *process) awaitOrEnded(what string, done func(*process) bool) (out string, ended bool) {
	p.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		select {
		case <-p.ended:
			all := p.out.String()
			return all[strings.LastIndex(all, startMark)+len(startMark):], true
		default:
		}
		if done(p) {
			return "", false
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("node %s is not %s after a minute", p.id, what)
		}
	}
}

// metrics gives what a node counts, or nothing when it is down.
func (p *process) metrics() string {
	response, err := http.Get(p.base + "/metrics")
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		return ""
	}
	return string(b)
}

// startMark separates what a node says in each of its lives.
const startMark = "-- started\n"

// status asks a node how the cluster is.
func (p *process) status(ctx context.Context) (status node.ClusterStatus, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+node.PathCluster, nil)
	if err != nil {
		return status, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return status, err
	}
	defer response.Body.Close()
	return status, json.NewDecoder(response.Body).Decode(&status)
}

// info asks a node what it is; one that is down answers with nothing.
func (p *process) info(ctx context.Context) (info node.Info) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+node.PathInfo, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return info
	}
	defer response.Body.Close()
	_ = json.NewDecoder(response.Body).Decode(&info)
	return info
}

// busiest is the node that leads the most groups.
func (c *cluster) busiest() *process {
	most, leader := -1, c.nodes[0]
	for _, p := range c.nodes {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		status, err := p.status(ctx)
		cancel()
		if err != nil {
			continue
		}
		for _, n := range status.Nodes {
			leads := 0
			for _, g := range n.Groups {
				if g.Role == "leader" {
					leads++
				}
			}
			if leads > most {
				most = leads
				for _, candidate := range c.nodes {
					if candidate.id == n.ID {
						leader = candidate
					}
				}
			}
		}
		break
	}
	return leader
}

var errStopped = errors.New("stopped")
