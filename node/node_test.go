package node

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

func openNode(t *testing.T, dir string) *Node {
	t.Helper()
	n, err := Open(t.Context(), Options{DataDir: dir, AnyPort: true})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func closeNode(t *testing.T, n *Node) {
	t.Helper()
	if err := n.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func clientOf(n *Node) *connect.Client {
	urls := n.Info().URLs
	return &connect.Client{Gateway: urls.Gateway, MU: urls.MU, SU: urls.SU, CU: urls.CU, HTTP: &http.Client{}}
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

func TestUnitsAnswerOnTheirPortsAndUnderTheGateway(t *testing.T) {
	n := openNode(t, t.TempDir())
	defer closeNode(t, n)
	urls := n.Info().URLs
	for url, want := range map[string]string{
		urls.MU + "/":               "ao messenger unit",
		urls.Gateway + "/mu":        "ao messenger unit",
		urls.Gateway + "/mu/":       "ao messenger unit",
		urls.SU + "/":               n.SchedulerAddress(),
		urls.Gateway + "//su/":      n.SchedulerAddress(),
		urls.Gateway + "/su":        n.SchedulerAddress(),
		urls.CU + "/":               `"address"`,
		urls.Gateway + "/cu":        `"address"`,
		urls.Gateway + "/info":      `"height"`,
		urls.Gateway + "/healthz":   "ok",
		urls.Gateway + "/readyz":    "ready",
		urls.SU + "/healthz":        "ok",
		urls.Gateway + "/metrics":   "wallaby_hot_processes",
		urls.Gateway + PathInfo:     n.AuthorityAddress(),
		urls.Gateway + "/su/health": "",
	} {
		if status, body := get(t, url); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.200s", url, status, body)
		}
	}
}

func TestIdentityAndProcessesSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, dir)
	before := n.Info()
	process := logtest.ProcessItem(t, logtest.Signer(t, 9), "kept")
	if err := clientOf(n).Post(t.Context(), process); err != nil {
		t.Fatal(err)
	}
	closeNode(t, n)

	n = openNode(t, dir)
	defer closeNode(t, n)
	after := n.Info()
	if before.Scheduler != after.Scheduler || before.Authority != after.Authority {
		t.Errorf("addresses changed: %+v, %+v", before, after)
	}
	list, err := n.Processes(t.Context(), ao.ID{}, 10)
	if err != nil || len(list) != 1 || list[0].ID != process.ID() || list[0].Name != "kept" {
		t.Errorf("%+v, %v", list, err)
	}
}

// graphQL asks the node's gateway for ids.
func graphQL(t *testing.T, n *Node, filter string) []string {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"query": "{transactions(" + filter + "){edges{node{id tags{name value}}}}}"})
	response, err := http.Post(n.Info().URLs.Gateway+"/graphql", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Data struct {
			Transactions struct {
				Edges []struct{ Node struct{ ID string } }
			}
		}
		Errors []any
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || len(answer.Errors) > 0 {
		t.Fatalf("%v, %v", err, answer.Errors)
	}
	var ids []string
	for _, edge := range answer.Data.Transactions.Edges {
		ids = append(ids, edge.Node.ID)
	}
	return ids
}

func TestTheGatewayShowsWhatTheLogTakes(t *testing.T) {
	n := openNode(t, t.TempDir())
	defer closeNode(t, n)
	process := logtest.ProcessItem(t, logtest.Signer(t, 9), "shown")
	if err := clientOf(n).Post(t.Context(), process); err != nil {
		t.Fatal(err)
	}
	// A process is there when its spawn is answered.
	if ids := graphQL(t, n, `tags:[{name:"Name",values:["shown"]}]`); len(ids) != 1 || ids[0] != process.ID().String() {
		t.Errorf("process: %v", ids)
	}
	if ids := graphQL(t, n, `owners:["`+n.SchedulerAddress()+`"],tags:[{name:"Type",values:["Scheduler-Location"]}]`); len(ids) != 1 {
		t.Errorf("Scheduler-Location: %v", ids)
	}
	// Messages and assignments follow.
	message := logtest.MessageItem(t, logtest.Signer(t, 9), process.ID(), "x", dataitem.Tag{Name: "Mark", Value: "m"})
	if err := clientOf(n).Post(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for len(graphQL(t, n, `tags:[{name:"Message",values:["`+message.ID().String()+`"]}]`)) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("the message's assignment never reached the gateway")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if ids := graphQL(t, n, `tags:[{name:"Mark",values:["m"]}]`); len(ids) != 1 || ids[0] != message.ID().String() {
		t.Errorf("message: %v", ids)
	}
}

func TestOpenRefusesInOneLineAndLeavesNothingOpen(t *testing.T) {
	dir := t.TempDir()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	used := filepath.Join(dir, "used")
	first := openNode(t, used)
	defer closeNode(t, first)
	for name, c := range map[string]struct {
		options Options
		says    string
	}{
		"port in use":       {Options{Ephemeral: true, PortBase: busy.Addr().(*net.TCPAddr).Port}, "--port-base"},
		"directory in use":  {Options{DataDir: used, AnyPort: true}, "in use by another wallaby"},
		"not a directory":   {Options{DataDir: filepath.Join(file, "data"), AnyPort: true}, "choose another with --data-dir"},
		"no directory":      {Options{AnyPort: true}, "no data directory"},
		"no room for ports": {Options{Ephemeral: true, PortBase: 65534}, "leaves no room"},
		"module absent":     {Options{Ephemeral: true, AnyPort: true, Modules: []ModuleFile{{Path: filepath.Join(dir, "no.wasm")}}}, "check the path"},
		"module not wasm":   {Options{Ephemeral: true, AnyPort: true, Modules: []ModuleFile{{Path: file}}}, "not a wasm module"},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := Open(t.Context(), c.options)
			if err == nil {
				closeNode(t, n)
				t.Fatal("it opened")
			}
			if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q does not say %q in one line", err, c.says)
			}
		})
	}
}

func TestEphemeralLeavesNothing(t *testing.T) {
	n, err := Open(t.Context(), Options{Ephemeral: true, AnyPort: true})
	if err != nil {
		t.Fatal(err)
	}
	dir := n.Info().DataDir
	closeNode(t, n)
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}

func TestDamagedLogIsNamed(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, dir)
	if err := clientOf(n).Post(t.Context(), logtest.ProcessItem(t, logtest.Signer(t, 9), "a")); err != nil {
		t.Fatal(err)
	}
	closeNode(t, n)
	segments, err := filepath.Glob(filepath.Join(dir, "log", "segments", "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("%v, %v", segments, err)
	}
	b, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(bytes.TrimRight(b, "\x00"))-200] ^= 1
	if err := os.WriteFile(segments[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := Open(t.Context(), Options{DataDir: dir, AnyPort: true}); err == nil {
		closeNode(t, n)
		t.Fatal("a damaged log was opened")
	} else if !strings.Contains(err.Error(), segments[0]) {
		t.Errorf("%v does not name %s", err, segments[0])
	}
}

func TestParseModuleFile(t *testing.T) {
	id := ao.ID{1}
	for text, want := range map[string]ModuleFile{
		"a.wasm":                 {Path: "a.wasm"},
		id.String() + "=b.wasm":  {ID: id, Path: "b.wasm"},
		"dir=with/equals/c.wasm": {Path: "dir=with/equals/c.wasm"},
	} {
		if got, err := ParseModuleFile(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", strings.Repeat("?", 43) + "=x.wasm"} {
		if _, err := ParseModuleFile(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
