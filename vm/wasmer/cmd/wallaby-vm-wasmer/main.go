// Command wallaby-vm-wasmer is the virtual machine wasmer as a plugin of wallaby.
package main

import (
	"os"

	"github.com/wallaby-ao/wallaby/vm/plugin"
	"github.com/wallaby-ao/wallaby/vm/wasmer"
)

func main() {
	driver := wasmer.NewDriver(wasmer.Options{CacheDir: os.Getenv(plugin.CacheVariable), Warn: plugin.Warn})
	plugin.Serve(driver, plugin.About{
		Engine: "wasmer 2.0.0 (wasmer-go " + wasmer.Version + ", cranelift)",
		Can:    []string{"most vectors", "code cache"},
		Needs:  []string{"cgo", "libwasmer.so"},
	})
}
