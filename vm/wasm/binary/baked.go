package binary

// internalizeGas makes a module that was metered when it was built count in our
// global instead of calling its host millions of times.
//
// Such a module counts what its builder pleased, so an endless loop need not
// count at all. It gets a budget besides, as large as its gas, which never binds
// a module that counts honestly: what it counts by ao's table is more than what
// the budget charges for the same code.
func (m *Module) internalizeGas() (baked bool, err error) {
	usegas, ok := m.importedFunc("metering", "usegas")
	if !ok {
		return false, nil
	}
	t := m.signature(usegas)
	if len(t.Params) != 1 || len(t.Results) != 0 || t.Params[0] != I32 && t.Params[0] != I64 {
		return true, &UnsupportedError{"metering.usegas with other parameters than one integer"}
	}
	m.importRefill()
	bodies := len(m.Codes)
	b := &budget{m: m, imported: m.countImports(KindFunc), baked: true, usegas: usegas}
	b.analyse()
	b.counter = m.counter(BudgetExport, RefillBudget)
	for i := range b.funcs {
		b.rewrite(i)
	}
	gas := m.counter(GasExport, RefillGas)
	m.redirect(map[uint32]uint32{usegas: m.addCounter(t, gas)}, bodies)
	return true, nil
}

// addCounter adds the function that takes over from the import.
func (m *Module) addCounter(t FuncType, gas gasCounter) uint32 {
	const cost, left = 0, 1
	e := emitter{}
	e.index(opGlobalGet, gas.left)
	e.index(opLocalGet, cost)
	if t.Params[0] == I32 {
		e.op(opI64ExtendU)
	} else {
		// Nobody earns gas.
		e.i64(1<<62 - 1)
		e.op(opI64And)
	}
	e.op(opI64Sub)
	e.settle(gas, left)
	e.op(opEnd)
	return m.addFunc(m.addType(t), code{locals: []local{{1, I64}}, body: e.b})
}
