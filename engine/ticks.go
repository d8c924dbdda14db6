package engine

import (
	"context"
	"fmt"
	"math"
	"sort"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// tick is one message of a cron.
type tick struct {
	number      uint64 // from 1 behind the message before it
	atMS        int64  // the time at which it is due
	timestampMS int64  // what it says: atMS, or its block's
	blockHeight uint64
	cron        ao.Cron
	name        string // of the cron, e.g. "0-10-minutes"
}

// ticks gives the ticks behind one message of a process, its left side, up to a
// time that may move on.
//
// They are those of the reference compute unit, one for one. It looks at the time
// of the left side, and then at each full second later, until it comes to the time
// of the next message: first whether a new block is there, one at a time, and
// which crons of blocks are due then; and then which crons of time are. So a
// message that comes within a second, behind a look at that second, has it looked
// at again, and a cron that is due in it comes twice, with other milliseconds; and
// a block between the last look and the next message is passed over. Both are
// kept, since a replay anywhere must come to the same state. What the reference
// does by where it happens to be when it stops and starts, such as coming twice
// to a tick after a restart, is not kept: ticks are always counted from the left
// side.
//
// None of this depends on where counting stops meanwhile, so ticks have numbers
// that stand for ever, and stretches can be passed over without looking at each
// second: only at blocks.
type ticks struct {
	*schedule
	leftMS int64
	skips  []aolog.Skip

	step    int64  // seconds after the left side at which to look next
	height  uint64 // of the newest block passed
	number  uint64 // of the last tick that was given or left out
	pending []tick // of the look before step

	page    []Block // that come next
	pagedMS int64   // up to and with this time blocks were read
}

// blocksPage is how many blocks are read at once.
const blocksPage = 1024

// ticksBehind begins behind a message.
func (s *schedule) ticksBehind(left ao.Assignment, skips []aolog.Skip) *ticks {
	return &ticks{schedule: s, leftMS: left.TimestampMS, height: left.BlockHeight, pagedMS: left.TimestampMS, skips: skips}
}

// lookMS is when a look is.
func (g *ticks) lookMS(step int64) int64 { return g.leftMS + 1000*step }

// looks is how many looks there are before a time.
func (g *ticks) looks(rightMS int64) int64 { return max(0, (rightMS-g.leftMS+999)/1000) }

// next gives the next tick that is due before a time and not left out; false when
// there is none.
func (g *ticks) next(ctx context.Context, rightMS int64) (tick, bool, error) {
	for {
		for len(g.pending) == 0 {
			if again, err := g.look(ctx, rightMS); err != nil || !again {
				return tick{}, false, err
			}
		}
		t := g.pending[0]
		if t.atMS >= rightMS {
			return tick{}, false, nil
		}
		if untilMS, left := g.leftOut(t.atMS); left {
			if err := g.pass(ctx, untilMS, math.MaxUint64); err != nil {
				return tick{}, false, err
			}
			continue
		}
		g.give()
		return t, true, nil
	}
}

// give takes the first pending tick away.
func (g *ticks) give() {
	g.number = g.pending[0].number
	g.pending = g.pending[1:]
}

// leftOut says up to when ticks are left out at a time.
func (g *ticks) leftOut(atMS int64) (untilMS int64, left bool) {
	for _, skip := range g.skips {
		if skip.FromMS <= atMS && atMS < skip.UntilMS {
			return skip.UntilMS, true
		}
	}
	return 0, false
}

// look goes on to the next look before a time at which anything happens, and reports
// whether there is one.
func (g *ticks) look(ctx context.Context, rightMS int64) (bool, error) {
	end := g.looks(rightMS)
	at := int64(math.MaxInt64)
	for _, cron := range g.times {
		if second, ok := g.nextSecond(cron, g.leftMS/1000+g.step); ok {
			at = min(at, second-g.leftMS/1000)
		}
	}
	block, found, err := g.block(ctx, rightMS)
	if err != nil {
		return false, err
	}
	if found {
		at = min(at, block)
	}
	if at >= end {
		g.step = max(g.step, end)
		return false, nil
	}
	add := func(i int, cron ao.Cron, timestampMS int64) {
		g.pending = append(g.pending, tick{
			number: g.number + uint64(len(g.pending)) + 1, atMS: g.lookMS(at), timestampMS: timestampMS,
			blockHeight: g.height, cron: cron, name: name(i, cron),
		})
	}
	g.pending = nil
	if found && at == block {
		new := g.page[0]
		g.height, g.page = new.Height, g.page[1:]
		for i, cron := range g.blocks {
			if g.onBlock(cron, new.Height) {
				add(i, cron, new.TimestampMS)
			}
		}
	}
	for i, cron := range g.times {
		if g.onSecond(cron, g.leftMS/1000+at) {
			add(i, cron, g.lookMS(at))
		}
	}
	g.step = at + 1
	return true, nil
}

// block says at which look before a time the next block is seen. Only blocks before
// that time are read: of those to come it may not be known yet which they are.
func (g *ticks) block(ctx context.Context, rightMS int64) (at int64, found bool, err error) {
	if g.source != nil && len(g.page) == 0 && g.pagedMS < rightMS-1 {
		if g.page, err = g.source.Blocks(ctx, g.pagedMS, rightMS, blocksPage); err != nil {
			return 0, false, fmt.Errorf("blocks after %d for crons of process %s: %w", g.pagedMS, g.process, err)
		}
		g.pagedMS = rightMS - 1
		if len(g.page) >= blocksPage {
			g.pagedMS = g.page[len(g.page)-1].TimestampMS
		}
	}
	if len(g.page) == 0 {
		return 0, false, nil
	}
	at = max(g.step, g.page[0].TimestampMS/1000-g.leftMS/1000)
	return at, at < g.looks(rightMS), nil
}

// pass leaves out ticks that are due before a time, up to the one with a number. It
// looks at blocks one by one, and at nothing else.
func (g *ticks) pass(ctx context.Context, untilMS int64, last uint64) error {
	end := g.looks(untilMS)
	for {
		for len(g.pending) > 0 && g.pending[0].atMS < untilMS && g.pending[0].number <= last {
			g.give()
		}
		if len(g.pending) > 0 || g.number >= last || g.step >= end {
			return nil
		}
		stop := end
		block, found, err := g.block(ctx, untilMS)
		if err != nil {
			return err
		}
		if found {
			stop = block
		}
		origin := g.leftMS / 1000
		due := func(to int64) uint64 { return g.seconds(origin+g.step, origin+to) }
		if g.number+due(stop) > last {
			// The look at which the first tick past the last is due.
			stop = g.step + int64(sort.Search(int(stop-g.step), func(n int) bool { return g.number+due(g.step+int64(n)+1) > last }))
		}
		g.number, g.step = g.number+due(stop), stop
		if stop < end {
			if _, err := g.look(ctx, untilMS); err != nil {
				return err
			}
		}
	}
}

// count gives how many ticks that are not left out come before a time.
func (g *ticks) count(ctx context.Context, rightMS int64) (count uint64, err error) {
	ahead := *g
	pass := func(untilMS int64) (passed uint64) {
		before := ahead.number
		if err == nil {
			err = ahead.pass(ctx, min(untilMS, rightMS), math.MaxUint64)
		}
		return ahead.number - before
	}
	for _, skip := range g.skips {
		count += pass(skip.FromMS)
		pass(skip.UntilMS)
	}
	count += pass(rightMS)
	return count, err
}
