package binary

import (
	"crypto/sha256"
	"fmt"
	"slices"
)

// PrepareOptions say how a module is to run.
type PrepareOptions struct {
	Metering Metering
	// Lower64 makes a 64-bit memory a 32-bit one, for engines without the
	// former.
	Lower64 bool
	// MemoryPagesMax caps the memory, in pages of 64 KiB; 0 leaves it.
	MemoryPagesMax uint32
}

// Prepared is a module that is ready for an engine.
type Prepared struct {
	Wasm []byte
	Info Info
}

// Info is what a host must know of a prepared module.
type Info struct {
	// PointerBits is 32 or 64: the width of pointers in signatures and memory.
	PointerBits    int
	MemoryPagesMin uint64
	MemoryPagesMax uint64
	Imports        []ImportedFunc
	// Exports names the exported functions.
	Exports map[string]FuncType
	// Memory says that the memory is exported by its usual name.
	Memory bool
	// Globals are the mutable globals, all exported, in order of index. The gas
	// counter is not among them: it is no part of a process's state.
	Globals []ExportedGlobal
	// Metered says that gas is counted, by us or because the module was built
	// so.
	Metered bool
	// BakedGas says that the module was metered when it was built.
	BakedGas bool
	Minified bool
	Memory64 bool // as published
	Asyncify bool
	SIMD     bool
}

// ImportedFunc is a function that the host provides.
type ImportedFunc struct {
	Module, Name string
	Type         FuncType
}

// ExportedGlobal is a mutable global under its exported name.
type ExportedGlobal struct {
	Name string
	Type byte
}

// UnsupportedError says what a module needs that cannot be had.
type UnsupportedError struct{ Feature string }

// Error names the feature.
func (e *UnsupportedError) Error() string { return "module is not supported: it needs " + e.Feature }

// passVersion changes whenever a pass changes what it writes, so that compiled
// code and fingerprints of before are not taken for those of after.
const passVersion = 9

// Fingerprint names a module together with all that Prepare does to it.
func Fingerprint(wasm []byte, o PrepareOptions) [32]byte {
	h := sha256.New()
	sum := sha256.Sum256(wasm)
	h.Write(sum[:])
	fmt.Fprintf(h, "passes %d metering %d lower64 %t pages %d", passVersion, o.Metering, o.Lower64, o.MemoryPagesMax)
	return [32]byte(h.Sum(nil))
}

// Prepare rewrites a published module. The order of the passes matters: gas is
// counted on the code that was published, a budget on what is left of it without
// Asyncify, NaNs before addresses because both
// use scratch locals but only the former adds arithmetic, longjmp late because
// it must see every call, the stack after it because it must see every function
// and every way out, and state is exported when all globals are there.
func Prepare(wasm []byte, o PrepareOptions) (p *Prepared, err error) {
	m, err := Decode(wasm)
	if err != nil {
		return nil, err
	}
	info := Info{Minified: m.unminify(), Memory64: m.isMemory64()}
	checked, err := m.check()
	if err != nil {
		return nil, err
	}
	info.SIMD = checked.simd
	m.exportStart()
	m.narrowExports()
	if info.BakedGas, err = m.internalizeGas(); err != nil {
		return nil, err
	}
	info.Metered = info.BakedGas || o.Metering != MeteringNone
	if o.Metering == MeteringExact && !info.BakedGas {
		m.meterExact()
	}
	m.foldAsyncify()
	if o.Metering == MeteringBudget && !info.BakedGas {
		m.meterBudget()
	}
	m.canonicalizeNaN()
	if info.SIMD {
		m.replaceLanes()
	}
	m.internalizeMemcpy()
	m.boundMemory()
	if info.Memory64 && o.Lower64 {
		if err := m.lowerMemory64(); err != nil {
			return nil, err
		}
	}
	if err := m.internalizeLongjmp(); err != nil {
		return nil, err
	}
	m.guardImports()
	m.meterStack()
	info.Globals = m.exportGlobals()
	if err := m.capMemory(uint64(o.MemoryPagesMax)); err != nil {
		return nil, err
	}
	m.describe(&info)
	return &Prepared{Wasm: m.Encode(), Info: info}, nil
}

// StartExport is the exported function that the module wants to be called when it
// is instantiated. It becomes the host's to call: within a budget, and never again
// when a state is restored.
const StartExport = "__wallaby_start"

func (m *Module) exportStart() {
	if m.start >= 0 {
		m.Exports = append(m.Exports, Export{Name: StartExport, Kind: KindFunc, Index: uint32(m.start)})
		m.start = -1
	}
}

// narrowExports leaves out what no host of ours can use, and what engines differ
// in how they give: functions and globals of other than numbers.
func (m *Module) narrowExports() {
	m.Exports = slices.DeleteFunc(m.Exports, func(e Export) bool {
		switch e.Kind {
		case KindFunc:
			return !m.signature(e.Index).ofNumbers()
		case KindGlobal:
			return !isNumber(m.Globals[e.Index].valueType)
		}
		return false
	})
}

func (m *Module) isMemory64() bool {
	for _, l := range m.Memories {
		if l.Flags&limits64 != 0 {
			return true
		}
	}
	return false
}

// exportGlobals exports every mutable global, since they are part of a
// process's state and no ao module exports them.
func (m *Module) exportGlobals() []ExportedGlobal {
	names := map[uint32]string{}
	for _, e := range m.Exports {
		if e.Kind == KindGlobal {
			names[e.Index] = e.Name
		}
	}
	base := m.countImports(KindGlobal)
	var globals []ExportedGlobal
	for i, g := range m.Globals {
		index := base + uint32(i)
		if g.mutable == 0 || m.transient[index] {
			continue
		}
		if names[index] == "" {
			names[index] = fmt.Sprintf("__wallaby_g%d", index)
			m.Exports = append(m.Exports, Export{Name: names[index], Kind: KindGlobal, Index: index})
		}
		globals = append(globals, ExportedGlobal{Name: names[index], Type: g.valueType})
	}
	return globals
}

func (m *Module) capMemory(pagesMax uint64) error {
	if pagesMax == 0 {
		return nil
	}
	for i := range m.Memories {
		l := &m.Memories[i]
		if l.Min > pagesMax {
			return &UnsupportedError{fmt.Sprintf("an initial memory of %d pages where %d are allowed", l.Min, pagesMax)}
		}
		if l.Flags&limitsHasMax == 0 || l.Max > pagesMax {
			l.Flags |= limitsHasMax
			l.Max = pagesMax
		}
	}
	return nil
}

func (m *Module) describe(info *Info) {
	info.PointerBits = 32
	if info.Memory64 {
		info.PointerBits = 64
	}
	for _, l := range m.Memories {
		info.MemoryPagesMin, info.MemoryPagesMax = l.Min, l.Max
		if l.Flags&limitsHasMax == 0 {
			info.MemoryPagesMax = memoryPagesAddressable
		}
	}
	for _, im := range m.Imports {
		if im.Kind == KindFunc {
			info.Imports = append(info.Imports, ImportedFunc{im.Module, im.Name, m.Types[im.Type]})
		}
	}
	info.Exports = map[string]FuncType{}
	for _, e := range m.Exports {
		info.Memory = info.Memory || e.Kind == KindMemory && e.Name == "memory"
		if e.Kind != KindFunc {
			continue
		}
		info.Exports[e.Name] = m.signature(e.Index)
	}
	if t, ok := info.Exports["handle"]; ok && len(t.Params) > 0 && t.Params[0] == I64 {
		info.PointerBits = 64
	}
	_, info.Asyncify = info.Exports["asyncify_start_unwind"]
}
