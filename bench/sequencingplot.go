package bench

import (
	"fmt"
	"strconv"
)

// The drawing's measures, in its own units.
const (
	plotWidth    = 960
	plotTop      = 78
	panelWidth   = 395
	panelHeight  = 330
	panelLeft    = 66
	panelGap     = 480 // from one panel's left edge to the other's
	legendTop    = plotTop + panelHeight + 84
	legendHeight = 22
)

// panel is one of the drawing's two diagrams.
type panel struct {
	title   string
	latency func(Rate) float64
	frame   box
	x, y    logAxis
}

// SequencingPlot draws what runs on a machine found, as SVG: latency over rate,
// with a line for each mode and a point for each number of clients.
func SequencingPlot(machine Machine, runs []SequencingRun) []byte {
	modes := modesOf(runs)
	s := newSVG(plotWidth, legendTop+legendHeight*max(1, len(modes))+20, "What each mode of sequencing costs",
		"Latency over messages acknowledged a second, for each mode, with a point for each number of clients at once.")
	s.text(panelLeft-48, 30, "title", "start", "What each mode of sequencing costs")
	s.text(panelLeft-48, 50, "soft", "start", fmt.Sprintf("%s, %d cores; all nodes run on this machine. Numbers beside points: clients at once. Both axes are logarithmic.", machine.CPU, machine.Cores))
	for i, p := range []panel{
		{title: "median", latency: func(r Rate) float64 { return r.MedianMS }},
		{title: "99th percentile", latency: func(r Rate) float64 { return r.Percentile99 }},
	} {
		left := float64(panelLeft + i*panelGap)
		p.frame = box{left, plotTop, left + panelWidth, plotTop + panelHeight}
		p.draw(s, runs, modes)
	}
	drawLegend(s, modes)
	return s.bytes()
}

func (p panel) draw(s *svg, runs []SequencingRun, modes []SequencingMode) {
	var rates, latencies []float64
	for _, run := range runs {
		rates = append(rates, run.Rate.PerSecond)
		// One scale for both panels, so that they can be compared.
		latencies = append(latencies, run.Rate.MedianMS, run.Rate.Percentile99)
	}
	p.x = newLogAxis(rates, p.frame.left, p.frame.right)
	p.y = newLogAxis(latencies, p.frame.bottom, p.frame.top)
	p.drawGrid(s)
	var taken []box
	lines := make([][]point, len(modes))
	for i, mode := range modes {
		for _, run := range runsOf(runs, mode) {
			if latency := p.latency(run.Rate); isPlottable(latency) {
				at := point{p.x.at(run.Rate.PerSecond), p.y.at(latency)}
				lines[i], taken = append(lines[i], at), append(taken, around(at, 6))
			}
		}
		s.path("line", i, lines[i])
		for j := 1; j < len(lines[i]); j++ {
			taken = append(taken, along(lines[i][j-1], lines[i][j])...)
		}
	}
	for i := range modes {
		for _, at := range lines[i] {
			s.marker(i, at)
		}
	}
	p.drawLabels(s, runs, modes, taken)
	if len(taken) == 0 {
		s.text((p.frame.left+p.frame.right)/2, (p.frame.top+p.frame.bottom)/2, "soft", "middle", "nothing was measured")
	}
}

func (p panel) drawGrid(s *svg) {
	for _, tick := range p.x.ticks() {
		x := p.x.at(tick)
		s.path("grid", -1, []point{{x, p.frame.top}, {x, p.frame.bottom}})
		s.text(x, p.frame.bottom+17, "small", "middle", tickText(tick))
	}
	for _, tick := range p.y.ticks() {
		y := p.y.at(tick)
		s.path("grid", -1, []point{{p.frame.left, y}, {p.frame.right, y}})
		s.text(p.frame.left-7, y+4, "small", "end", tickText(tick))
	}
	f := p.frame
	s.path("frame", -1, []point{{f.left, f.top}, {f.left, f.bottom}, {f.right, f.bottom}})
	s.text((f.left+f.right)/2, f.bottom+38, "soft", "middle", "messages acknowledged a second")
	s.upright(f.left-40, (f.top+f.bottom)/2, "soft", "latency, "+p.title+" (ms)")
}

// drawLabels writes the numbers of clients where there is room for them.
func (p panel) drawLabels(s *svg, runs []SequencingRun, modes []SequencingMode, taken []box) {
	for _, mode := range modes {
		for _, run := range runsOf(runs, mode) {
			latency := p.latency(run.Rate)
			if !isPlottable(latency) {
				continue
			}
			text := strconv.Itoa(run.Clients)
			if at, ok := placeLabel(point{p.x.at(run.Rate.PerSecond), p.y.at(latency)}, text, p.frame, taken); ok {
				s.text(at.x, at.y, "small", "start", text)
				taken = append(taken, textBox(at, text))
			}
		}
	}
}

// drawLegend shows each mode's line and sign, and what it is good for.
func drawLegend(s *svg, modes []SequencingMode) {
	const name, survives, equivocators = panelLeft + 10, panelLeft + 190, panelLeft + 500
	if len(modes) > 0 {
		s.text(survives, legendTop-20, "soft", "start", "survives")
		s.text(equivocators, legendTop-20, "soft", "start", "two orders can be given by")
		s.text(name, legendTop-20, "soft", "start", "mode")
	}
	for i, mode := range modes {
		y := float64(legendTop + i*legendHeight)
		s.path("line", i, []point{{panelLeft - 48, y}, {panelLeft - 2, y}})
		s.marker(i, point{panelLeft - 25, y})
		s.text(name, y+4, "", "start", mode.Name)
		s.text(survives, y+4, "", "start", mode.Survives)
		s.text(equivocators, y+4, "", "start", mode.Equivocators)
	}
}
