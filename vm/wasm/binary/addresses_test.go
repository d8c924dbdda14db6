package binary

import (
	"bytes"
	"math/rand"
	"testing"
)

// program is a random function over pointers in locals, written twice: for a
// 64-bit memory, and for a 32-bit one with every address cut where it is used.
type program struct {
	random     *rand.Rand
	wide, flat []byte
	depth      int
	loops      int
}

// Locals of a program: its pointers, the total that it answers, and counters of
// its loops.
const (
	pointers = 4
	total    = pointers
	counter  = pointers + 1 // and those after it
	loopsMax = 12
)

func (p *program) emit(b ...byte) {
	p.wide, p.flat = append(p.wide, b...), append(p.flat, b...)
}

// address pushes a pointer that an access will take.
func (p *program) address(how byte, local int) {
	p.emit(how, byte(local))
	p.flat = append(p.flat, opI32WrapI64)
}

// value pushes an i64, perhaps changing pointers on the way.
func (p *program) value() {
	local := byte(p.random.Intn(pointers))
	switch p.random.Intn(5) {
	case 0:
		p.emit(i64c(p.random.Int63n(1000))...)
	case 1:
		p.emit(opLocalGet, local)
	case 2:
		p.address(opLocalGet, int(local))
		p.emit(0x29, 3, byte(p.random.Intn(8)*8)) // i64.load
	case 3:
		p.pointer()
		p.emit(opLocalTee, local)
	case 4:
		p.pointer()
		p.address(opLocalTee, int(local))
		p.emit(0x29, 3, 8)
	}
}

// pointer pushes an address within the page.
func (p *program) pointer() {
	p.emit(opLocalGet, total)
	p.emit(i64c(p.random.Int63n(4096))...)
	p.emit(0x7c) // i64.add
	p.emit(i64c(0x7ff8)...)
	p.emit(opI64And)
}

func (p *program) statement() {
	local := p.random.Intn(pointers)
	choice := p.random.Intn(9)
	if p.depth > 4 {
		choice %= 5
	}
	switch choice {
	case 0, 1:
		p.address(opLocalGet, local)
		p.value()
		p.emit(0x37, 3, byte(p.random.Intn(8)*8)) // i64.store
	case 2, 3:
		p.emit(opLocalGet, total)
		p.value()
		p.emit(0x7c, opLocalSet, total)
	case 4:
		p.pointer()
		p.emit(opLocalSet, byte(local))
	case 5:
		p.emit(opBlock, blockVoid)
		p.block()
		p.condition()
		p.emit(opBrIf, 0)
		p.block()
		p.emit(opEnd)
	case 6, 7:
		p.condition()
		p.emit(opIf, blockVoid)
		p.block()
		if choice == 6 {
			p.emit(opElse)
			p.block()
		}
		p.emit(opEnd)
	case 8:
		if p.loops == loopsMax {
			return
		}
		c := byte(counter + p.loops)
		p.loops++
		p.emit(i64c(3)...)
		p.emit(opLocalSet, c, opLoop, blockVoid)
		p.block()
		p.emit(opLocalGet, c)
		p.emit(i64c(1)...)
		p.emit(opI64Sub, opLocalTee, c)
		p.emit(i64c(0)...)
		p.emit(0x52, opBrIf, 0, opEnd) // i64.ne
	}
}

func (p *program) condition() {
	p.emit(opLocalGet, total)
	p.emit(i64c(1 << p.random.Intn(6))...)
	p.emit(opI64And, 0x50) // i64.eqz
}

func (p *program) block() {
	p.depth++
	for range 1 + p.random.Intn(5) {
		p.statement()
	}
	p.depth--
}

// TestAddressesInLocals runs random programs on lowered 64-bit memories and on
// plain 32-bit ones.
func TestAddressesInLocals(t *testing.T) {
	locals := make([]byte, 1+loopsMax)
	for i := range locals {
		locals[i] = I64
	}
	taken := 0
	for seed := range int64(400) {
		p := &program{random: rand.New(rand.NewSource(seed))}
		for range 4 {
			p.block()
		}
		p.emit(opLocalGet, total)
		var answers []uint64
		var images [][]byte
		for _, body := range [][]byte{p.wide, p.flat} {
			alter := func(m *Module) {
				m.datas = []data{{offset: join(i32c(0), ops(opEnd)), bytes: bytes.Repeat([]byte("\x90\x01\x2a"), 2000)}}
			}
			if len(answers) == 0 {
				alter = func(m *Module) {
					wide(m)
					m.datas = []data{{offset: join(i64c(0), ops(opEnd)), bytes: bytes.Repeat([]byte("\x90\x01\x2a"), 2000)}}
					found := m.findAddresses(m.Codes[0].body)
					taken += len(found.accesses)
				}
			}
			wasm := assemble([]fn{{params: []byte{I64, I64, I64, I64}, results: []byte{I64}, locals: locals, body: body, export: "f"}}, func(m *Module) {
				alter(m)
				m.Exports = append(m.Exports, Export{Name: "memory", Kind: KindMemory})
			})
			in := start(t, mustPrepare(t, wasm, PrepareOptions{Lower64: true}).Wasm, "interpreter")
			answers = append(answers, in.call("f", 8, 64, 800, 4096))
			image, _ := in.mod.Memory().Read(0, 65536)
			images = append(images, bytes.Clone(image))
		}
		if answers[0] != answers[1] || !bytes.Equal(images[0], images[1]) {
			t.Fatalf("program %d gives %#x with its addresses in locals, %#x without", seed, answers[0], answers[1])
		}
	}
	if taken < 4000 {
		t.Errorf("only %d accesses took their address from a local", taken)
	}
}
