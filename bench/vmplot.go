package bench

import (
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Measures of bars on paper.
const (
	barPoints       = 8
	groupGapPoints  = 9
	axisPoints      = 46 // below the data
	valueFontPoints = 7
	valueGapPoints  = 2 // between a bar and its number
)

// series is what one engine adds to a diagram.
type series struct {
	name   string
	colour string // as #rrggbb
	dash   string // as SVG writes it
	values []float64
}

// barPlot is a diagram of lying bars in groups. Its axis is logarithmic, so that
// twice and half as much are equally long.
type barPlot struct {
	axis   string
	groups []string
	series []series // a value for each group; one that cannot be drawn is left out
	// base is where bars begin; 0: at the axis's lower end.
	base   float64
	number func(float64) string // beside a bar
}

func (b barPlot) draw() ([]byte, error) {
	if len(b.groups) == 0 {
		return nil, nil
	}
	var values []float64
	for _, s := range b.series {
		values = append(values, s.values...)
	}
	base := b.base
	if base > 0 {
		values = append(values, base)
	}
	axis := newLogAxis(values, 0, 1)
	if base == 0 {
		base = axis.min
	}
	at := func(value float64) float64 { return axis.at(value) - axis.at(base) } // bars begin at 0
	p := newPlot(false)
	p.X.Label.Text, p.X.Tick.Marker = b.axis, logTicks(axis, at)
	p.NominalY(upsideDown(b.groups)...)
	p.Y.Padding = valueGapPoints
	for i := range b.series {
		if err := b.addBars(p, i, at); err != nil {
			return nil, err
		}
	}
	if err := addLine(p, plotter.XYs{{X: 0, Y: -0.5}, {X: 0, Y: float64(len(b.groups)) - 0.5}}, frameStyle()); err != nil {
		return nil, err
	}
	p.X.Min, p.X.Max = at(axis.min), at(axis.max)
	p.Y.Min, p.Y.Max = -0.5, float64(len(b.groups))-0.5
	return drawSVG(p, len(b.groups)*(len(b.series)*barPoints+groupGapPoints)+axisPoints)
}

// addBars adds one engine's bars, and their numbers beside them.
func (b barPlot) addBars(p *plot.Plot, i int, at func(float64) float64) error {
	s := b.series[i]
	lengths := make(plotter.Values, len(b.groups))
	var labels plotter.XYLabels
	for group, value := range s.values {
		row := len(b.groups) - 1 - group // the first is on top
		if isPlottable(value) {
			lengths[row] = at(value)
			labels.XYs = append(labels.XYs, plotter.XY{X: max(0, at(value)), Y: float64(row)})
			labels.Labels = append(labels.Labels, b.number(value))
		}
	}
	bars, err := plotter.NewBarChart(lengths, barPoints)
	if err != nil {
		return fmt.Errorf("draw bars of %s: %w", s.name, err)
	}
	bars.Horizontal, bars.Color, bars.LineStyle.Width = true, svgColour(s.colour), 0
	bars.Offset = vg.Length((float64(len(b.series)-1)/2 - float64(i)) * barPoints)
	p.Add(bars)
	if len(labels.XYs) == 0 {
		return nil
	}
	numbers, err := plotter.NewLabels(labels)
	if err != nil {
		return fmt.Errorf("write numbers of %s: %w", s.name, err)
	}
	for n := range numbers.TextStyle {
		numbers.TextStyle[n].Font, numbers.TextStyle[n].YAlign = plotFont(valueFontPoints), draw.YCenter
	}
	numbers.Offset = vg.Point{X: valueGapPoints, Y: bars.Offset}
	p.Add(numbers)
	return nil
}

// quantilePlot is a diagram of latency over the share of messages that are as
// fast, a line for each engine.
type quantilePlot struct {
	series []series // values of the 1st to the 99th percentile
}

func (q quantilePlot) draw() ([]byte, error) {
	var values []float64
	for _, s := range q.series {
		values = append(values, s.values...)
	}
	axis := newLogAxis(values, 0, 1)
	p := newPlot(true)
	p.X.Label.Text, p.Y.Label.Text = "percentile of messages", "ms"
	p.X.Tick.Marker, p.Y.Tick.Marker = percentTicks(), logTicks(axis, axis.at)
	for _, s := range q.series {
		var points plotter.XYs
		for i, value := range s.values {
			if isPlottable(value) {
				points = append(points, plotter.XY{X: float64(i + 1), Y: axis.at(value)})
			}
		}
		if len(points) == 0 {
			continue
		}
		style := draw.LineStyle{Color: svgColour(s.colour), Width: lineWidthPoints, Dashes: plotDashes(s.dash)}
		if err := addLine(p, points, style); err != nil {
			return nil, fmt.Errorf("draw the line of %s: %w", s.name, err)
		}
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 100, 0, 1
	return drawSVG(p, linePlotPoints)
}
