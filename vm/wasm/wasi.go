package wasm

import (
	"encoding/binary"
	"math"

	"github.com/wallaby-ao/wallaby/vm"
)

// What modules of WASI's own compilers need beyond the files and the clock that
// emscripten's have, too. The reference loader has none of it. The layout of what is
// read and written is that of WASI preview 1.
const (
	subscriptionBytes = 48
	eventBytes        = 32
	// subscriptionsMax bounds what one poll_oneoff may wait for.
	subscriptionsMax = 1024
	// chanceBytesMax bounds one random_get, whose work no gas pays for.
	chanceBytesMax = 65_536

	eventTypeClock    = 0
	clockFlagAbsolute = 1

	// guestClockMaxMS is as far as a guest can sleep its clock: what is in nanoseconds
	// beyond it fits no 64 bits.
	guestClockMaxMS = 9e12
)

// wasiReactor is the export by which a module of WASI without a main starts.
const wasiReactor = "_initialize"

var wasiFunctions = map[string]function{
	"args_sizes_get": func(h *host, s []uint64) error {
		for _, at := range s[:2] {
			if err := h.writePointer(at, 0); err != nil {
				return err
			}
		}
		return give(s, 0)
	},
	"args_get":    answer(0),
	"sched_yield": answer(0),
	"random_get":  randomGet,
	"poll_oneoff": pollOneOff,
}

// randomGet gives the same bytes each time. A process with chance in it could not be
// replayed; who needs chance takes it from the message, as from its id.
func randomGet(h *host, s []uint64) error {
	if s[1] > chanceBytesMax {
		return give(s, wasiInvalid)
	}
	to, err := h.at(s[0], s[1])
	if err != nil {
		return err
	}
	for i := range to {
		to[i] = byte(i*151 + 83)
	}
	return give(s, 0)
}

// pollOneOff lets the guest's clock go on to the first of the times that are waited for.
// A file is never ready: there is none.
func pollOneOff(h *host, s []uint64) error {
	in, out, count, events := s[0], s[1], s[2], s[3]
	if count == 0 || count > subscriptionsMax {
		return give(s, wasiInvalid)
	}
	list, err := h.at(in, count*subscriptionBytes)
	if err != nil {
		return err
	}
	began := h.state.clockMS
	until, files := soonest(list, began)
	if !files && until > began {
		h.state.clockMS = until
	}
	written := uint64(0)
	for ; len(list) > 0; list = list[subscriptionBytes:] {
		clock := list[8] == eventTypeClock
		if clock && (files || dueMS(list, began) > h.state.clockMS) {
			continue
		}
		event, err := h.at(out+written*eventBytes, eventBytes)
		if err != nil {
			return err
		}
		userdata, kind := binary.LittleEndian.Uint64(list), list[8]
		clear(event)
		binary.LittleEndian.PutUint64(event, userdata)
		event[10] = kind
		if !clock {
			binary.LittleEndian.PutUint16(event[8:], wasiBadFile)
		}
		written++
	}
	if written == 0 {
		return &vm.TrapError{Reason: "poll_oneoff waits for nothing that can happen"}
	}
	if err := h.writeU32(events, uint32(written)); err != nil {
		return err
	}
	return give(s, 0)
}

// soonest gives the first time of the subscriptions, and whether there are files among
// them.
func soonest(list []byte, nowMS float64) (untilMS float64, files bool) {
	untilMS = math.Inf(1)
	for ; len(list) > 0; list = list[subscriptionBytes:] {
		if list[8] != eventTypeClock {
			return 0, true
		}
		untilMS = min(untilMS, dueMS(list, nowMS))
	}
	return untilMS, false
}

// dueMS is when a clock's subscription is due, in the guest's time.
func dueMS(subscription []byte, nowMS float64) float64 {
	ms := math.Ceil(float64(binary.LittleEndian.Uint64(subscription[24:])) / 1e6)
	if binary.LittleEndian.Uint16(subscription[40:])&clockFlagAbsolute == 0 {
		ms += nowMS
	}
	return min(ms, guestClockMaxMS)
}
