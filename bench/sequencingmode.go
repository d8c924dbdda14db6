package bench

import (
	"fmt"
	"slices"
	"strings"
)

// SequencingMode is one way to order processes, as it is measured: what opens its
// nodes, and what it is good for. Plot and advice know modes by these fields only.
type SequencingMode struct {
	Name string
	// Nodes is how many run, and Tag the mode that processes choose; "" the nodes'
	// own, in which all vote.
	Nodes int
	Tag   string
	// Lost is how many nodes may be lost with their disks, and Survives says so.
	Lost     int
	Survives string
	// Cheats is how many keyholders can give two orders together, and
	// Equivocators says who they are.
	Cheats       int
	Equivocators string
}

// SequencingModes are all that can be measured, the cheapest first.
func SequencingModes() []SequencingMode {
	const scheduler = "who holds the scheduler's key"
	return []SequencingMode{
		{Name: "solo", Nodes: 1, Survives: "no lost disk", Cheats: 1, Equivocators: scheduler},
		{Name: "raft:3", Nodes: 3, Lost: 1, Survives: "the loss of 1 of 3 nodes with its disk", Cheats: 1, Equivocators: scheduler},
		{Name: "raft:5", Nodes: 5, Lost: 2, Survives: "the loss of 2 of 5 nodes with their disks", Cheats: 1, Equivocators: scheduler},
		{Name: "cosigned:2/3", Nodes: 3, Tag: "cosigned:2/3", Lost: 1, Survives: "the loss of 1 of 3 nodes with its disk", Cheats: 2, Equivocators: "any 2 of the 3 operators together"},
		{Name: "solo in three nodes", Nodes: 3, Tag: "solo", Survives: "no lost disk", Cheats: 1, Equivocators: scheduler},
		{Name: "raft:3 in five nodes", Nodes: 5, Tag: "raft:3", Lost: 1, Survives: "the loss of 1 of 3 voters with its disk", Cheats: 1, Equivocators: scheduler},
	}
}

// SequencingModeNames are the names of all modes.
func SequencingModeNames() (names []string) {
	for _, mode := range SequencingModes() {
		names = append(names, mode.Name)
	}
	return names
}

// FindSequencingModes gives the modes with these names.
func FindSequencingModes(names []string) (modes []SequencingMode, err error) {
	all := SequencingModes()
	for _, name := range names {
		i := slices.IndexFunc(all, func(m SequencingMode) bool { return m.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no mode %q to measure: choose from %s", name, strings.Join(SequencingModeNames(), ", "))
		}
		modes = append(modes, all[i])
	}
	return modes, nil
}

// SequencingRun is one mode measured with so many clients at once.
type SequencingRun struct {
	Mode    SequencingMode
	Clients int
	Rate    Rate
}

func (r SequencingRun) name() string { return fmt.Sprintf("%s, %d clients", r.Mode.Name, r.Clients) }

// SequencingRows puts runs beside those of the first mode that was measured.
func SequencingRows(runs []SequencingRun) (rows []Row) {
	for _, run := range runs {
		peer, base := "", SequencingRun{}
		if runs[0].Mode != run.Mode {
			if found, ok := findRun(runs, runs[0].Mode, run.Clients); ok {
				peer, base = found.Mode.Name, found
			}
		}
		rows = append(rows,
			Higher(run.name(), "messages acknowledged", "1/s", run.Rate.PerSecond, peer, base.Rate.PerSecond),
			Lower(run.name(), "median", "ms", run.Rate.MedianMS, peer, base.Rate.MedianMS),
			Lower(run.name(), "99th percentile", "ms", run.Rate.Percentile99, peer, base.Rate.Percentile99))
	}
	return rows
}

func findRun(runs []SequencingRun, mode SequencingMode, clients int) (SequencingRun, bool) {
	i := slices.IndexFunc(runs, func(r SequencingRun) bool { return r.Mode == mode && r.Clients == clients })
	if i < 0 {
		return SequencingRun{}, false
	}
	return runs[i], true
}

// modesOf gives the modes that were measured, in order.
func modesOf(runs []SequencingRun) (modes []SequencingMode) {
	for _, run := range runs {
		if !slices.Contains(modes, run.Mode) {
			modes = append(modes, run.Mode)
		}
	}
	return modes
}

// runsOf gives a mode's runs with something measured, the fewest clients first.
func runsOf(runs []SequencingRun, mode SequencingMode) (own []SequencingRun) {
	for _, run := range runs {
		if run.Mode == mode && isPlottable(run.Rate.PerSecond) {
			own = append(own, run)
		}
	}
	slices.SortStableFunc(own, func(a, b SequencingRun) int { return a.Clients - b.Clients })
	return own
}
