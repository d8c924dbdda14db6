package project

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// DevConfigName is the file by which ao's dev-cli knows a project. It is read where there is
// no FileName.
const DevConfigName = "config.yml"

// devConfig is what such a file has. Of Lua, whose runtime is compiled already, the limit
// alone means something; of C the flags, too. Sizes are bytes.
type devConfig struct {
	Preset        string   `yaml:"preset"`
	StackSize     uint64   `yaml:"stack_size"`
	InitialMemory uint64   `yaml:"initial_memory"`
	MaximumMemory uint64   `yaml:"maximum_memory"`
	CompileArgs   []string `yaml:"extra_compile_args"`
	KeepJS        bool     `yaml:"keep_js"`
	Target        int      `yaml:"target"`
}

// presets are the largest memories by the dev-cli's names for them, in MiB.
var presets = map[string]uint64{"xs": 128, "sm": 256, "md": 512, "lg": 1024, "xl": 8192, "xxl": 16384}

// readDevConfig takes what a dev-cli's file says.
func (p *Project) readDevConfig(text []byte) error {
	config := devConfig{Preset: "md"}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&config); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	megabytes, ok := presets[config.Preset]
	if !ok {
		return fmt.Errorf("preset is %q: take xs, sm, md, lg, xl or xxl", config.Preset)
	}
	p.MemoryLimit = strconv.FormatUint(megabytes, 10) + "-mb"
	if config.MaximumMemory > 0 {
		p.MemoryLimit = strconv.FormatUint(config.MaximumMemory, 10) + "-b"
	}
	p.Flags = config.CompileArgs
	return nil
}
