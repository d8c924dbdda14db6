package engine

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Block is a block of the weave as crons see it.
type Block struct {
	Height      uint64
	TimestampMS int64 // a whole second, as gateways give it
}

// BlockSource finds blocks. It must give the same ones on every node and at every
// time, or processes with crons come to different states.
type BlockSource interface {
	// Blocks lists blocks with afterMS < TimestampMS < beforeMS in order, at most
	// limit, and those that have the timestamp of the last.
	Blocks(ctx context.Context, afterMS, beforeMS int64, limit int) ([]Block, error)
}

// schedule is when a process's crons are due. The moment and the height at which
// the process was spawned are where they count from.
type schedule struct {
	process      ao.ID
	originMS     int64
	originHeight uint64
	all          []ao.Cron // in order of tags
	blocks       []ao.Cron // of them
	times        []ao.Cron // by interval
	source       BlockSource
}

// scheduleOf reads the crons of a process; nil if it has none. Ones that make no
// sense are none: no scheduler of ours takes such a process.
func scheduleOf(first aolog.Entry, source BlockSource) (*schedule, error) {
	if first.IsBare() {
		return nil, nil
	}
	item, err := first.Item()
	if err != nil {
		return nil, fmt.Errorf("parse process %s: %w", first.Process, err)
	}
	crons, err := ao.ParseCrons(item.Tags)
	if err != nil || len(crons) == 0 {
		return nil, nil
	}
	s := &schedule{process: first.Process, originMS: first.TimestampMS, originHeight: first.BlockHeight, all: crons, source: source}
	for _, cron := range crons {
		if cron.Blocks {
			s.blocks = append(s.blocks, cron)
		} else {
			s.times = append(s.times, cron)
		}
	}
	slices.SortStableFunc(s.times, func(a, b ao.Cron) int { return int(min(max(a.Every-b.Every, -1), 1)) })
	return s, nil
}

// name is what a cron is called in cursors: its place among those of its kind, and
// its interval.
func name(i int, cron ao.Cron) string { return strconv.Itoa(i) + "-" + cron.Interval }

// onBlock reports whether a cron is due at a block.
func (s *schedule) onBlock(cron ao.Cron, height uint64) bool {
	passed := int64(height) - int64(s.originHeight)
	return passed != 0 && cron.Every > 0 && passed%cron.Every == 0
}

// onSecond reports whether a cron is due in a second.
func (s *schedule) onSecond(cron ao.Cron, second int64) bool {
	passed := second - s.originMS/1000
	return passed != 0 && cron.Every > 0 && passed%cron.Every == 0
}

// nextSecond gives the first second from one on in which a cron is due; false for
// none.
func (s *schedule) nextSecond(cron ao.Cron, second int64) (int64, bool) {
	if cron.Every == 0 {
		return 0, false
	}
	origin := s.originMS / 1000
	passed := max(second-origin, 1)
	return origin + (passed+cron.Every-1)/cron.Every*cron.Every, true
}

// seconds counts how often the crons of time are due in seconds from <= s < to.
func (s *schedule) seconds(from, to int64) (count uint64) {
	origin := s.originMS / 1000
	from, to = max(from-origin, 1), max(to-origin, 1)
	for _, cron := range s.times {
		if cron.Every > 0 && to > from {
			count += uint64((to-1)/cron.Every - (from-1)/cron.Every)
		}
	}
	return count
}
