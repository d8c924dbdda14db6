package logtest

import (
	"fmt"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Signer makes a signer from one byte: the same byte, the same key.
func Signer(tb testing.TB, seed byte) dataitem.Signer {
	tb.Helper()
	key := make([]byte, 32)
	for i := range key {
		key[i] = seed
	}
	signer, err := dataitem.NewEd25519Signer(key)
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

// ProcessItem makes a signed process; name sets it apart from others.
func ProcessItem(tb testing.TB, signer dataitem.Signer, name string, extra ...dataitem.Tag) *dataitem.Item {
	tb.Helper()
	module := ao.ID{1}
	tags := dataitem.Tags{
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol},
		{Name: ao.TagVariant, Value: ao.Variant},
		{Name: ao.TagType, Value: ao.TypeProcess},
	}
	given := dataitem.Tags(extra)
	if !given.Has(ao.TagModule) {
		tags = append(tags, dataitem.Tag{Name: ao.TagModule, Value: module.String()})
	}
	tags = append(tags, dataitem.Tag{Name: ao.TagScheduler, Value: "scheduler"}, dataitem.Tag{Name: "Name", Value: name})
	return sign(tb, signer, dataitem.Draft{Tags: append(tags, extra...), Data: []byte(" ")})
}

// MessageItem makes a signed message for a process.
func MessageItem(tb testing.TB, signer dataitem.Signer, process ao.ID, data string, extra ...dataitem.Tag) *dataitem.Item {
	tb.Helper()
	tags := dataitem.Tags{
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol},
		{Name: ao.TagVariant, Value: ao.Variant},
		{Name: ao.TagType, Value: ao.TypeMessage},
	}
	return sign(tb, signer, dataitem.Draft{Target: process[:], Tags: append(tags, extra...), Data: []byte(data)})
}

// Messages makes n different messages for a process.
func Messages(tb testing.TB, signer dataitem.Signer, process ao.ID, n int) []*dataitem.Item {
	tb.Helper()
	items := make([]*dataitem.Item, n)
	for i := range items {
		items[i] = MessageItem(tb, signer, process, fmt.Sprintf("message %d", i))
	}
	return items
}

func sign(tb testing.TB, signer dataitem.Signer, draft dataitem.Draft) *dataitem.Item {
	tb.Helper()
	item, err := dataitem.Create(draft, signer)
	if err != nil {
		tb.Fatal(err)
	}
	return item
}
