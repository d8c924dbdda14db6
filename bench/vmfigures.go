package bench

import (
	"html/template"
	"strings"
)

// loaderColour sets the reference apart from the engines.
const loaderColour = "#7a7a7a"

// figures draws a module's diagrams.
func (m VMModule) figures(result *VMResult) ([]figure, error) {
	if len(m.Runs) == 0 {
		return nil, nil
	}
	var figures []figure
	for _, draw := range []func(*VMResult) (figure, error){m.workFigure, m.latencyFigure, m.startFigure} {
		f, err := draw(result)
		if err != nil {
			return nil, err
		}
		if f.SVG != "" {
			figures = append(figures, f)
		}
	}
	return figures, nil
}

// workFigure shows what messages take, beside the loader if there is one.
func (m VMModule) workFigure(result *VMResult) (figure, error) {
	bars := barPlot{groups: m.workNames(), axis: "median, ms", number: msText}
	f := figure{Title: "Time of a message, by workload", Note: "Shorter bars are better."}
	if m.Loader != nil {
		bars.axis, bars.base, bars.number = "times as fast as "+loaderName, 1, formatRatio
		f.Title, f.Note = "Speed beside the reference loader, by workload", "The line at 1 is "+loaderName+"; bars to the right of it are faster, those to the left slower."
	}
	for _, run := range m.Runs {
		s := result.series(run.Engine)
		for _, name := range bars.groups {
			work, _ := run.work(name)
			value := work.medianMS()
			if m.Loader != nil {
				value, _ = m.speed(work)
			}
			s.values = append(s.values, value)
		}
		bars.series = append(bars.series, s)
	}
	return f.finish(bars.series, bars.draw)
}

// latencyFigure shows how evenly engines answer the smallest message.
func (m VMModule) latencyFigure(result *VMResult) (figure, error) {
	var lines quantilePlot
	for _, run := range m.all() {
		work, _ := run.work(trivialWork)
		s := result.series(run.Engine)
		if times := work.times(); len(times) > 0 {
			for percent := 1; percent < 100; percent++ {
				s.values = append(s.values, quantileMS(times, float64(percent)/100))
			}
		}
		lines.series = append(lines.series, s)
	}
	f := figure{
		Title: "Latency of " + trivialWork, Lines: true,
		Note: "How long each share of the messages takes at most. Flat and low is better.",
	}
	return f.finish(lines.series, lines.draw)
}

// startFigure shows what it takes to begin and to move.
func (m VMModule) startFigure(result *VMResult) (figure, error) {
	bars := barPlot{axis: "median, ms", number: msText}
	for _, step := range m.Runs[0].Starts {
		bars.groups = append(bars.groups, step.Name)
	}
	for _, run := range m.Runs {
		s := result.series(run.Engine)
		for _, name := range bars.groups {
			ms, _ := run.startMS(name)
			s.values = append(s.values, ms)
		}
		bars.series = append(bars.series, s)
	}
	f := figure{Title: "What it takes to start and to move a process", Note: "Shorter bars are better. The axis is logarithmic."}
	return f.finish(bars.series, bars.draw)
}

// finish draws a figure, if there is anything to draw, and lists what its colours
// mean.
func (f figure) finish(all []series, draw func() ([]byte, error)) (figure, error) {
	b, err := draw()
	if err != nil || b == nil {
		return figure{}, err
	}
	label := `<svg role="img" aria-label="` + template.HTMLEscapeString(f.Title) + `" `
	// The drawing library escapes all text in what it draws.
	f.SVG = template.HTML(strings.Replace(string(b), "<svg ", label, 1))
	for _, s := range all {
		f.Legend = append(f.Legend, swatch{s.name, s.colour, s.dash})
	}
	return f, nil
}

func msText(ms float64) string { return strings.TrimSuffix(formatValue(ms, ""), " ") }

// series begins an engine's part of a diagram. An engine looks the same in all.
func (r *VMResult) series(engine string) series {
	if engine == loaderName {
		return series{name: engine, colour: loaderColour, dash: svgDashes[1]}
	}
	at := 0
	for _, e := range r.Engines {
		if e.Name == engine {
			break
		}
		if e.Name != loaderName {
			at++
		}
	}
	colours := svgColours[:len(svgColours)-1] // the last is the loader's
	return series{name: engine, colour: colours[at%len(colours)], dash: svgDashes[[]int{0, 2, 3, 4, 5, 6}[at%6]]}
}
