package plugin

import (
	"os"
	"path/filepath"
	"strings"
)

// programPrefix begins the names of plugins.
const programPrefix = "wallaby-vm-"

// programs lists the plugins of one directory.
func programs(dir string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		info, err := os.Stat(filepath.Join(dir, entry.Name()))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 || !strings.HasPrefix(entry.Name(), programPrefix) {
			continue
		}
		paths = append(paths, filepath.Join(dir, entry.Name()))
	}
	return paths, nil
}
