package wasm

import (
	"strings"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wasm/binary"
)

// The Module-Format values of the reference loader.
const (
	FormatEmscripten  = "wasm32-unknown-emscripten"
	FormatEmscripten2 = "wasm32-unknown-emscripten2"
	FormatEmscripten3 = "wasm32-unknown-emscripten3"
	FormatEmscripten4 = "wasm32-unknown-emscripten4"
	FormatWasm64      = "wasm64-unknown-emscripten-draft_2024_02_15"
	FormatMetered32   = "wasm32-unknown-emscripten-metering"
	FormatMetered64   = "wasm64-unknown-emscripten-draft_2024_10_16-metering"
)

// Formats lists every module format that runs.
func Formats() []string {
	return []string{
		FormatEmscripten, FormatEmscripten2, FormatEmscripten3, FormatEmscripten4,
		FormatWasm64, FormatMetered32, FormatMetered64,
	}
}

// behaviour is how the reference loader's glue of a format differs from the
// others'.
type behaviour struct {
	runsMain bool
	// pushesProgram puts a program name on the guest's stack for main.
	pushesProgram bool
	// environment shows the guest a few variables.
	environment bool
	// wideStrings reserves four bytes for each UTF-16 unit of a string.
	wideStrings bool
	// clock counts from clockStartMS; otherwise the time is always 0.
	clock bool
	// heapBytesMax is the largest heap the glue grows to.
	heapBytesMax uint64
	// metered reports gas to clients.
	metered bool
}

func behaviourOf(format string) (behaviour, bool) {
	const (
		heapOld = 524_288_000
		heap32  = 4_294_901_760
		heap64  = 17_179_869_184
	)
	switch format {
	case FormatEmscripten:
		return behaviour{runsMain: true, environment: true, wideStrings: true, heapBytesMax: heapOld}, true
	case FormatEmscripten2:
		return behaviour{runsMain: true, pushesProgram: true, environment: true, wideStrings: true, heapBytesMax: heapOld}, true
	case FormatEmscripten3:
		return behaviour{runsMain: true, environment: true, clock: true, heapBytesMax: heap32}, true
	case FormatEmscripten4:
		return behaviour{clock: true, heapBytesMax: heap32}, true
	case FormatWasm64:
		return behaviour{clock: true, heapBytesMax: heap64}, true
	case FormatMetered32:
		return behaviour{clock: true, heapBytesMax: heap32, metered: true}, true
	case FormatMetered64:
		return behaviour{clock: true, heapBytesMax: heap64, metered: true}, true
	}
	return behaviour{}, false
}

// DetectFormat guesses the Module-Format of a module from what it imports and
// exports, for publishing a file.
func DetectFormat(wasm []byte) (string, error) {
	prepared, err := binary.Prepare(wasm, binary.PrepareOptions{Lower64: true})
	if err != nil {
		return "", err
	}
	info := prepared.Info
	if _, ok := info.Exports["handle"]; !ok {
		return "", &vm.UnsupportedError{Feature: "it does not export a function handle, so it is not an ao module"}
	}
	switch {
	case info.Memory64:
		return FormatWasm64, nil
	case info.Minified:
		return FormatEmscripten, nil
	case info.Asyncify, hasImport(info, "__asyncjs__weavedrive_open"), hasExport(info, "_emscripten_stack_alloc"):
		return FormatEmscripten4, nil
	case !hasImport(info, "getTempRet0"):
		return FormatEmscripten3, nil
	}
	return FormatEmscripten2, nil
}

func hasExport(info binary.Info, name string) bool {
	_, ok := info.Exports[name]
	return ok
}

func hasImport(info binary.Info, name string) bool {
	for _, im := range info.Imports {
		if strings.EqualFold(im.Name, name) {
			return true
		}
	}
	return false
}
