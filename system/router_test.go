package system

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/testport"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// TestARouterStandsBeforeUnits spawns, sends and reads through routers alone,
// while one of the hosts they name is not there.
func TestARouterStandsBeforeUnits(t *testing.T) {
	const module = "../testdata/modules/aos2_0_6.wasm"
	if _, err := os.Stat(module); err != nil {
		t.Skipf("SKIP: %s is missing: make modules fetches it", module)
	}
	c := startCluster(t, module)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	info := c.nodes[0].info(ctx)
	gone := "http://127.0.0.1:1"
	client := connect.New(c.nodes[0].base)
	client.CU = startRouter(t, "--unit", "cu", "--hosts", gone+","+c.nodes[0].base+"/cu,"+c.nodes[1].base+"/cu")
	client.MU = startRouter(t, "--unit", "mu", "--hosts", c.nodes[2].base+"/mu,"+gone+","+c.nodes[1].base+"/mu")
	signer := logtest.Signer(t, 80)
	for i := range 3 {
		process := logtest.ProcessItem(t, signer, fmt.Sprint("behind routers ", i),
			dataitem.Tag{Name: ao.TagModule, Value: info.Modules[0].ID}, dataitem.Tag{Name: ao.TagAuthority, Value: info.Authority})
		message := logtest.MessageItem(t, signer, process.ID(), "return 6 * 7", dataitem.Tag{Name: "Action", Value: "Eval"})
		for _, item := range []*dataitem.Item{process, message} {
			if err := client.Post(ctx, item); err != nil {
				t.Fatal(err)
			}
		}
		result, err := client.Result(ctx, process.ID(), message.ID())
		if err != nil || !strings.Contains(string(result.JSON()), "42") {
			t.Fatalf("result through the router: %s %v", result.JSON(), err)
		}
	}
}

// startRouter runs a router, which ends with the test in good order.
func startRouter(t *testing.T, args ...string) string {
	t.Helper()
	address := testport.Address(t)
	var out bytes.Buffer
	cmd := exec.Command(binary, append([]string{"router", "--listen", address}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("router: %v: %s", err, out.String())
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return "http://" + address
		}
		if time.Now().After(deadline) {
			t.Fatalf("the router does not listen: %v: %s", err, out.String())
		}
	}
}
