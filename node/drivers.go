package node

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/wallaby-ao/wallaby/internal/procs"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/plugin"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

const (
	pluginMemoryDefault = 4 << 30
	pluginFilesMax      = 4096
)

// openDrivers makes the virtual machines that processes may choose: wazero, which
// runs those that choose none, its interpreter, and plugins. These start when
// they are first needed. A name that is taken is not given again.
func (n *Node) openDrivers() ([]vm.Driver, error) {
	var drivers []vm.Driver
	for _, interpreter := range []bool{false, true} {
		options := wazero.Options{
			Interpreter: interpreter,
			Warn:        func(text string) { n.options.Logger.Warn().Str("pkg", "wazero").Msg(text) },
		}
		if !interpreter {
			options.CacheDir = filepath.Join(n.dir, "cache")
		}
		driver, err := wazero.NewDriver(options)
		if err != nil {
			return nil, fmt.Errorf("start the virtual machine: %w", err)
		}
		drivers = append(drivers, driver)
		n.onClose("virtual machine", func(context.Context) error { return driver.Close() })
	}
	memory := n.options.PluginMemoryBytes
	if memory == 0 {
		memory = pluginMemoryDefault
	}
	for _, path := range plugin.Find(n.options.PluginDirs...) {
		logger := n.options.Logger.With().Str("pkg", "plugin").Str("plugin", path).Logger()
		driver := plugin.New(plugin.Options{
			Path:           path,
			Workers:        procs.Cores(),
			MemoryBytesMax: memory,
			OpenFilesMax:   pluginFilesMax,
			CacheDir:       filepath.Join(n.dir, "cache", "plugins"),
			Warn:           func(text string) { logger.Warn().Msg(text) },
		})
		if slices.ContainsFunc(drivers, func(d vm.Driver) bool { return d.Name() == driver.Name() }) {
			logger.Warn().Str("vm", driver.Name()).Msg("the plugin is left out: there is a virtual machine of that name")
			continue
		}
		drivers = append(drivers, driver)
		n.onClose("plugin", func(context.Context) error { return driver.Close() })
	}
	if n.options.WrapDriver != nil {
		drivers[0] = n.options.WrapDriver(drivers[0])
	}
	return drivers, nil
}
