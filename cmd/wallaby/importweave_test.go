package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/history"
)

// TestAHistoryComesFromTheWeave imports what a scheduler has settled, goes on with it,
// and names what a gateway does not have.
func TestAHistoryComesFromTheWeave(t *testing.T) {
	n, dir := openAosNode(t, nil)
	gateway := n.Info().URLs.Gateway
	process := mustRun(t, "spawn", "aos2_0_6")
	eval := func(code string) { mustRun(t, "send", process, "--action", "Eval", "--data", code, "--wait") }
	for i := range 3 {
		eval(fmt.Sprintf("N = (N or 0) + %d return N", i))
	}
	file := filepath.Join(dir, "weave.aolog")
	// The node copies its log to its gateway a moment later.
	importAll := func(places uint64) (report history.Report) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			runCommand(t, "", "import", process, "--from", "arweave", "--gateway", gateway, "--module", "--out", file)
			got := runCommand(t, "", "verify", file, "-o", "json")
			if got.code == exitOK {
				mustDecode(t, got.stdout, &report)
			}
			if report.Entries == places || time.Now().After(deadline) {
				return report
			}
		}
	}
	if report := importAll(4); report.Entries != 4 || len(report.Findings) != 0 || report.Source.Kind != "arweave" {
		t.Errorf("%+v", report)
	}
	eval("return N * 10")
	if report := importAll(5); report.Entries != 5 || len(report.Findings) != 0 {
		t.Errorf("gone on with: %+v", report)
	}
	if text := mustRun(t, "replay", file, "--against", gateway); !strings.Contains(text, "equal: every result") {
		t.Errorf("a replay:\n%s", text)
	}

	hides := httptest.NewServer(hidingNonce(t, gateway, "2"))
	defer hides.Close()
	part := filepath.Join(dir, "part.aolog")
	failed := runCommand(t, "", "import", process, "--from", "arweave", "--gateway", hides.URL, "--out", part)
	if failed.code != exitNotFound || !strings.Contains(failed.stderr, "nonce 2 of process "+process+" is not on the weave") {
		t.Errorf("without nonce 2: %+v", failed)
	}
	unknown := strings.Repeat("A", 43)
	failed = runCommand(t, "", "import", unknown, "--from", "arweave", "--gateway", gateway, "--out", filepath.Join(dir, "no.aolog"))
	if failed.code != exitNotFound || !strings.Contains(failed.stderr, "does not have process "+unknown) {
		t.Errorf("an unknown process: %+v", failed)
	}
}

// hidingNonce is a gateway that does not list assignments with one nonce.
func hidingNonce(t *testing.T, gateway, nonce string) http.Handler {
	target, err := url.Parse(gateway)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(r *http.Response) error {
		if r.Request.URL.Path != "/graphql" {
			return nil
		}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		var answer map[string]map[string]map[string]any
		if err := json.Unmarshal(b, &answer); err != nil {
			return err
		}
		list := answer["data"]["transactions"]
		edges, _ := list["edges"].([]any)
		list["edges"] = slices.DeleteFunc(edges, func(edge any) bool {
			text, _ := json.Marshal(edge)
			return bytes.Contains(text, fmt.Appendf(nil, `{"name":"Nonce","value":"%s"}`, nonce))
		})
		if b, err = json.Marshal(answer); err != nil {
			return err
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		r.Header.Set("Content-Length", fmt.Sprint(len(b)))
		return nil
	}
	return proxy
}
