package engine

import (
	"math"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// limits bound one process; both are declared by it or by its module.
type limits struct {
	memoryBytes uint64
	gas         uint64
}

// readLimits takes the process's limits, else the module's. Limits that are
// missing, unreadable or larger than this node accepts are refused alike, as
// the reference does.
func readLimits(process ao.ID, own, module dataitem.Tags, memoryMax, gasMax uint64) (limits, error) {
	memory, ok := parseMemoryLimit(firstOf(ao.TagMemoryLimit, own, module))
	if !ok || memory > memoryMax {
		return limits{}, ao.Errorf(ao.CodeTooLarge, "Memory-Limit for process %q exceeds supported limit", process)
	}
	gas, err := strconv.ParseUint(strings.TrimSpace(firstOf(ao.TagComputeLimit, own, module)), 10, 64)
	if err != nil || gas > gasMax {
		return limits{}, ao.Errorf(ao.CodeTooLarge, "Compute-Limit for process %q exceeds supported limit", process)
	}
	return limits{memoryBytes: memory, gas: gas}, nil
}

func firstOf(name string, lists ...dataitem.Tags) string {
	for _, tags := range lists {
		if value := tags.Get(name); value != "" {
			return value
		}
	}
	return ""
}

// parseMemoryLimit reads a number and a unit, such as "500-mb": the first
// hyphen is dropped and units are powers of 1024.
func parseMemoryLimit(text string) (uint64, bool) {
	text = strings.ToLower(strings.TrimSpace(strings.Replace(text, "-", "", 1)))
	units := []struct {
		name  string
		shift uint
	}{{"kb", 10}, {"mb", 20}, {"gb", 30}, {"tb", 40}, {"b", 0}, {"", 0}}
	for _, unit := range units {
		digits, found := strings.CutSuffix(text, unit.name)
		if !found {
			continue
		}
		number, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || !(number >= 0) {
			return 0, false
		}
		bytes := math.Floor(number * float64(uint64(1)<<unit.shift))
		return uint64(bytes), bytes < 1<<62
	}
	return 0, false
}
