package binary

// AddData puts bytes into the memory that a module begins with, at an address of a
// 32-bit memory.
func (m *Module) AddData(at uint32, bytes []byte) {
	e := emitter{}
	e.i32(int32(at))
	e.op(opEnd)
	m.datas = append(m.datas, data{offset: e.b, bytes: bytes})
	if m.dataCount >= 0 {
		m.dataCount++
	}
}

// DataAt gives the bytes of the segment that begins at an address; nil if none does.
func (m *Module) DataAt(at uint32) []byte {
	e := emitter{}
	e.i32(int32(at))
	e.op(opEnd)
	for _, d := range m.datas {
		if string(d.offset) == string(e.b) {
			return d.bytes
		}
	}
	return nil
}
