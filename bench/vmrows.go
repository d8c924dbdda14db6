package bench

// Rows gives what was measured as a table: medians and 99th percentiles over all
// rounds, with the loader's beside them. With several modules a row's case begins
// with the module's name.
func (r *VMResult) Rows() []Row {
	var rows []Row
	for _, module := range r.Modules {
		prefix := ""
		if len(r.Modules) > 1 {
			prefix = module.Name + ", "
		}
		for _, row := range module.rows() {
			row.Case = prefix + row.Case
			rows = append(rows, row)
		}
	}
	return rows
}

func (m VMModule) rows() []Row {
	var rows []Row
	for _, name := range m.workNames() {
		for _, run := range m.Runs {
			if work, ok := run.work(name); ok {
				rows = append(rows, workRows(run.Engine, work, m.reference(name))...)
			}
		}
	}
	for _, run := range m.Runs {
		rows = append(rows, run.startRows()...)
	}
	return rows
}

// workNames gives the names of the workloads that were measured, which are the
// same for all engines.
func (m VMModule) workNames() []string {
	var names []string
	if len(m.Runs) > 0 {
		for _, work := range m.Runs[0].Works {
			names = append(names, work.Name)
		}
	}
	return names
}

// reference gives the loader's figures of a workload, empty if there are none.
func (m VMModule) reference(name string) VMWork {
	if m.Loader == nil {
		return VMWork{}
	}
	work, _ := m.Loader.work(name)
	return work
}

func workRows(engine string, work, reference VMWork) []Row {
	peer := ""
	if len(reference.times()) > 0 {
		peer = loaderName
	}
	messages, gas := work.perSecond()
	theirs, _ := reference.perSecond()
	rows := []Row{
		Lower(work.Name, engine+" median", "ms", work.medianMS(), peer, reference.medianMS()),
		Lower(work.Name, engine+" p99", "ms", work.p99MS(), peer, reference.p99MS()),
		Higher(work.Name, engine+" messages", "1/s", messages, peer, theirs),
	}
	if gas > 0 {
		rows = append(rows, Higher(work.Name, engine+" gas", "gas/s", gas, "", 0))
	}
	return rows
}

func (r *VMRun) startRows() []Row {
	var rows []Row
	for _, s := range r.Starts {
		rows = append(rows, Lower(s.Name, r.Engine, "ms", quantileMS(s.Times, 0.5), "", 0))
	}
	return append(rows,
		Lower("snapshot", r.Engine+" size", "MB", float64(r.SnapshotBytes)/1e6, "", 0),
		Lower("snapshot", r.Engine+" stored for one more Eval (target 1)", "MB", float64(r.ChangedBytes)/1e6, "", 0),
		Lower("memory", r.Engine+" of a process", "MB", float64(r.ResidentBytes)/1e6, "", 0))
}
