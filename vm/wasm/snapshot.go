package wasm

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/wallaby-ao/wallaby/vm"
)

// The sections of a snapshot beside the memory.
const (
	sectionGlobals = "globals" // u64 each, in order of index
	sectionHost    = "host"    // clock f64, temporary return value u64
)

// Snapshot writes the state; see vm.Process. Pages of zeros are left out.
func (p *Process) Snapshot(w vm.SnapshotWriter) error {
	if p.failed {
		return fmt.Errorf("snapshot: the last message failed and was not rolled back")
	}
	globals, err := p.globals()
	if err != nil {
		return err
	}
	encoded := make([]byte, 0, 8*len(globals))
	for _, value := range globals {
		encoded = binary.LittleEndian.AppendUint64(encoded, value)
	}
	if err := w.Section(sectionGlobals, encoded); err != nil {
		return err
	}
	host := binary.LittleEndian.AppendUint64(nil, math.Float64bits(p.host.state.clockMS))
	host = binary.LittleEndian.AppendUint64(host, p.host.state.tempRet)
	if err := w.Section(sectionHost, host); err != nil {
		return err
	}
	memory, touched := p.instance.Memory(), p.instance.Touched()
	if err := w.Memory(uint64(len(memory))); err != nil {
		return err
	}
	hashes, _ := w.(vm.HashWriter)
	for at := 0; at < len(memory); at += vm.PageBytes {
		if !anyMayHold(touched, at/osPageBytes) {
			continue
		}
		page := memory[at : at+vm.PageBytes]
		if isZero(page) {
			continue
		}
		if hashes != nil {
			err = hashes.HashedPage(uint32(at/vm.PageBytes), page, p.base.hash(at, page))
		} else {
			err = w.Page(uint32(at/vm.PageBytes), page)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// anyMayHold reports whether one of the pages that a snapshot's page is made of may
// hold anything but zeros.
func anyMayHold(touched []bool, first int) bool {
	for page := first; page < first+vm.PageBytes/osPageBytes; page++ {
		if mayHold(touched, page) {
			return true
		}
	}
	return false
}

// restore fills a fresh instance with a stored state.
func (p *Process) restore(ctx context.Context, r vm.SnapshotReader) error {
	if slices.Equal(r.Sections(), []string{sectionImage}) {
		return p.restoreImage(ctx, r)
	}
	globals, err := r.Section(sectionGlobals)
	if err != nil {
		return fmt.Errorf("restore globals: %w", err)
	}
	if len(globals) != 8*len(p.module.info.Globals) {
		return fmt.Errorf("restore: the snapshot has %d globals, the module %d: it is another module's", len(globals)/8, len(p.module.info.Globals))
	}
	host, err := r.Section(sectionHost)
	if err != nil || len(host) != 16 {
		return fmt.Errorf("restore host state of %d bytes: %w", len(host), err)
	}
	size, err := r.Memory()
	if err != nil {
		return fmt.Errorf("restore memory: %w", err)
	}
	if size > p.base.space.Max() || size%vm.PageBytes != 0 || !p.base.resize(int(size)) {
		return fmt.Errorf("restore: %w: there is no room for a memory of %d bytes", vm.ErrMemoryLimit, size)
	}
	p.baseGlobals = make([]uint64, len(p.module.info.Globals))
	for i := range p.baseGlobals {
		p.baseGlobals[i] = binary.LittleEndian.Uint64(globals[8*i:])
	}
	p.baseHost = hostState{
		clockMS: math.Float64frombits(binary.LittleEndian.Uint64(host)),
		tempRet: binary.LittleEndian.Uint64(host[8:]),
	}
	err = r.Pages(func(index uint32, data []byte) error {
		at := uint64(index) * vm.PageBytes
		if at >= size || len(data) != vm.PageBytes {
			return fmt.Errorf("page %d of %d bytes does not fit a memory of %d", index, len(data), size)
		}
		p.base.put(int(at), data)
		return nil
	})
	if err == nil {
		err = p.startFromBase()
	}
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}
