package engine

import (
	"context"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// blockList is a BlockSource.
type blockList []Block

func (l blockList) Blocks(_ context.Context, afterMS, beforeMS int64, limit int) (page []Block, _ error) {
	for _, block := range l {
		full := len(page) >= limit && page[len(page)-1].TimestampMS != block.TimestampMS
		if block.TimestampMS > afterMS && block.TimestampMS < beforeMS && !full {
			page = append(page, block)
		}
	}
	return page, nil
}

func testSchedule(originMS int64, originHeight uint64, blocks blockList, intervals ...string) *schedule {
	s := &schedule{originMS: originMS, originHeight: originHeight, source: blocks}
	var tags dataitem.Tags
	for _, interval := range intervals {
		tags = append(tags, dataitem.Tag{Name: ao.TagCronInterval, Value: interval})
	}
	crons, _ := ao.ParseCrons(tags)
	for _, cron := range crons {
		if cron.Blocks {
			s.blocks = append(s.blocks, cron)
		} else {
			s.times = append(s.times, cron)
		}
	}
	slices.SortStableFunc(s.times, func(a, b ao.Cron) int { return int(a.Every - b.Every) })
	return s
}

// show writes a tick as: number, when it is due, what it says, its cron.
func show(t tick) string {
	return fmt.Sprintf("%d: at %d says %d/%d %s", t.number, t.atMS, t.timestampMS, t.blockHeight, t.name)
}

func allTicks(t *testing.T, g *ticks, rightMS int64) (all []string) {
	t.Helper()
	for {
		one, ok, err := g.next(t.Context(), rightMS)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return all
		}
		all = append(all, show(one))
	}
}

// TestTicksAreThoseOfTheReference holds cases that were worked out by hand from the
// reference's rules.
func TestTicksAreThoseOfTheReference(t *testing.T) {
	for _, c := range []struct {
		name     string
		schedule *schedule
		leftMS   int64
		height   uint64
		rightMS  int64
		want     []string
	}{
		{
			name: "time passes in whole seconds after the left side, with its milliseconds",
			// The origin's own second does not count.
			schedule: testSchedule(10_441, 7, nil, "2-seconds"), leftMS: 10_441, height: 7, rightMS: 16_442,
			want: []string{"1: at 12441 says 12441/7 0-2-seconds", "2: at 14441 says 14441/7 0-2-seconds", "3: at 16441 says 16441/7 0-2-seconds"},
		},
		{
			name:     "the right side is not looked at",
			schedule: testSchedule(10_441, 7, nil, "2-seconds"), leftMS: 10_441, height: 7, rightMS: 16_441,
			want: []string{"1: at 12441 says 12441/7 0-2-seconds", "2: at 14441 says 14441/7 0-2-seconds"},
		},
		{
			name: "the left side's own second is looked at, though a tick before it came in that second",
			// A message at 12,900, after the tick at 12,441.
			schedule: testSchedule(10_441, 7, nil, "2-seconds"), leftMS: 12_900, height: 7, rightMS: 15_000,
			want: []string{"1: at 12900 says 12900/7 0-2-seconds", "2: at 14900 says 14900/7 0-2-seconds"},
		},
		{
			name: "crons of time are sorted, and those of equal interval stay in order",
			// Their numbers are places after sorting.
			schedule: testSchedule(1_000, 7, nil, "1-minute", "2-seconds", "60-seconds", "1-month", "3-seconds"), leftMS: 60_000, height: 7, rightMS: 62_000,
			want: []string{
				"1: at 61000 says 61000/7 1-2-seconds", "2: at 61000 says 61000/7 2-3-seconds",
				"3: at 61000 says 61000/7 3-1-minute", "4: at 61000 says 61000/7 4-60-seconds",
			},
		},
		{
			name: "blocks come before time, say their own time, and raise the height",
			schedule: testSchedule(1_500, 7, blockList{{8, 3_000}, {9, 5_000}, {10, 6_000}},
				"2-blocks", "4-seconds"), leftMS: 1_500, height: 7, rightMS: 6_000,
			// 3,000 is seen at 3,500. 5,000 is seen at 5,500. 6,000 is not before 6,000.
			want: []string{"1: at 5500 says 5000/9 0-2-blocks", "2: at 5500 says 5500/9 0-4-seconds"},
		},
		{
			name:     "the height at which the process began does not count",
			schedule: testSchedule(0, 8, blockList{{8, 1_000}, {9, 2_000}}, "1-block"), leftMS: 500, height: 7, rightMS: 4_000,
			want: []string{"1: at 2500 says 2000/9 0-1-block"},
		},
		{
			name:     "each look sees one block at most",
			schedule: testSchedule(0, 7, blockList{{8, 2_000}, {9, 2_000}, {10, 3_000}}, "1-block"), leftMS: 500, height: 7, rightMS: 5_000,
			want: []string{"1: at 2500 says 2000/8 0-1-block", "2: at 3500 says 2000/9 0-1-block", "3: at 4500 says 3000/10 0-1-block"},
		},
		{
			name:     "a block behind the last look before the right side is passed over",
			schedule: testSchedule(0, 7, blockList{{8, 3_000}}, "1-block"), leftMS: 900, height: 7, rightMS: 3_500,
			want: nil,
		},
		{
			name:     "a block in the left side's second, and before it, is passed over",
			schedule: testSchedule(0, 7, blockList{{8, 3_000}}, "1-block", "1-second"), leftMS: 3_100, height: 7, rightMS: 4_200,
			want: []string{"1: at 3100 says 3100/7 0-1-second", "2: at 4100 says 4100/7 0-1-second"},
		},
		{
			name:     "an interval that is not understood never comes",
			schedule: testSchedule(0, 7, blockList{{8, 3_000}}, "1-month", "x-blocks"), leftMS: 0, height: 7, rightMS: 400_000_000,
			want: nil,
		},
	} {
		g := c.schedule.ticksBehind(ao.Assignment{TimestampMS: c.leftMS, BlockHeight: c.height}, nil)
		if diff := cmp.Diff(c.want, allTicks(t, g, c.rightMS)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestTicksAreTheGoldenOnes compares with the crons of a recorded process.
func TestTicksAreTheGoldenOnes(t *testing.T) {
	compared := 0
	for _, process := range readGolden(t).Processes {
		if process.Cron == nil {
			continue
		}
		want := process.ticks(t)
		entries := process.entries(t)
		s, err := scheduleOf(entries[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		g := s.ticksBehind(entries[0].Assignment, nil)
		var got []Cursor
		for range want {
			one, ok, err := g.next(t.Context(), want[len(want)-1].TimestampMS+1)
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			got = append(got, Cursor{TimestampMS: one.timestampMS, Ordinate: "0", Cron: one.name, Sort: SortAscending})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("process %s (-want +got):\n%s", process.PID, diff)
		}
		compared += len(want)
	}
	if compared < 20 {
		t.Errorf("only %d ticks were compared", compared)
	}
}

// looked is the reference's rule, second by second.
func looked(s *schedule, leftMS int64, height uint64, rightMS int64, blocks blockList) (all []tick) {
	var in []Block
	for _, block := range blocks {
		if block.TimestampMS > leftMS && block.TimestampMS < rightMS {
			in = append(in, block)
		}
	}
	add := func(i int, cron ao.Cron, at, says int64) {
		all = append(all, tick{number: uint64(len(all) + 1), atMS: at, timestampMS: says, blockHeight: height, cron: cron, name: name(i, cron)})
	}
	for at := leftMS; at < rightMS; at += 1000 {
		if len(in) > 0 && at/1000 >= in[0].TimestampMS/1000 {
			height = in[0].Height
			for i, cron := range s.blocks {
				if passed := int64(height) - int64(s.originHeight); cron.Every > 0 && passed != 0 && passed%cron.Every == 0 {
					add(i, cron, at, in[0].TimestampMS)
				}
			}
			in = in[1:]
		}
		for i, cron := range s.times {
			if passed := at/1000 - s.originMS/1000; cron.Every > 0 && passed != 0 && passed%cron.Every == 0 {
				add(i, cron, at, at)
			}
		}
	}
	return all
}

// TestTicksDoNotDependOnWhereCountingStops compares with the reference's rule after
// stops, restarts at any tick and leaps, over random schedules.
func TestTicksDoNotDependOnWhereCountingStops(t *testing.T) {
	intervals := []string{"1-second", "2-seconds", "7-seconds", "1-minute", "13-seconds", "1-block", "3-blocks", "1-month", "x-blocks"}
	for seed := range int64(300) {
		random := rand.New(rand.NewSource(seed))
		var blocks blockList
		for at, height := int64(0), uint64(5); at < 400; at += random.Int63n(40) {
			blocks, height = append(blocks, Block{height, at * 1000}), height+1
		}
		originMS := random.Int63n(20_000)
		leftMS := originMS + random.Int63n(50_000)
		rightMS := leftMS + random.Int63n(300_000)
		s := testSchedule(originMS, 5, blocks, intervals[random.Intn(9)], intervals[random.Intn(9)], intervals[random.Intn(9)])
		all := looked(s, leftMS, 6, rightMS, blocks)
		var skips []aolog.Skip
		if len(all) > 0 && random.Intn(2) == 0 {
			from := leftMS + random.Int63n(rightMS-leftMS)
			skips = append(skips, aolog.Skip{FromMS: from, UntilMS: from + random.Int63n(rightMS-from) + 1})
		}
		var want []string
		for _, one := range all {
			if len(skips) == 0 || one.atMS < skips[0].FromMS || one.atMS >= skips[0].UntilMS {
				want = append(want, show(one))
			}
		}
		left := ao.Assignment{TimestampMS: leftMS, BlockHeight: 6}
		g := s.ticksBehind(left, skips)
		if count, err := g.count(t.Context(), rightMS); err != nil || count != uint64(len(want)) {
			t.Fatalf("seed %d: %d ticks are counted, %v, want %d", seed, count, err, len(want))
		}
		var got []string
		for until := leftMS; ; until = min(until+random.Int63n(20_000)+1, rightMS) {
			one, ok, err := g.next(t.Context(), until)
			switch {
			case err != nil:
				t.Fatal(err)
			case ok:
				got = append(got, show(one))
				if rest, err := g.count(t.Context(), rightMS); err != nil || rest != uint64(len(want)-len(got)) {
					t.Fatalf("seed %d: %d ticks are left, %v, want %d", seed, rest, err, len(want)-len(got))
				}
			}
			if random.Intn(5) == 0 {
				again := s.ticksBehind(left, skips)
				if err := again.pass(t.Context(), math.MaxInt64/2, g.number); err != nil {
					t.Fatal(err)
				}
				g = again
			}
			if !ok && until == rightMS {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

// looksCounted counts how often blocks are asked for.
type looksCounted struct{ calls, blocks int }

func (l *looksCounted) Blocks(_ context.Context, afterMS, beforeMS int64, limit int) (page []Block, _ error) {
	l.calls++
	const spacing = 120_000
	for at := (afterMS/spacing + 1) * spacing; at < beforeMS && len(page) < limit; at += spacing {
		page = append(page, Block{uint64(at / spacing), at})
	}
	l.blocks += len(page)
	return page, nil
}

// TestAYearOfTicksIsPassedInLeaps finds the last of 31 million ticks without
// counting to it, and with one page of blocks in memory.
func TestAYearOfTicksIsPassedInLeaps(t *testing.T) {
	source := &looksCounted{}
	s := testSchedule(0, 0, nil, "1-second")
	s.source = source
	const year = 365 * 86_400_000
	g := s.ticksBehind(ao.Assignment{}, nil)
	if err := g.pass(t.Context(), year, year/1000-2); err != nil {
		t.Fatal(err)
	}
	if len(g.page) > blocksPage || source.blocks > year/120_000 || source.calls > source.blocks/blocksPage+1 {
		t.Errorf("%d blocks are in memory, and %d were read %d times", len(g.page), source.blocks, source.calls)
	}
	want := []string{fmt.Sprintf("%d: at %d says %[2]d/%d 0-1-second", year/1000-1, year-1000, (year-1000)/120_000)}
	if diff := cmp.Diff(want, allTicks(t, g, year)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
