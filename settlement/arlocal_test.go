package settlement

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/testport"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/log/memory"
)

// openArlocal starts arlocal, a gateway and node by others, or skips the test.
func openArlocal(t *testing.T) *arweave.Client {
	t.Helper()
	if os.Getenv("WALLABY_ARLOCAL") == "" {
		t.Skip("SKIPPED: arlocal is asked by make test-arlocal only, which installs it")
	}
	dir, err := filepath.Abs("../e2e/arlocal")
	if err != nil {
		t.Fatal(err)
	}
	address := testport.Address(t)
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.Command("node", "-r", filepath.Join(dir, "loopback.cjs"), filepath.Join(dir, "node_modules", "arlocal", "bin", "index.js"), port, "--hidelogs", "--dbpath=db")
	// It takes every path for one below where it is started.
	cmd.Dir, cmd.Stderr = t.TempDir(), os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	client := &arweave.Client{BaseURL: "http://" + address, HTTP: &http.Client{Transport: withoutRaw{}, Timeout: time.Minute}}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, err := client.Info(t.Context()); err == nil {
			return client
		}
		if time.Now().After(deadline) {
			t.Fatal("arlocal does not answer")
		}
	}
}

// withoutRaw asks for data the way arlocal knows: it has no /raw.
type withoutRaw struct{}

// RoundTrip sends one request.
func (withoutRaw) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Path = strings.TrimPrefix(r.URL.Path, "/raw")
	return http.DefaultTransport.RoundTrip(r)
}

func ask(t *testing.T, client *arweave.Client, path string) {
	t.Helper()
	response, err := client.HTTP.Get(client.BaseURL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s", path, response.StatusCode, body)
	}
}

// TestArlocalTakesWhatIsSettled: a node by others verifies our transactions and our
// chunks and opens our bundles, and a checkpoint is found as the reference looks for
// it.
func TestArlocalTakesWhatIsSettled(t *testing.T) {
	client := openArlocal(t)
	wallet := rsaWallet(t)
	ask(t, client, "/mint/"+dataitem.AddressOf(wallet.Owner()).String()+"/1000000000000000")
	log := memory.New(logtest.Signer(t, 1), time.Now)
	process := logtest.ProcessItem(t, logtest.Signer(t, 9), "p")
	items := append([]*dataitem.Item{process}, logtest.Messages(t, logtest.Signer(t, 9), process.ID(), 20)...)
	// Chunks that are alike are lost by arlocal when it is read back.
	random := make([]byte, 900_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	items = append(items, logtest.MessageItem(t, logtest.Signer(t, 9), process.ID(), string(random)))
	var all []*dataitem.Item
	for _, it := range items {
		entry, _, err := log.Append(t.Context(), aolog.Proposal{Item: it})
		if err != nil {
			t.Fatal(err)
		}
		assignment, err := dataitem.Parse(entry.AssignmentBytes)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, it, assignment)
	}
	checkpoint, err := NewCheckpoint(Checkpoint{Process: process.ID(), Nonce: 21, Unit: "unit"},
		func(w io.Writer) error { _, err := w.Write(make([]byte, 65536)); return err }, logtest.Signer(t, 5))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{
		Log: log, Store: &memoryStore{values: map[string][]byte{}}, To: client, Wallet: wallet, Depth: 1,
		Items:  func(context.Context, ao.ID) (*dataitem.Item, error) { return checkpoint, nil },
		Timing: Timing{Linger: 100 * time.Millisecond, Retry: 50 * time.Millisecond, Confirm: 200 * time.Millisecond},
		Fatal:  func(err error) { t.Errorf("fatal: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Enqueue(checkpoint.ID()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(300 * time.Millisecond) {
		ask(t, client, "/mine")
		status := s.Status()
		if status.Confirmed == 22 && status.Extras == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it never came to be settled: %+v", status)
		}
	}
	archive := NewArchive(client)
	for rest := append(all, checkpoint); len(rest) > 0; {
		page := rest[:min(len(rest), 50)]
		rest = rest[len(page):]
		var ids []ao.ID
		for _, it := range page {
			ids = append(ids, it.ID())
		}
		found, err := archive.Look(t.Context(), ids)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range page {
			if one := found[it.ID()]; !slices.Equal(one.Tags, it.Tags) || one.Height == 0 {
				t.Errorf("item %s has the tags %v and the height %d, not %v", it.ID(), one.Tags, one.Height, it.Tags)
			}
		}
	}
	list, err := archive.Checkpoints(t.Context(), process.ID())
	if err != nil || len(list) != 1 || list[0].ID != checkpoint.ID() {
		t.Errorf("%s, %v", fmt.Sprint(list), err)
	}
	if data, err := client.Data(t.Context(), items[21].ID()); err != nil || string(data) != string(random) {
		t.Errorf("%d bytes of a large message came back, %v", len(data), err)
	}
}
