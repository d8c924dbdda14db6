package diff

import (
	"bytes"
	"maps"
	"slices"

	"github.com/wallaby-ao/wallaby/vm"
)

// State is what differs between two states.
type State struct {
	// MemoryBytes are the sizes of the memories, if they differ.
	MemoryBytes *[2]uint64 `json:"memoryBytes,omitempty"`
	Sections    []string   `json:"sections,omitempty"` // names of those that differ
	// PagesTotal is how many pages differ, and Pages are the first of them.
	PagesTotal int    `json:"pagesTotal"`
	Pages      []Page `json:"pages,omitempty"`
}

// Page is where a page of 64 KiB differs.
type Page struct {
	Index uint32 `json:"index"`
	// From and To bound the bytes of the page that differ, To not among them; Bytes
	// is how many between them do.
	From  int `json:"from"`
	To    int `json:"to"`
	Bytes int `json:"bytes"`
	// A and B are what the sides have there, at most exampleBytes.
	A []byte `json:"a"`
	B []byte `json:"b"`
}

const (
	pagesMax     = 16
	exampleBytes = 16
)

// States compares two states, whose pages are vm.PageBytes long.
func States(a, b *vm.State) State {
	var d State
	if a.MemoryBytes != b.MemoryBytes {
		d.MemoryBytes = &[2]uint64{a.MemoryBytes, b.MemoryBytes}
	}
	sections := maps.Clone(a.Sections)
	maps.Copy(sections, b.Sections)
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		one, okA := a.Sections[name]
		other, okB := b.Sections[name]
		if okA != okB || !bytes.Equal(one, other) {
			d.Sections = append(d.Sections, name)
		}
	}
	pages := maps.Clone(a.Pages)
	maps.Copy(pages, b.Pages)
	for _, index := range slices.Sorted(maps.Keys(pages)) {
		page, differs := comparePages(index, a.Pages[index], b.Pages[index])
		if !differs {
			continue
		}
		if d.PagesTotal++; len(d.Pages) < pagesMax {
			d.Pages = append(d.Pages, page)
		}
	}
	return d
}

var zeros = make([]byte, vm.PageBytes)

// comparePages compares two pages; nil is one that is all zero.
func comparePages(index uint32, a, b []byte) (page Page, differs bool) {
	if a == nil {
		a = zeros
	}
	if b == nil {
		b = zeros
	}
	if bytes.Equal(a, b) {
		return page, false
	}
	page = Page{Index: index, From: -1}
	for i := range a {
		if a[i] == b[i] {
			continue
		}
		if page.From < 0 {
			page.From = i
		}
		page.To = i + 1
		page.Bytes++
	}
	end := min(page.From+exampleBytes, page.To)
	page.A, page.B = bytes.Clone(a[page.From:end]), bytes.Clone(b[page.From:end])
	return page, true
}
