package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// childDir names the store of a child process that TestMain turns into a
// gateway.
const childDir = "WALLABY_TEST_GATEWAY_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		serveChild(dir)
		return
	}
	os.Exit(m.Run())
}

// serveChild serves until it is killed. It says on which address.
func serveChild(dir string) {
	g, err := gateway.Open(gateway.Options{Dir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr())
	fmt.Println(http.Serve(listener, g.Handler()))
}

func startChild(t *testing.T, dir string) (child *exec.Cmd, client *arweave.Client) {
	t.Helper()
	child = exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), childDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the gateway did not start: %v", err)
	}
	return child, &arweave.Client{BaseURL: "http://" + line[:len(line)-1], HTTP: &http.Client{Transport: &http.Transport{}}}
}

// TestKilledInMidTraffic kills a gateway with SIGKILL while eight clients
// upload, three times over, and looks for everything it had acknowledged.
func TestKilledInMidTraffic(t *testing.T) {
	dir := t.TempDir()
	signer := wallet(t, 1)
	ctx := context.Background()
	var mu sync.Mutex
	acknowledged := map[dataitem.ID][]byte{}
	for round := range 3 {
		child, client := startChild(t, dir)
		var wait sync.WaitGroup
		enough := make(chan struct{})
		for worker := range 8 {
			wait.Go(func() {
				for i := 0; ; i++ {
					data := append(patterned((i%4)*20_000), fmt.Sprint(round, worker, i)...)
					it := sign(t, signer, dataitem.Draft{Data: data})
					if _, err := client.PostItem(ctx, it); err != nil {
						return // it was killed
					}
					mu.Lock()
					acknowledged[it.ID()] = data
					if len(acknowledged) == 50*(round+1) {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		<-enough
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		wait.Wait()
		_ = child.Wait()
		client.HTTP.CloseIdleConnections()
	}
	g := mustOpen(t, gateway.Options{Dir: dir})
	for id, data := range acknowledged {
		if got, err := g.Data(ctx, id); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s was acknowledged: %d bytes of %d, %v", id, len(got), len(data), err)
		}
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("%d uploads were acknowledged", len(acknowledged))
}
