package node

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/internal/procs"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/plugin"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

const (
	pluginMemoryDefault = 4 << 30
	pluginFilesMax      = 4096
)

// MachineOptions say which virtual machines there are.
type MachineOptions struct {
	// CacheDir keeps compiled modules; "": nothing is kept.
	CacheDir          string
	PluginDirs        []string
	PluginMemoryBytes uint64
	Logger            zerolog.Logger
}

// openDrivers makes the virtual machines that processes may choose.
func (n *Node) openDrivers() ([]vm.Driver, error) {
	drivers, err := OpenMachines(MachineOptions{
		CacheDir: cmp.Or(n.options.CacheDir, filepath.Join(n.dir, "cache")), PluginDirs: n.options.PluginDirs,
		PluginMemoryBytes: n.options.PluginMemoryBytes, Logger: n.options.Logger,
	})
	for _, driver := range drivers {
		n.onClose("virtual machine "+driver.Name(), func(context.Context) error { return driver.Close() })
	}
	if err != nil {
		return nil, err
	}
	if n.options.WrapDriver != nil {
		drivers[0] = n.options.WrapDriver(drivers[0])
	}
	return drivers, nil
}

// OpenMachines makes wazero, which runs processes that choose no machine, its
// interpreter, and plugins. These start when they are first needed. A name that is
// taken is not given again. The caller closes what it gets, also with an error.
func OpenMachines(o MachineOptions) (drivers []vm.Driver, err error) {
	for _, interpreter := range []bool{false, true} {
		options := wazero.Options{
			Interpreter: interpreter,
			Warn:        func(text string) { o.Logger.Warn().Str("pkg", "wazero").Msg(text) },
		}
		if !interpreter {
			options.CacheDir = o.CacheDir
		}
		driver, err := wazero.NewDriver(options)
		if err != nil {
			return drivers, fmt.Errorf("start the virtual machine: %w", err)
		}
		drivers = append(drivers, driver)
	}
	if o.PluginMemoryBytes == 0 {
		o.PluginMemoryBytes = pluginMemoryDefault
	}
	cache := ""
	if o.CacheDir != "" {
		cache = filepath.Join(o.CacheDir, "plugins")
	}
	for _, path := range plugin.Find(o.PluginDirs...) {
		logger := o.Logger.With().Str("pkg", "plugin").Str("plugin", path).Logger()
		driver := plugin.New(plugin.Options{
			Path:           path,
			Workers:        procs.Cores(),
			MemoryBytesMax: o.PluginMemoryBytes,
			OpenFilesMax:   pluginFilesMax,
			CacheDir:       cache,
			Warn:           func(text string) { logger.Warn().Msg(text) },
		})
		if slices.ContainsFunc(drivers, func(d vm.Driver) bool { return d.Name() == driver.Name() }) {
			logger.Warn().Str("vm", driver.Name()).Msg("the plugin is left out: there is a virtual machine of that name")
			continue
		}
		drivers = append(drivers, driver)
	}
	return drivers, nil
}
