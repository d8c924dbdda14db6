package engine

import (
	"context"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// rootOf says which user message an entry's effects descend from: for what was
// pushed what its Pushed-For tag says, however it came into the log, else the
// message itself.
func (e *Engine) rootOf(entry aolog.Entry, message ao.ID) (root ao.ID, err error) {
	return rootOf(e.running, entry, message, e.options.Items)
}

func rootOf(ctx context.Context, entry aolog.Entry, message ao.ID, items ItemSource) (root ao.ID, err error) {
	var tags dataitem.Tags
	if entry.IsBare() {
		tx, err := lookUp(ctx, entry, items, false)
		if err != nil {
			return root, err
		}
		tags = tx.Tags
	} else {
		item, err := itemOf(entry)
		if err != nil {
			return root, err
		}
		tags = item.Tags
	}
	if entry.Nonce > 0 && !tags.Has(ao.TagFromProcess) {
		return message, nil
	}
	if root, err = ao.ParseID(tags.Get(ao.TagPushedFor)); err != nil {
		return ao.ID{}, nil // it descends from no user's message
	}
	return root, nil
}
