package bench

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

// measured gives runs of modes with one and many clients, with the given rates
// under many.
func measured(modes []SequencingMode, rates ...float64) (runs []SequencingRun) {
	for i, mode := range modes {
		for _, run := range []SequencingRun{
			{Clients: 1, Rate: Rate{rates[i] / 8, 1000 / (rates[i] / 8), 2000 / (rates[i] / 8)}},
			{Clients: 256, Rate: Rate{rates[i], 256_000 / rates[i], 600_000 / rates[i]}},
		} {
			run.Mode = mode
			runs = append(runs, run)
		}
	}
	return runs
}

// manyModes are more than there are, as a cluster may have.
func manyModes() []SequencingMode {
	modes := SequencingModes()
	return append(modes,
		SequencingMode{Name: "cosigned:3/5", Nodes: 5, Lost: 2, Survives: "the loss of 2 of 5 nodes with their disks", Cheats: 3, Equivocators: "any 3 of the 5 operators together"},
		SequencingMode{Name: `<odd> & "eighth"`, Nodes: 1, Survives: "<nothing>", Equivocators: "everybody & all"},
	)
}

func TestSequencingMeasuresEachModeAndLoad(t *testing.T) {
	modes, err := FindSequencingModes([]string{"solo", "raft:3"})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	runs, err := Sequencing(t.Context(), SequencingOptions{
		Dir: t.TempDir(), Seconds: 0.1, Modes: modes, Clients: []int{1, 4}, Progress: func(text string) { said = append(said, text) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"solo, 1 clients", "solo, 4 clients", "raft:3, 1 clients", "raft:3, 4 clients"}; !slices.Equal(said, want) {
		t.Errorf("measured %v", said)
	}
	for _, run := range runs {
		if run.Rate.PerSecond <= 0 || run.Rate.MedianMS <= 0 || run.Rate.Percentile99 < run.Rate.MedianMS {
			t.Errorf("%s: %+v", run.name(), run.Rate)
		}
	}
	if len(runs) != 4 {
		t.Errorf("%d runs", len(runs))
	}
	if _, err := FindSequencingModes([]string{"raft:4"}); err == nil || !strings.Contains(err.Error(), "solo, raft:3, raft:5") {
		t.Errorf("a mode that is none: %v", err)
	}
}

func TestRowsStandBesideTheFirstMode(t *testing.T) {
	modes := SequencingModes()
	rows := SequencingRows(measured(modes[:2], 8000, 2000))
	if len(rows) != 12 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		if solo := strings.HasPrefix(row.Case, "solo"); (row.Peer == "") != solo || !solo && math.Abs(row.Ratio-0.25) > 1e-9 {
			t.Errorf("%+v", row)
		}
	}
	if rows := SequencingRows(measured(modes[1:2], 2000)); rows[0].Peer != "" {
		t.Errorf("alone: %+v", rows[0])
	}
	if rows := SequencingRows(nil); rows != nil {
		t.Errorf("of nothing: %v", rows)
	}
}

// parsePlot makes sure that a plot is well formed and gives its texts.
func parsePlot(t *testing.T, b []byte) (texts []string) {
	t.Helper()
	decoder := xml.NewDecoder(bytes.NewReader(b))
	for depth := 0; ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			if depth != 0 {
				t.Errorf("%d elements are open", depth)
			}
			return texts
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, b)
		}
		switch token := token.(type) {
		case xml.StartElement:
			depth++
			for _, attribute := range token.Attr {
				if strings.Contains(attribute.Value, "NaN") || strings.Contains(attribute.Value, "Inf") {
					t.Errorf("%s has %s=%q", token.Name.Local, attribute.Name.Local, attribute.Value)
				}
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			texts = append(texts, string(token))
		}
	}
}

func TestThePlotShowsEachMode(t *testing.T) {
	modes := manyModes()
	texts := parsePlot(t, SequencingPlot(Machine{CPU: "a <quick> one", Cores: 2}, measured(modes, 9000, 4000, 3000, 8000, 3900, 2500, 1500, 100)))
	for _, mode := range modes {
		for _, want := range []string{mode.Name, mode.Survives, mode.Equivocators} {
			if !slices.Contains(texts, want) {
				t.Errorf("%q is missing", want)
			}
		}
	}
	for _, want := range []string{"latency, median (ms)", "latency, 99th percentile (ms)", "messages acknowledged a second", "1", "256"} {
		if !slices.Contains(texts, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

func TestThePlotTakesWhatThereIs(t *testing.T) {
	modes := SequencingModes()
	strange := measured(modes[:3], 9000, 4000, 3000)
	strange[0].Rate = Rate{}
	strange[1].Rate.MedianMS = math.NaN()
	strange[2].Rate = Rate{math.Inf(1), 1, 1}
	for name, c := range map[string]struct {
		runs  []SequencingRun
		shows string
	}{
		"nothing":        {nil, "nothing was measured"},
		"only zeros":     {[]SequencingRun{{Mode: modes[0], Clients: 1}}, "nothing was measured"},
		"one point":      {measured(modes[:1], 1000)[:1], "solo"},
		"one mode":       {measured(modes[2:3], 1000), "raft:5"},
		"strange values": {strange, "raft:3"},
		"far apart":      {measured(modes[:2], 1e7, 0.5), "1M"},
	} {
		t.Run(name, func(t *testing.T) {
			if texts := parsePlot(t, SequencingPlot(Machine{}, c.runs)); !slices.Contains(texts, c.shows) {
				t.Errorf("it does not show %q: %q", c.shows, texts)
			}
			for _, sentence := range SequencingAdvice(c.runs) {
				if strings.Contains(sentence, "NaN") || strings.Contains(sentence, "Inf") || strings.Contains(sentence, "%!") {
					t.Errorf("advice: %s", sentence)
				}
			}
		})
	}
}

func TestModesAreToldApartWithoutColour(t *testing.T) {
	shapes := map[string]bool{}
	for style := range svgColours {
		s := newSVG(10, 10, "", "")
		before := s.out.Len()
		s.marker(style, point{})
		shape := s.out.String()[before:]
		for _, colour := range svgColours {
			shape = strings.ReplaceAll(shape, colour, "")
		}
		shapes[shape] = true
	}
	if len(shapes) != len(svgColours) || len(svgDashes) != len(svgColours) {
		t.Errorf("%d shapes and %d dashes for %d colours", len(shapes), len(svgDashes), len(svgColours))
	}
}

func TestLegendTextsHaveRoom(t *testing.T) {
	for _, mode := range manyModes() {
		if len(mode.Name) > 26 || len(mode.Survives) > 44 || len(mode.Equivocators) > 56 {
			t.Errorf("the texts of %s are too long for the plot's legend", mode.Name)
		}
	}
}

func TestLabelsCoverNothing(t *testing.T) {
	frame := box{0, 0, 200, 200}
	var taken []box
	placed := 0
	for i := range 30 {
		near := point{100 + float64(i%3), 100 + float64(i%5)}
		if at, ok := placeLabel(near, "256", frame, taken); ok {
			room := textBox(at, "256")
			for _, other := range taken {
				if room.overlaps(other) {
					t.Errorf("label %d covers another", i)
				}
			}
			taken = append(taken, room)
			placed++
		}
	}
	if placed < 4 || placed == 30 {
		t.Errorf("%d of 30 labels were placed at one spot", placed)
	}
	if at, ok := placeLabel(point{198, 2}, "256", frame, nil); !ok || textBox(at, "256").right > frame.right {
		t.Errorf("in a corner: %v, %v", at, ok)
	}
}

func TestAxesHoldTheirValues(t *testing.T) {
	for _, values := range [][]float64{{1}, {0.5, 0.9}, {1, 10}, {391, 5476}, {0.462, 478}, {1e-3, 1e9}, {}} {
		a := newLogAxis(values, 0, 100)
		ticks := a.ticks()
		if len(ticks) < 2 || len(ticks) > ticksMax+1 {
			t.Errorf("%v: ticks %v", values, ticks)
		}
		for _, value := range append(ticks, values...) {
			if at := a.at(value); at < -1e-6 || at > 100+1e-6 {
				t.Errorf("%v: %g is at %g", values, value, at)
			}
		}
	}
	for value, want := range map[float64]string{0.05: "0.05", 1: "1", 200: "200", 5000: "5k", 2e6: "2M"} {
		if got := tickText(value); got != want {
			t.Errorf("%g is written %s", value, got)
		}
	}
}

func TestAdviceFollowsFromTheFigures(t *testing.T) {
	modes := manyModes()
	pick := func(names ...string) (picked []SequencingMode) {
		for _, mode := range modes {
			if slices.Contains(names, mode.Name) {
				picked = append(picked, mode)
			}
		}
		return picked
	}
	three := pick("solo", "raft:3", "raft:5")
	for name, c := range map[string]struct {
		runs     []SequencingRun
		says     []string
		saysNone []string
	}{
		"as expected": {
			measured(three, 8000, 4000, 2000),
			[]string{
				"It acknowledges 4000 messages a second with 256 clients, 0.50 of solo's 8000; its median is 64 ms beside 32 ms",
				"With one client a message takes 4 ms beside 1 ms.",
				"raft:3 survives the loss of 1 of 3 nodes", "two orders can be given by who holds the scheduler's key",
				"For speed above all, take solo: 8000", "If one node may be lost with all that is on disk there, take raft:3: 4000",
				"If two nodes may be lost with all that is on disk there, take raft:5: 2000", "that is what cosigned:K/N is for",
			},
			[]string{"nearly as fast", "something else was at work"},
		},
		"raft:5 costs nothing more": {measured(three, 8000, 4000, 3900), []string{"raft:5 is nearly as fast here and survives more."}, nil},
		"a noisy machine":           {measured(three, 3000, 4000, 2000), []string{"For speed above all, take raft:3", "something else was at work"}, nil},
		"solo alone": {
			measured(three[:1], 8000),
			[]string{"take solo", "No mode that was measured keeps what it acknowledged when one node", "when two nodes"},
			[]string{"beside", "raft"},
		},
		"without solo": {measured(three[1:], 4000, 2000), []string{"0.50 of raft:3's 4000", "For speed above all, take raft:3"}, []string{"solo"}},
		"with cosigners": {
			measured(pick("solo", "raft:3", "cosigned:2/3", "cosigned:3/5"), 8000, 4000, 2500, 1500),
			[]string{
				"If nobody alone may be able to give two orders, take cosigned:2/3: 2500", "two orders can be given by any 2 of the 3 operators together",
				"If one node may be lost with all that is on disk there, take raft:3", "If two nodes may be lost with all that is on disk there, take cosigned:3/5: 1500",
			},
			[]string{"cosigned:K/N"},
		},
		"full": {
			[]SequencingRun{{three[0], 16, Rate{5000, 3, 9}}, {three[0], 256, Rate{5100, 50, 90}}},
			[]string{"It is full with 16 clients: with 256 the rate is 1.02 of that, and a message takes 50 ms instead of 3 ms."}, nil,
		},
		"nothing": {nil, []string{"Nothing was measured"}, []string{"take"}},
	} {
		t.Run(name, func(t *testing.T) {
			advice := strings.Join(SequencingAdvice(c.runs), "\n")
			for _, want := range c.says {
				if !strings.Contains(advice, want) {
					t.Errorf("it does not say %q:\n%s", want, advice)
				}
			}
			for _, unwanted := range c.saysNone {
				if strings.Contains(advice, unwanted) {
					t.Errorf("it says %q:\n%s", unwanted, advice)
				}
			}
		})
	}
}

func TestAdviceIsPartOfTheReport(t *testing.T) {
	report := &Report{Advice: []string{"Take solo.", "Or not."}}
	var table bytes.Buffer
	if err := report.WriteTable(&table); err != nil || !strings.HasSuffix(table.String(), "\n\n* Take solo.\n* Or not.\n") {
		t.Errorf("%v in the table:\n%s", err, &table)
	}
	b, err := json.Marshal(report)
	if err != nil || !strings.Contains(string(b), `"advice":["Take solo.","Or not."]`) {
		t.Errorf("in JSON: %s, %v", b, err)
	}
}
