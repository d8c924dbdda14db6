// Command wallaby-vm-wasmtime is the virtual machine wasmtime as a plugin of wallaby.
package main

import (
	"os"

	"github.com/wallaby-ao/wallaby/vm/plugin"
	"github.com/wallaby-ao/wallaby/vm/wasmtime"
)

func main() {
	driver := wasmtime.NewDriver(wasmtime.Options{CacheDir: os.Getenv(plugin.CacheVariable), Warn: plugin.Warn})
	plugin.Serve(driver, plugin.About{Engine: "wasmtime " + wasmtime.Version, Can: []string{"vectors", "code cache"}, Needs: []string{"cgo"}})
}
