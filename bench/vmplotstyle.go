package bench

import (
	"bytes"
	"fmt"
	"image/color"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Measures of all diagrams on paper.
const (
	plotWidthPoints  = 480
	linePlotPoints   = 230 // the height of a diagram of lines
	plotFontPoints   = 9
	lineWidthPoints  = 1.5
	frameWidthPoints = 0.6
)

// newPlot makes an empty diagram with a faint grid, across too if its vertical
// axis is one of values.
func newPlot(across bool) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil // the paper's
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font, axis.Tick.Label.Font = plotFont(plotFontPoints), plotFont(plotFontPoints)
		axis.LineStyle, axis.Tick.LineStyle = frameStyle(), frameStyle()
		axis.Tick.Length, axis.Padding = 3, 0
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = svgColour("#dddddd"), nil
	if across {
		grid.Horizontal.Color = grid.Vertical.Color
	}
	p.Add(grid)
	return p
}

func plotFont(points float64) font.Font {
	return font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, font.Points(points))
}

func frameStyle() draw.LineStyle {
	return draw.LineStyle{Color: svgColour("#555555"), Width: frameWidthPoints}
}

func addLine(p *plot.Plot, points plotter.XYs, style draw.LineStyle) error {
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.LineStyle = style
	p.Add(line)
	return nil
}

// drawSVG gives a diagram as an element of a page: it has no prologue, and grows
// and shrinks with the page.
func drawSVG(p *plot.Plot, heightPoints int) ([]byte, error) {
	canvas := &fittedCanvas{Canvas: vgsvg.New(plotWidthPoints, vg.Length(heightPoints))}
	p.Draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("draw a diagram: %w", err)
	}
	_, element, ok := bytes.Cut(b.Bytes(), []byte("<svg "))
	if !ok {
		return nil, fmt.Errorf("draw a diagram: %.40q is no SVG", b.Bytes())
	}
	return canvas.fit(append([]byte("<svg "), element...)), nil
}

// fittedCanvas notes how wide each text was meant to be. Who reads the page may
// have no font as narrow as the one the diagram was laid out with.
type fittedCanvas struct {
	*vgsvg.Canvas
	widths []vg.Length
}

// FillString draws a text and notes its width.
func (c *fittedCanvas) FillString(face font.Face, at vg.Point, text string) {
	c.widths = append(c.widths, face.Width(text))
	c.Canvas.FillString(face, at, text)
}

// fit writes the widths into the drawing, whose texts are in the same order.
func (c *fittedCanvas) fit(drawing []byte) []byte {
	const tag = "<text "
	parts := bytes.Split(drawing, []byte(tag))
	if len(parts) != len(c.widths)+1 {
		return drawing
	}
	out := parts[0]
	for i, part := range parts[1:] {
		out = fmt.Appendf(out, `%stextLength="%.2f" lengthAdjust="spacingAndGlyphs" `, tag, c.widths[i].Points())
		out = append(out, part...)
	}
	return out
}

// logTicks gives an axis's ticks at the places where at puts them.
func logTicks(axis logAxis, at func(float64) float64) plot.ConstantTicks {
	var ticks plot.ConstantTicks
	for _, value := range axis.ticks() {
		ticks = append(ticks, plot.Tick{Value: at(value), Label: tickText(value)})
	}
	return ticks
}

func percentTicks() plot.ConstantTicks {
	var ticks plot.ConstantTicks
	for _, percent := range []int{1, 10, 25, 50, 75, 90, 99} {
		ticks = append(ticks, plot.Tick{Value: float64(percent), Label: strconv.Itoa(percent)})
	}
	return ticks
}

// upsideDown reverses names, since a diagram counts from below.
func upsideDown(names []string) []string {
	names = slices.Clone(names)
	slices.Reverse(names)
	return names
}

// svgColour reads #rrggbb; what is none of that is black.
func svgColour(text string) color.Color {
	rgb, err := strconv.ParseUint(strings.TrimPrefix(text, "#"), 16, 24)
	if err != nil {
		return color.Black
	}
	return color.RGBA{R: uint8(rgb >> 16), G: uint8(rgb >> 8), B: uint8(rgb), A: 255}
}

// plotDashes reads lengths as SVG writes them.
func plotDashes(text string) []vg.Length {
	var dashes []vg.Length
	for _, field := range strings.Fields(text) {
		if length, err := strconv.ParseFloat(field, 64); err == nil {
			dashes = append(dashes, vg.Length(length))
		}
	}
	return dashes
}
