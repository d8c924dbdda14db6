package bench

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// svg is a drawing in the making. Colours are set by classes, so that a dark page
// gets a dark drawing.
type svg struct{ out bytes.Buffer }

// svgColours tell lines apart on light and on dark ground, and for those who do
// not see red and green apart; shapes and dashes tell the same without colour.
var svgColours = []string{"#0b6fb8", "#d55e00", "#0a9373", "#b5578f", "#b88a00", "#6a6fd1", "#7a7a7a"}

var svgDashes = []string{"", "7 3", "2 3", "10 3 2 3", "1 2", "12 4", "5 2 1 2 1 2"}

func newSVG(width, height int, title, description string) *svg {
	s := &svg{}
	fmt.Fprintf(&s.out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", width, height, width, height)
	fmt.Fprintf(&s.out, "<title>%s</title>\n<desc>%s</desc>\n", escape(title), escape(description))
	s.out.WriteString(`<style>
text { font-family: system-ui, -apple-system, "DejaVu Sans", sans-serif; font-size: 12px; fill: #222222; }
.title { font-size: 17px; font-weight: 600; }
.soft { fill: #555555; }
.small { font-size: 11px; fill: #555555; }
.ground { fill: #ffffff; }
.grid { stroke: #dddddd; stroke-width: 1; fill: none; }
.frame { stroke: #888888; stroke-width: 1; fill: none; }
.line { stroke-width: 2; fill: none; }
.marker { stroke-width: 1.5; fill-opacity: 0.55; }
@media (prefers-color-scheme: dark) {
text { fill: #eeeeee; }
.soft, .small { fill: #bbbbbb; }
.ground { fill: #16181c; }
.grid { stroke: #383b42; }
}
</style>
`)
	fmt.Fprintf(&s.out, `<rect class="ground" width="%d" height="%d"/>`+"\n", width, height)
	return s
}

func (s *svg) text(x, y float64, class, anchor, text string) {
	fmt.Fprintf(&s.out, `<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`+"\n", x, y, class, anchor, escape(text))
}

// upright writes text that reads from below to above.
func (s *svg) upright(x, y float64, class, text string) {
	fmt.Fprintf(&s.out, `<text transform="translate(%.1f %.1f) rotate(-90)" class="%s" text-anchor="middle">%s</text>`+"\n", x, y, class, escape(text))
}

func (s *svg) path(class string, style int, points []point) {
	if len(points) < 2 {
		return
	}
	var d strings.Builder
	for i, p := range points {
		fmt.Fprintf(&d, "%c%.1f %.1f", "ML"[min(i, 1)], p.x, p.y)
	}
	attributes := ""
	if style >= 0 {
		attributes = fmt.Sprintf(` stroke="%s" stroke-dasharray="%s"`, svgColours[style%len(svgColours)], svgDashes[style%len(svgDashes)])
	}
	fmt.Fprintf(&s.out, `<path class="%s" d="%s"%s/>`+"\n", class, d.String(), attributes)
}

// marker draws a mode's sign: its shape is different for each of the first seven.
func (s *svg) marker(style int, at point) {
	const r = 5.0
	colour := svgColours[style%len(svgColours)]
	if style%len(svgColours) == 0 {
		fmt.Fprintf(&s.out, `<circle class="marker" cx="%.1f" cy="%.1f" r="%.1f" fill="%s" stroke="%s"/>`+"\n", at.x, at.y, r, colour, colour)
		return
	}
	corners := [][]point{
		{{-1, -1}, {1, -1}, {1, 1}, {-1, 1}},
		{{0, -1.2}, {1.1, 0.9}, {-1.1, 0.9}},
		{{0, -1.3}, {1.3, 0}, {0, 1.3}, {-1.3, 0}},
		{{0, 1.2}, {1.1, -0.9}, {-1.1, -0.9}},
		{{-0.4, -1.2}, {0.4, -1.2}, {0.4, -0.4}, {1.2, -0.4}, {1.2, 0.4}, {0.4, 0.4}, {0.4, 1.2}, {-0.4, 1.2}, {-0.4, 0.4}, {-1.2, 0.4}, {-1.2, -0.4}, {-0.4, -0.4}},
		{{0, -1.3}, {1.2, -0.4}, {0.75, 1.1}, {-0.75, 1.1}, {-1.2, -0.4}},
	}[style%len(svgColours)-1]
	var list []string
	for _, c := range corners {
		list = append(list, fmt.Sprintf("%.1f,%.1f", at.x+c.x*r, at.y+c.y*r))
	}
	fmt.Fprintf(&s.out, `<polygon class="marker" points="%s" fill="%s" stroke="%s"/>`+"\n", strings.Join(list, " "), colour, colour)
}

func (s *svg) bytes() []byte { return append(s.out.Bytes(), "</svg>\n"...) }

func escape(text string) string {
	var b bytes.Buffer
	// A bytes.Buffer takes every write.
	_ = xml.EscapeText(&b, []byte(text))
	return b.String()
}

type point struct{ x, y float64 }

// box is the room that something takes.
type box struct{ left, top, right, bottom float64 }

func (b box) overlaps(other box) bool {
	return b.left < other.right && other.left < b.right && b.top < other.bottom && other.top < b.bottom
}

func around(p point, radius float64) box {
	return box{p.x - radius, p.y - radius, p.x + radius, p.y + radius}
}

// along gives the room of a line between two points.
func along(from, to point) (boxes []box) {
	const step = 5.0
	count := int(math.Hypot(to.x-from.x, to.y-from.y)/step) + 1
	for i := range count + 1 {
		part := float64(i) / float64(count)
		boxes = append(boxes, around(point{from.x + (to.x-from.x)*part, from.y + (to.y-from.y)*part}, 2))
	}
	return boxes
}

// textBox is about the room of a small text whose left end is at p.
func textBox(p point, text string) box {
	return box{p.x, p.y - 9, p.x + math.Max(8, 6.6*float64(len([]rune(text)))), p.y + 2}
}

// placeLabel finds room for a small text near a point, inside a frame and clear
// of what is there; it gives up rather than cover something.
func placeLabel(near point, text string, frame box, taken []box) (at point, ok bool) {
	width := textBox(point{}, text).right
	for _, offset := range []point{{9, 14}, {-width / 2, 19}, {9, -6}, {-width - 8, -6}, {-width - 8, 14}, {-width / 2, -10}, {11, 4}, {-width - 10, 4}} {
		at = point{near.x + offset.x, near.y + offset.y}
		room := textBox(at, text)
		if room.left < frame.left || room.right > frame.right || room.top < frame.top || room.bottom > frame.bottom {
			continue
		}
		free := true
		for _, other := range taken {
			free = free && !room.overlaps(other)
		}
		if free {
			return at, true
		}
	}
	return point{}, false
}
