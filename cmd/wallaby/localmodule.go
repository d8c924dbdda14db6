package main

import (
	"context"
	"fmt"
	"os"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/node"
	"github.com/wallaby-ao/wallaby/project"
	"github.com/wallaby-ao/wallaby/trial"
	"github.com/wallaby-ao/wallaby/vm"
)

// localModule gives the module in a file, or makes it of the project in a directory, as it
// would be published.
func localModule(ctx context.Context, path string) (*dataitem.Item, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	var code []byte
	var tags dataitem.Tags
	if info.IsDir() {
		p, err := project.Open(path)
		if err != nil {
			return nil, err
		}
		if code, _, err = p.Make(ctx, moduleCacheDir()); err != nil {
			return nil, fmt.Errorf("build %s: %w", path, err)
		}
		tags = p.Tags()
	} else {
		if code, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("read module: %w", err)
		}
		if tags, err = withProjectTags(path, nil); err != nil {
			return nil, err
		}
	}
	signer, err := trial.Publisher()
	if err != nil {
		return nil, err
	}
	item, err := node.ModuleItem(code, tags, signer)
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", path, err)
	}
	return item, nil
}

// localMachines opens the virtual machines of this program and its plugins. The caller
// closes them, also with an error.
func (a *app) localMachines() ([]vm.Driver, error) {
	logger, err := newLogger(a.stderr, "auto", "warn")
	if err != nil {
		return nil, err
	}
	return node.OpenMachines(node.MachineOptions{CacheDir: moduleCacheDir(), PluginDirs: pluginDirs(nil), Logger: logger})
}
