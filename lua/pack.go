package lua

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	wasm "github.com/wallaby-ao/wallaby/vm/wasm/binary"
)

// Format is the Module-Format of packed modules.
const Format = "wasm32-unknown-emscripten4"

// Where the bundle lies in memory; lua/runtime/bundle.c and scripts/runtime.sh say the
// same.
const (
	bundleAt  = 0x10000
	bundleEnd = 0x400000

	// BundleBytesMax bounds a bundle: all names and texts, and 8 bytes for each file.
	BundleBytesMax = bundleEnd - bundleAt - bundleHeaderBytes

	bundleHeaderBytes = 12
	fileHeaderBytes   = 8
)

const bundleMagic = "aolua\x01\x00\x00"

// runtimeExport is by which a runtime is known.
const runtimeExport = "wallaby_lua_runtime"

// Files are a bundle's, by the names by which Lua code requires them.
type Files map[string][]byte

// Pack puts files into a runtime. The same files give the same bytes. ".boot" must be
// among them: it returns what the module is asked through.
func Pack(runtime []byte, files Files) ([]byte, error) {
	m, err := decodeRuntime(runtime)
	if err != nil {
		return nil, err
	}
	if m.DataAt(bundleAt) != nil {
		return nil, fmt.Errorf("the runtime has a bundle already")
	}
	if files[".boot"] == nil {
		return nil, fmt.Errorf("the bundle has no file .boot, which answers messages")
	}
	body := []byte{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		body = binary.LittleEndian.AppendUint32(body, uint32(len(name)))
		body = binary.LittleEndian.AppendUint32(body, uint32(len(files[name])))
		body = append(append(body, name...), files[name]...)
	}
	if len(body) > BundleBytesMax {
		return nil, fmt.Errorf("the files have %d bytes together, at most %d fit into a module", len(body), BundleBytesMax)
	}
	bundle := binary.LittleEndian.AppendUint32([]byte(bundleMagic), uint32(len(body)))
	m.AddData(bundleAt, append(bundle, body...))
	return m.Encode(), nil
}

// Unpack gives the files in a packed module, for whoever wants to know what it runs.
func Unpack(module []byte) (Files, error) {
	m, err := decodeRuntime(module)
	if err != nil {
		return nil, err
	}
	bundle := m.DataAt(bundleAt)
	if len(bundle) < bundleHeaderBytes || string(bundle[:len(bundleMagic)]) != bundleMagic {
		return nil, fmt.Errorf("the module has no bundle")
	}
	if size := binary.LittleEndian.Uint32(bundle[len(bundleMagic):]); uint64(size) != uint64(len(bundle)-bundleHeaderBytes) {
		return nil, fmt.Errorf("the bundle says that it has %d bytes, and has %d", size, len(bundle)-bundleHeaderBytes)
	}
	files := Files{}
	for rest := bundle[bundleHeaderBytes:]; len(rest) > 0; {
		if len(rest) < fileHeaderBytes {
			return nil, fmt.Errorf("the bundle ends within a file")
		}
		name, text := uint64(binary.LittleEndian.Uint32(rest)), uint64(binary.LittleEndian.Uint32(rest[4:]))
		rest = rest[fileHeaderBytes:]
		if name+text > uint64(len(rest)) {
			return nil, fmt.Errorf("the bundle ends within a file")
		}
		files[string(rest[:name])] = bytes.Clone(rest[name : name+text])
		rest = rest[name+text:]
	}
	return files, nil
}

// decodeRuntime takes a runtime apart, with or without a bundle.
func decodeRuntime(module []byte) (*wasm.Module, error) {
	m, err := wasm.Decode(module)
	if err != nil {
		return nil, fmt.Errorf("read the runtime: %w", err)
	}
	if !slices.ContainsFunc(m.Exports, func(e wasm.Export) bool { return e.Name == runtimeExport }) {
		return nil, fmt.Errorf("this is no Lua runtime of Wallaby: it does not export %s", runtimeExport)
	}
	return m, nil
}
