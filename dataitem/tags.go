package dataitem

// Tag is one name and value pair of an item, in the order it was written.
type Tag struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Tags is the ordered tag list of an item. Names are case-sensitive and may
// occur more than once.
type Tags []Tag

// Lookup gives the first value under name and whether there is one.
func (t Tags) Lookup(name string) (string, bool) {
	for _, tag := range t {
		if tag.Name == name {
			return tag.Value, true
		}
	}
	return "", false
}

// Get gives the first value under name, or "".
func (t Tags) Get(name string) string {
	value, _ := t.Lookup(name)
	return value
}

// Has reports whether some tag has this name.
func (t Tags) Has(name string) bool {
	_, ok := t.Lookup(name)
	return ok
}

// All gives every value under name, in order.
func (t Tags) All(name string) []string {
	var values []string
	for _, tag := range t {
		if tag.Name == name {
			values = append(values, tag.Value)
		}
	}
	return values
}

// Contains reports whether some tag has exactly this name and value.
func (t Tags) Contains(name, value string) bool {
	for _, tag := range t {
		if tag.Name == name && tag.Value == value {
			return true
		}
	}
	return false
}

// Without gives a copy that lacks every tag with one of these names.
func (t Tags) Without(names ...string) Tags {
	kept := make(Tags, 0, len(t))
next:
	for _, tag := range t {
		for _, name := range names {
			if tag.Name == name {
				continue next
			}
		}
		kept = append(kept, tag)
	}
	return kept
}
