package diff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Field is a part of two JSON values that differs.
type Field struct {
	// Path leads to it: Output.data, Messages[0].Tags[2].value.
	Path string `json:"path"`
	// A and B are what the sides have, as JSON; "": nothing.
	A string `json:"a,omitempty"`
	B string `json:"b,omitempty"`
}

// Fields lists what differs between two JSON values, in the order of paths. What cannot be
// read as JSON is one field, without a path.
func Fields(a, b []byte) []Field {
	one, errA := decode(a)
	other, errB := decode(b)
	if errA != nil || errB != nil {
		if bytes.Equal(a, b) {
			return nil
		}
		return []Field{{A: string(a), B: string(b)}}
	}
	return compare(nil, "", one, other)
}

func decode(b []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

// nothing is a value that a side does not have.
type nothing struct{}

func compare(found []Field, path string, a, b any) []Field {
	switch one := a.(type) {
	case map[string]any:
		if other, ok := b.(map[string]any); ok {
			return compareObjects(found, path, one, other)
		}
	case []any:
		if other, ok := b.([]any); ok {
			return compareLists(found, path, one, other)
		}
	}
	if textA, textB := text(a), text(b); textA != textB {
		found = append(found, Field{path, textA, textB})
	}
	return found
}

func compareObjects(found []Field, path string, a, b map[string]any) []Field {
	all := maps.Clone(a)
	maps.Copy(all, b)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		one, okA := a[key]
		other, okB := b[key]
		below := key
		if path != "" {
			below = path + "." + key
		}
		found = compare(found, below, orNothing(one, okA), orNothing(other, okB))
	}
	return found
}

func compareLists(found []Field, path string, a, b []any) []Field {
	for i := range max(len(a), len(b)) {
		one, other := any(nothing{}), any(nothing{})
		if i < len(a) {
			one = a[i]
		}
		if i < len(b) {
			other = b[i]
		}
		found = compare(found, fmt.Sprintf("%s[%d]", path, i), one, other)
	}
	return found
}

func orNothing(value any, ok bool) any {
	if !ok {
		return nothing{}
	}
	return value
}

func text(value any) string {
	if _, ok := value.(nothing); ok {
		return ""
	}
	b, _ := json.Marshal(value) // it came from JSON
	return string(b)
}
