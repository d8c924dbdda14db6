package bench

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// nearlyEqual is how far two rates may be apart and still count as the same:
	// figures of one machine drift by as much.
	nearlyEqual = 0.1
	// nearlyAll is the part of the highest rate from which on more clients are
	// taken to gain nothing.
	nearlyAll = 0.9
)

// SequencingAdvice says in plain sentences what measured modes cost, what they
// are good for, and which to take for what. It follows from the runs alone.
func SequencingAdvice(runs []SequencingRun) (advice []string) {
	runs = slices.DeleteFunc(slices.Clone(runs), func(r SequencingRun) bool {
		return !isPlottable(r.Rate.PerSecond) || !isPlottable(r.Rate.MedianMS) || !isPlottable(r.Rate.Percentile99)
	})
	modes := modesOf(runs)
	if len(modes) == 0 {
		return []string{"Nothing was measured, so there is nothing to advise."}
	}
	for i, mode := range modes {
		sentences := []string{fmt.Sprintf("%s survives %s; two orders can be given by %s.", mode.Name, mode.Survives, mode.Equivocators)}
		if i > 0 {
			sentences = append(sentences, costOf(runs, modes[0], mode)...)
		}
		sentences = append(sentences, crowdOf(runsOf(runs, mode))...)
		advice = append(advice, strings.Join(sentences, " "))
	}
	advice = append(advice, choices(runs, modes)...)
	return append(advice, "All nodes ran on this machine, on its cores and its disk: between machines of their own the network takes longer, and cores and disks are not shared.")
}

// costOf compares a mode with the one that was measured first, under most clients
// and under fewest.
func costOf(runs []SequencingRun, base, mode SequencingMode) (sentences []string) {
	var pairs [][2]SequencingRun
	for _, run := range runsOf(runs, mode) {
		if other, ok := findRun(runsOf(runs, base), base, run.Clients); ok {
			pairs = append(pairs, [2]SequencingRun{run, other})
		}
	}
	if len(pairs) == 0 {
		return nil
	}
	most := pairs[len(pairs)-1]
	own, other := most[0].Rate, most[1].Rate
	sentences = append(sentences, fmt.Sprintf("It acknowledges %s messages a second with %s, %.2f of %s's %s; its median is %s ms beside %s ms, its 99th percentile %s ms beside %s ms.",
		short(own.PerSecond), clients(most[0].Clients), own.PerSecond/other.PerSecond, base.Name, short(other.PerSecond),
		short(own.MedianMS), short(other.MedianMS), short(own.Percentile99), short(other.Percentile99)))
	if mode.Nodes > base.Nodes && own.PerSecond > other.PerSecond*(1+nearlyEqual) {
		sentences = append(sentences, "More nodes cannot be faster at the same work: something else was at work here, so measure again on a quiet machine.")
	}
	if few := pairs[0]; len(pairs) > 1 {
		sentences = append(sentences, fmt.Sprintf("With %s a message takes %s ms beside %s ms.",
			clients(few[0].Clients), short(few[0].Rate.MedianMS), short(few[1].Rate.MedianMS)))
	}
	return sentences
}

// crowdOf says from where on more clients only wait.
func crowdOf(own []SequencingRun) []string {
	best := bestOf(own)
	most := own[len(own)-1]
	for _, run := range own {
		if run.Rate.PerSecond >= nearlyAll*best.Rate.PerSecond && run.Clients < most.Clients {
			return []string{fmt.Sprintf("It is full with %s: with %d the rate is %.2f of that, and a message takes %s ms instead of %s ms.",
				clients(run.Clients), most.Clients, most.Rate.PerSecond/run.Rate.PerSecond, short(most.Rate.MedianMS), short(run.Rate.MedianMS))}
		}
	}
	return nil
}

// choices says for each need which of the modes fills it at the highest rate.
func choices(runs []SequencingRun, modes []SequencingMode) (advice []string) {
	best, _ := fastest(runs, modes, func(SequencingMode) bool { return true })
	advice = append(advice, fmt.Sprintf("For speed above all, take %s: %s messages a second at most.", best.Mode.Name, short(best.Rate.PerSecond)))
	for _, lost := range []int{1, 2} {
		nodes := []string{"", "one node", "two nodes"}[lost]
		run, ok := fastest(runs, modes, func(m SequencingMode) bool { return m.Lost >= lost })
		if !ok {
			advice = append(advice, fmt.Sprintf("No mode that was measured keeps what it acknowledged when %s and what is on disk there are lost.", nodes))
			continue
		}
		text := fmt.Sprintf("If %s may be lost with all that is on disk there, take %s: %s messages a second at most.", nodes, run.Mode.Name, short(run.Rate.PerSecond))
		more, ok := fastest(runs, modes, func(m SequencingMode) bool { return m.Lost > run.Mode.Lost && m.Cheats >= run.Mode.Cheats })
		if ok && more.Rate.PerSecond >= run.Rate.PerSecond*(1-nearlyEqual) {
			text += fmt.Sprintf(" %s is nearly as fast here and survives more.", more.Mode.Name)
		}
		advice = append(advice, text)
	}
	if run, ok := fastest(runs, modes, func(m SequencingMode) bool { return m.Cheats > 1 }); ok {
		return append(advice, fmt.Sprintf("If nobody alone may be able to give two orders, take %s: %s messages a second at most.", run.Mode.Name, short(run.Rate.PerSecond)))
	}
	return append(advice, "If nobody alone may be able to give two orders, none of these is enough: that is what cosigned:K/N is for.")
}

// fastest gives the run with the highest rate among modes that will do.
func fastest(runs []SequencingRun, modes []SequencingMode, will func(SequencingMode) bool) (best SequencingRun, ok bool) {
	for _, mode := range modes {
		if !will(mode) {
			continue
		}
		if run := bestOf(runsOf(runs, mode)); !ok || run.Rate.PerSecond > best.Rate.PerSecond {
			best, ok = run, true
		}
	}
	return best, ok
}

// bestOf gives the run with the highest rate; there must be one.
func bestOf(own []SequencingRun) (best SequencingRun) {
	for i, run := range own {
		if i == 0 || run.Rate.PerSecond > best.Rate.PerSecond {
			best = run
		}
	}
	return best
}

func clients(count int) string {
	if count == 1 {
		return "one client"
	}
	return fmt.Sprintf("%d clients", count)
}

// short writes a figure with as many digits as it is worth.
func short(value float64) string {
	if value >= 100 {
		return fmt.Sprintf("%.0f", value)
	}
	return fmt.Sprintf("%.3g", value)
}
