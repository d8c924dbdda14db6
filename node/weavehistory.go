package node

import (
	"context"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/history"
	"github.com/wallaby-ao/wallaby/internal/guard"
	"github.com/wallaby-ao/wallaby/settlement"
)

// WeaveHistory tells a process's history as it is settled on the weave: the entries,
// and what was assigned by name. What only nodes keep is not there: openings of epochs,
// operators' signatures, and what crons saw.
type WeaveHistory struct {
	gateway string
	archive *settlement.Archive
}

var _ history.Source = WeaveHistory{}

// NewWeaveHistory reads through the gateway at a URL.
func NewWeaveHistory(gateway string) (WeaveHistory, error) {
	if err := (Settlement{To: gateway}).check(); err != nil || gateway == "" {
		return WeaveHistory{}, fmt.Errorf("name the gateway that has the history by its URL: %w", err)
	}
	client := &arweave.Client{BaseURL: gateway, HTTP: weaveClient(gateway, guard.Options{}), AnswerBytesMax: weaveAnswerBytesMax}
	return WeaveHistory{gateway, settlement.NewArchive(client)}, nil
}

// Origin names the gateway.
func (h WeaveHistory) Origin() history.Origin {
	return history.Origin{Kind: "arweave", URL: h.gateway}
}

// Records calls fn for what the weave has of a process from a nonce on. The scheduler is
// the one that the process names.
func (h WeaveHistory) Records(ctx context.Context, process ao.ID, from uint64, fn func(history.Record) error) error {
	scheduler, err := h.scheduler(ctx, process)
	if err != nil {
		return err
	}
	return h.archive.Places(ctx, scheduler, process, from, func(place settlement.Recovered) error {
		if err := fn(history.EntryRecord(place.Entry)); err != nil {
			return err
		}
		switch {
		case place.Item != nil:
			return fn(history.ItemRecord(place.Entry.Nonce, place.Item))
		case place.Tx != nil:
			return fn(history.NoteRecord(place.Entry.Nonce, "what was assigned is transaction %s of layer 1, which is no item", place.Tx.ID))
		}
		return nil
	})
}

func (h WeaveHistory) scheduler(ctx context.Context, process ao.ID) (scheduler ao.ID, err error) {
	found, err := h.archive.Look(ctx, []ao.ID{process})
	if err != nil {
		return scheduler, err
	}
	one, ok := found[process]
	if !ok {
		return scheduler, ao.Errorf(ao.CodeNotFound, "gateway %s does not have process %s: it is not settled, or not found there yet", h.gateway, process)
	}
	scheduler, err = ao.ParseID(one.Tags.Get(ao.TagScheduler))
	if err != nil {
		err = ao.Errorf(ao.CodeUnprocessable, "process %s does not say who orders it: its tag %s: %w", process, ao.TagScheduler, err)
	}
	return scheduler, err
}
