package ao

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/dataitem"
)

// Cron is a message that a process gets again and again, as its tags ask for.
type Cron struct {
	Interval string // as the tag has it, e.g. "10-minutes"
	Blocks   bool   // Every counts blocks, not seconds
	Every    int64  // 0: the interval cannot be understood, and the cron never comes
	Tags     dataitem.Tags
}

// cronTagPrefix begins the names of tags that a cron's messages have.
const cronTagPrefix = "Cron-Tag-"

// ParseCrons reads a process's crons, in the order of its tags: each
// Cron-Interval begins one, and the tags Cron-Tag-NAME behind it are its
// messages'. The rules and texts are the reference compute unit's, which takes an
// interval that it does not understand, such as 1-month, for one that never ends.
func ParseCrons(tags dataitem.Tags) (crons []Cron, err error) {
	for _, tag := range tags {
		if tag.Name == TagCronInterval {
			cron, err := parseInterval(tag.Value)
			if err != nil {
				return nil, err
			}
			crons = append(crons, cron)
			continue
		}
		name, ok := strings.CutPrefix(tag.Name, cronTagPrefix)
		if !ok || name == "" || strings.ContainsAny(name, "\n\r\u2028\u2029") {
			continue
		}
		if len(crons) == 0 {
			return nil, Errorf(CodeInvalid, "Unmatched Cron-Tag with no preceding Cron-Interval: %s", tag.Name)
		}
		last := &crons[len(crons)-1]
		last.Tags = append(last.Tags, dataitem.Tag{Name: name, Value: tag.Value})
	}
	return crons, nil
}

func parseInterval(interval string) (Cron, error) {
	parts := strings.SplitN(interval, "-", 3)
	value, unit := strings.TrimSpace(parts[0]), ""
	if len(parts) > 1 {
		unit = strings.TrimSpace(parts[1])
	}
	if unit == "block" || unit == "blocks" {
		return Cron{Interval: interval, Blocks: true, Every: leadingNumber(value)}, nil
	}
	seconds := math.Floor(durationMS(value+" "+unit) / 1000)
	if seconds <= 0 {
		return Cron{}, Errorf(CodeInvalid, "time-based cron cannot be less than 1 second: Cron-Interval is %q", interval)
	}
	if math.IsNaN(seconds) || seconds > math.MaxInt32*1000 {
		seconds = 0
	}
	return Cron{Interval: interval, Every: int64(seconds)}, nil
}

// leadingNumber reads the digits that a text begins with; 0 for none.
func leadingNumber(text string) int64 {
	digits := strings.TrimPrefix(text, "+")
	end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
	if end >= 0 {
		digits = digits[:end]
	}
	number, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0
	}
	return number
}

// durationPattern is what the npm package ms reads.
var durationPattern = regexp.MustCompile(`(?i)^(-?\d*\.?\d+) *(ms|msecs?|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?|y|yrs?|years?)?$`)

const durationBytesMax = 100

// durationMS reads a duration as the npm package ms does; NaN is none. A number
// alone is milliseconds.
func durationMS(text string) float64 {
	match := durationPattern.FindStringSubmatch(text)
	if match == nil || len(text) > durationBytesMax {
		return math.NaN()
	}
	number, err := strconv.ParseFloat(match[1], 64)
	if err != nil {
		return math.NaN()
	}
	unit := strings.ToLower(match[2])
	switch {
	case unit == "" || strings.HasPrefix(unit, "ms") || strings.HasPrefix(unit, "milli"):
		return number
	case unit[0] == 'm':
		return number * 60e3
	}
	return number * map[byte]float64{'s': 1e3, 'h': 3600e3, 'd': 86400e3, 'w': 7 * 86400e3, 'y': 365.25 * 86400e3}[unit[0]]
}
