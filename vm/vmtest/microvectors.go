package vmtest

import "fmt"

// VectorModules are one module for each instruction on vectors, since engines may
// lack some of them.
func VectorModules() []Module {
	var list []Module
	for _, c := range vectorClasses {
		for _, r := range c.ranges {
			for n := r[0]; n <= r[1]; n++ {
				m := &module{pagesMin: 2}
				m.data(microEdges, littleEndian(vectorEdges))
				c.build(m, n)
				list = append(list, Module{fmt.Sprintf("vector instruction %d", n), false, m.bytes(), commandMessages(len(m.commands))})
			}
		}
	}
	return list
}

// vectorEdges are vectors of two halves each: bytes, small and large integers,
// floats, infinities and NaNs of both widths.
var vectorEdges = []uint64{
	0, 0,
	1<<64 - 1, 1<<64 - 1,
	0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908,
	0x8081_7f7e_8000_7fff, 0x8000_0000_7fff_ffff,
	0x3f80_0000_bf80_0000, 0x4f00_0000_cf00_0000,
	0x7f80_0000_ff80_0000, 0x7fc1_2345_7fa0_0001,
	0x7ff8_0000_0000_0001, 0xfff4_0000_0000_0000,
	0x4004 << 48, 0xbfe0 << 48,
	0x41e0 << 48, 0xc3e0 << 48,
	0x0000_0001_8000_0001, 1 << 63,
}

// vectorClass is a kind of instruction on vectors, by the numbers behind the prefix
// 0xfd.
type vectorClass struct {
	ranges   [][2]int
	operands string // v: a vector, i: an i32, l: an i64, f, d: floats; of all pairs of edges
	result   byte
	lanes    int // how many lane numbers there are; 0: none
}

var vectorClasses = []vectorClass{
	{ranges: [][2]int{{15, 17}}, operands: "i", result: typeV128},
	{ranges: [][2]int{{18, 18}}, operands: "l", result: typeV128},
	{ranges: [][2]int{{19, 19}}, operands: "f", result: typeV128},
	{ranges: [][2]int{{20, 20}}, operands: "d", result: typeV128},
	{ranges: [][2]int{{21, 22}}, operands: "v", result: typeI32, lanes: 16},
	{ranges: [][2]int{{24, 25}}, operands: "v", result: typeI32, lanes: 8},
	{ranges: [][2]int{{27, 27}}, operands: "v", result: typeI32, lanes: 4},
	{ranges: [][2]int{{29, 29}}, operands: "v", result: typeI64, lanes: 2},
	{ranges: [][2]int{{31, 31}}, operands: "v", result: typeF32, lanes: 4},
	{ranges: [][2]int{{33, 33}}, operands: "v", result: typeF64, lanes: 2},
	{ranges: [][2]int{{23, 23}}, operands: "vi", result: typeV128, lanes: 16},
	{ranges: [][2]int{{26, 26}}, operands: "vi", result: typeV128, lanes: 8},
	{ranges: [][2]int{{28, 28}}, operands: "vi", result: typeV128, lanes: 4},
	{ranges: [][2]int{{30, 30}}, operands: "vl", result: typeV128, lanes: 2},
	{ranges: [][2]int{{32, 32}}, operands: "vf", result: typeV128, lanes: 4},
	{ranges: [][2]int{{34, 34}}, operands: "vd", result: typeV128, lanes: 2},
	{
		ranges:   [][2]int{{77, 77}, {94, 98}, {103, 106}, {116, 117}, {122, 122}, {124, 129}, {135, 138}, {148, 148}, {160, 161}, {167, 170}, {192, 193}, {199, 202}, {224, 225}, {227, 227}, {236, 237}, {239, 239}, {248, 255}},
		operands: "v", result: typeV128,
	},
	{ranges: [][2]int{{83, 83}, {99, 100}, {131, 132}, {163, 164}, {195, 196}}, operands: "v", result: typeI32},
	{
		ranges:   [][2]int{{14, 14}, {35, 76}, {78, 81}, {101, 102}, {110, 115}, {118, 121}, {123, 123}, {130, 130}, {133, 134}, {142, 147}, {149, 153}, {155, 159}, {174, 174}, {177, 177}, {181, 186}, {188, 191}, {206, 206}, {209, 209}, {213, 223}, {228, 235}, {240, 247}},
		operands: "vv", result: typeV128,
	},
	{ranges: [][2]int{{107, 109}, {139, 141}, {171, 173}, {203, 205}}, operands: "vi", result: typeV128},
	{ranges: [][2]int{{82, 82}}, operands: "vvv", result: typeV128},
	{ranges: [][2]int{{0, 10}, {92, 93}}, operands: "a", result: typeV128},
	{ranges: [][2]int{{84, 84}}, operands: "av", result: typeV128, lanes: 16},
	{ranges: [][2]int{{85, 85}}, operands: "av", result: typeV128, lanes: 8},
	{ranges: [][2]int{{86, 86}}, operands: "av", result: typeV128, lanes: 4},
	{ranges: [][2]int{{87, 87}}, operands: "av", result: typeV128, lanes: 2},
	{ranges: [][2]int{{88, 88}}, operands: "av", lanes: 16},
	{ranges: [][2]int{{89, 89}}, operands: "av", lanes: 8},
	{ranges: [][2]int{{90, 90}}, operands: "av", lanes: 4},
	{ranges: [][2]int{{91, 91}}, operands: "av", lanes: 2},
	{ranges: [][2]int{{13, 13}}, operands: "vv", result: typeV128},
}

// build adds a command with two loops over the edges. Of further operands than two,
// those come from the edges that the first two come from, halfway round.
func (c vectorClass) build(m *module, number int) {
	const i, j, out = 0, 1, 2
	size := int64(8 * len(vectorEdges))
	vectors := func(n int) []byte { return join(local(n), op(0xfd, 0, 0), uleb(microEdges)) }
	operand := func(kind rune, n int) []byte {
		switch kind {
		case 'i':
			return join(local(n), access(0x28, microEdges))
		case 'l':
			return join(local(n), access(0x29, microEdges))
		case 'f':
			return join(local(n), access(0x2a, microEdges))
		case 'd':
			return join(local(n), access(0x2b, microEdges))
		case 'a':
			return local(n)
		}
		return vectors(n)
	}
	memory := number <= 11 || number >= 84 && number <= 93
	var body []byte
	for lane := range max(1, c.lanes) {
		code := join()
		if c.result != 0 {
			code = local(out)
		}
		for at, kind := range c.operands {
			code = join(code, operand(kind, at%2))
		}
		code = join(code, op(0xfd), uleb(number))
		switch {
		case memory && c.result == 0:
			code = join(code, op(0), uleb(microResults+2000)) // a store
		case memory:
			code = join(code, op(0), uleb(microEdges))
		case number == 13:
			code = join(code, op(3, 31, 16, 0, 15, 8, 24, 7, 1, 1, 30, 2, 29, 4, 28, 9))
		}
		if c.lanes > 0 {
			code = join(code, op(byte(lane)))
		}
		switch c.result {
		case 0:
		case typeV128:
			code = join(code, op(0xfd, 11, 0), uleb(microResults))
		default:
			code = join(code, access(storeOf[c.result], microResults))
		}
		next := join(local(out), i32(16), op(0x6a), setLocal(out))
		body = join(body, code, next)
	}
	next := func(n int) []byte { return join(local(n), i32(16), op(0x6a), setLocal(n)) }
	m.command([]byte{typeI32, typeI32, typeI32},
		op(0x03, 0x40), i32(0), setLocal(j),
		op(0x03, 0x40), body, next(j), local(j), i32(size), op(0x49, 0x0d, 0, 0x0b),
		next(i), local(i), i32(size), op(0x49, 0x0d, 0, 0x0b))
	m.command(nil, i32(65536*2-1), op(0xfd, 0, 0, 0), op(0x1a)) // over the end of the memory
}
