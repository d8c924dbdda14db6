package bench

import (
	"math"
	"strconv"
)

// logAxis maps values to positions so that equal ratios are equally long.
type logAxis struct {
	min, max float64 // values at the ends, both on a tick and apart
	from, to float64 // positions of the ends
}

// ticksMax is how many ticks have room for their numbers.
const ticksMax = 12

// isPlottable reports whether a logarithmic axis has a place for a value.
func isPlottable(value float64) bool { return value > 0 && !math.IsInf(value, 0) && !math.IsNaN(value) }

// newLogAxis makes an axis on which all values have a place. Values without one
// are left out.
func newLogAxis(values []float64, from, to float64) logAxis {
	low, high := math.Inf(1), math.Inf(-1)
	for _, value := range values {
		if isPlottable(value) {
			low, high = math.Min(low, value), math.Max(high, value)
		}
	}
	if low > high {
		low, high = 1, 10
	}
	// A point on the frame would be cut by it.
	const margin = 1.15
	return logAxis{min: tickBelow(low / margin), max: tickAbove(high * margin), from: from, to: to}
}

func (a logAxis) at(value float64) float64 {
	return a.from + (a.to-a.from)*math.Log(value/a.min)/math.Log(a.max/a.min)
}

// ticks gives the values to be marked: 1, 2 and 5 of each power of ten, or only
// the powers when that would be too many.
func (a logAxis) ticks() []float64 {
	fine, coarse := []float64{}, []float64{}
	const slack = 1e-9 // of rounding, relative
	for power := math.Floor(math.Log10(a.min)); math.Pow(10, power) <= a.max*(1+slack); power++ {
		for _, digit := range []float64{1, 2, 5} {
			value := digit * math.Pow(10, power)
			if value < a.min*(1-slack) || value > a.max*(1+slack) {
				continue
			}
			fine = append(fine, value)
			if digit == 1 {
				coarse = append(coarse, value)
			}
		}
	}
	if len(fine) > ticksMax && len(coarse) > 1 {
		return coarse
	}
	return fine
}

func tickBelow(value float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(value)))
	for _, digit := range []float64{5, 2} {
		if digit*power <= value {
			return digit * power
		}
	}
	return power
}

func tickAbove(value float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(value)))
	for _, digit := range []float64{1, 2, 5} {
		if digit*power >= value {
			return digit * power
		}
	}
	return 10 * power
}

// tickText writes 0.5, 20, 5k, 2M.
func tickText(value float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e6, "M"}, {1e3, "k"}} {
		if value >= unit.size {
			return strconv.FormatFloat(value/unit.size, 'g', 4, 64) + unit.name
		}
	}
	return strconv.FormatFloat(value, 'g', 4, 64)
}
