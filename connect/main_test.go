package connect_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/lua"
	"github.com/wallaby-ao/wallaby/node"
)

// What the examples speak to: a node, a wallet, and the module of a process that counts.
var (
	nodeURL  string
	wallet   dataitem.Signer
	moduleID ao.ID
	stopNode func() error
	counter  = `
Count = Count or 0
Handlers.add("add", "Add", function(m)
	Count = Count + assert(tonumber(m.Quantity), "Quantity must be a number")
	m.reply({ Action = "Added", Count = tostring(Count) })
end)
Handlers.add("get", "Get", function(m) m.reply({ Data = tostring(Count) }) end)`
)

func TestMain(m *testing.M) {
	runtime, err := lua.Runtime()
	if err != nil {
		fmt.Println("SKIPPED: all examples of connect:", err)
		os.Exit(0)
	}
	dir, err := os.MkdirTemp("", "connect-")
	if err == nil {
		err = open(runtime, dir)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	code := m.Run()
	if err := stopNode(); err != nil {
		fmt.Println(err)
		code = 1
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func open(runtime []byte, dir string) (err error) {
	code, err := lua.Module(runtime, lua.Files{"process": []byte(counter)})
	if err != nil {
		return err
	}
	n, err := node.Open(context.Background(), node.Options{DataDir: filepath.Join(dir, "data"), AnyPort: true})
	if err != nil {
		return err
	}
	stopNode = func() error { return n.Close(context.Background()) }
	nodeURL = n.Info().URLs.Gateway
	if wallet, err = dataitem.GenerateSigner(dataitem.Ed25519, rand.Reader); err != nil {
		return err
	}
	item, err := node.ModuleItem(code, nil, wallet)
	if err != nil {
		return err
	}
	moduleID = item.ID()
	return connect.New(nodeURL).Upload(context.Background(), item)
}
