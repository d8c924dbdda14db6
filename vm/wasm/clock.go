package wasm

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/wallaby-ao/wallaby/vm"
)

// timeFunctions are the guest's clock and calendar. The clock counts looks, the
// calendar is UTC.
var timeFunctions = map[string]function{
	"_emscripten_date_now":             now,
	"emscripten_date_now":              now,
	"emscripten_get_now":               now,
	"_emscripten_get_now_is_monotonic": answer(1),
	"clock":                            answer(0),
	"clock_time_get": func(h *host, s []uint64) error {
		if err := h.writeU64(s[2], uint64(h.nowMS()*1e6)); err != nil {
			return err
		}
		return give(s, 0)
	},
	"_gmtime_js":    breakDown,
	"_localtime_js": breakDownLocal,
	"_mktime_js":    makeTime,
	"_tzset_js":     setZone,
	"strftime":      formatTime,
	"strftime_l":    formatTime,
}

// nowMS is the guest's time; the two oldest formats have none.
func (h *host) nowMS() float64 {
	if !h.module.how.clock {
		return 0
	}
	ms := h.state.clockMS
	h.state.clockMS++
	return ms
}

func now(h *host, s []uint64) error {
	s[0] = math.Float64bits(h.nowMS())
	return nil
}

// timeArgument reads a time and where to put its parts. Formats hand the time
// over behind a pointer, in two halves, or as it is.
func (h *host) timeArgument(s []uint64) (seconds int64, parts uint64, err error) {
	switch {
	case len(s) == 3:
		return int64(s[0]&0xffffffff | s[1]<<32), s[2], nil
	case h.module.info.PointerBits == 64:
		return int64(s[0]), s[1], nil
	}
	low, err := h.readU32(s[0])
	return int64(int32(low)), s[1], err
}

func breakDown(h *host, s []uint64) error {
	seconds, parts, err := h.timeArgument(s)
	if err != nil {
		return err
	}
	return h.writeParts(parts, time.Unix(seconds, 0).UTC())
}

func breakDownLocal(h *host, s []uint64) error {
	seconds, parts, err := h.timeArgument(s)
	if err != nil {
		return err
	}
	if err := h.writeParts(parts, time.Unix(seconds, 0).UTC()); err != nil {
		return err
	}
	if err := h.writeU32(parts+32, 0); err != nil { // no daylight saving
		return err
	}
	if h.pointerBytes() == 8 {
		return h.writeU64(parts+40, 0)
	}
	return h.writeU32(parts+36, 0)
}

// writeParts fills the first eight fields of a C struct tm.
func (h *host) writeParts(at uint64, t time.Time) error {
	fields := []int{
		t.Second(), t.Minute(), t.Hour(), t.Day(), int(t.Month()) - 1, t.Year() - 1900, int(t.Weekday()), t.YearDay() - 1,
	}
	for i, field := range fields {
		if err := h.writeU32(at+4*uint64(i), uint32(int32(field))); err != nil {
			return err
		}
	}
	return nil
}

// readParts reads a C struct tm.
func (h *host) readParts(at uint64) (time.Time, error) {
	var fields [6]int
	for i := range fields {
		value, err := h.readU32(at + 4*uint64(i))
		if err != nil {
			return time.Time{}, err
		}
		fields[i] = int(int32(value))
	}
	return time.Date(fields[5]+1900, time.Month(fields[4]+1), fields[3], fields[2], fields[1], fields[0], 0, time.UTC), nil
}

func makeTime(h *host, s []uint64) error {
	t, err := h.readParts(s[0])
	if err != nil {
		return err
	}
	if err := h.writeParts(s[0], t); err != nil {
		return err
	}
	if err := h.writeU32(s[0]+32, 0); err != nil {
		return err
	}
	seconds := t.Unix()
	if h.pointerBytes() == 8 {
		s[0] = uint64(seconds)
		return nil
	}
	s[0] = uint64(uint32(seconds))
	if !h.has(upperHalf) {
		return nil
	}
	if h.calledBack {
		// Through the host a guest could call itself without an end that is seen.
		return &vm.TrapError{Reason: "_mktime_js is called by " + upperHalf}
	}
	h.calledBack = true
	_, err = h.instance.Call(h.ctx, upperHalf, uint64(uint32(seconds>>32)))
	h.calledBack = false
	return err
}

// upperHalf is the export that takes the upper half of a 64-bit result.
const upperHalf = "_emscripten_tempret_set"

// setZone says UTC.
func setZone(h *host, s []uint64) error {
	if err := h.writePointer(s[0], 0); err != nil {
		return err
	}
	if err := h.writeU32(s[1], 0); err != nil {
		return err
	}
	if len(s) < 4 {
		return nil
	}
	for _, name := range s[2:4] {
		if err := h.writeText(name, []byte("UTC")); err != nil {
			return err
		}
	}
	return nil
}

func formatTime(h *host, s []uint64) error {
	format, err := h.text(s[2])
	if err != nil {
		return err
	}
	t, err := h.readParts(s[3])
	if err != nil {
		return err
	}
	text := strftime(string(format), t)
	if uint64(len(text))+1 > s[1] {
		s[0] = 0
		return nil
	}
	if err := h.writeText(s[0], []byte(text)); err != nil {
		return err
	}
	s[0] = uint64(len(text))
	return nil
}

// strftime formats a time as C does in the C locale.
func strftime(format string, t time.Time) string {
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			out.WriteByte(format[i])
			continue
		}
		i++
		// The modifiers E and O change nothing in the C locale.
		if (format[i] == 'E' || format[i] == 'O') && i+1 < len(format) {
			i++
		}
		out.WriteString(timeField(format[i], t))
	}
	return out.String()
}

func timeField(verb byte, t time.Time) string {
	_, week := t.ISOWeek()
	isoYear, _ := t.ISOWeek()
	hour12 := (t.Hour()+11)%12 + 1
	switch verb {
	case 'a', 'A', 'b', 'h', 'B', 'p', 'c', 'x', 'D', 'X', 'T', 'R', 'r', 'F':
		layout := map[byte]string{
			'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'p': "PM",
			'c': "Mon Jan _2 15:04:05 2006", 'x': "01/02/06", 'D': "01/02/06", 'X': "15:04:05", 'T': "15:04:05",
			'R': "15:04", 'r': "03:04:05 PM", 'F': "2006-01-02",
		}[verb]
		return t.Format(layout)
	case 'C':
		return fmt.Sprintf("%02d", t.Year()/100)
	case 'd':
		return fmt.Sprintf("%02d", t.Day())
	case 'e':
		return fmt.Sprintf("%2d", t.Day())
	case 'g':
		return fmt.Sprintf("%02d", isoYear%100)
	case 'G':
		return fmt.Sprint(isoYear)
	case 'H':
		return fmt.Sprintf("%02d", t.Hour())
	case 'I':
		return fmt.Sprintf("%02d", hour12)
	case 'j':
		return fmt.Sprintf("%03d", t.YearDay())
	case 'm':
		return fmt.Sprintf("%02d", int(t.Month()))
	case 'M':
		return fmt.Sprintf("%02d", t.Minute())
	case 'n':
		return "\n"
	case 's':
		return fmt.Sprint(t.Unix())
	case 'S':
		return fmt.Sprintf("%02d", t.Second())
	case 't':
		return "\t"
	case 'u':
		return fmt.Sprint((int(t.Weekday())+6)%7 + 1)
	case 'U':
		return fmt.Sprintf("%02d", (t.YearDay()+6-int(t.Weekday()))/7)
	case 'V':
		return fmt.Sprintf("%02d", week)
	case 'w':
		return fmt.Sprint(int(t.Weekday()))
	case 'W':
		return fmt.Sprintf("%02d", (t.YearDay()+6-(int(t.Weekday())+6)%7)/7)
	case 'y':
		return fmt.Sprintf("%02d", t.Year()%100)
	case 'Y':
		return fmt.Sprint(t.Year())
	case 'z':
		return "+0000"
	case 'Z':
		return "UTC"
	case '%':
		return "%"
	}
	return "%" + string(verb)
}
