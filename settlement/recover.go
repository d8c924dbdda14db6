package settlement

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Recovered is a place of a log as it was found on the weave, with every signature
// checked.
type Recovered struct {
	Entry aolog.Entry
	// Item or Tx is what a bare assignment names.
	Item *dataitem.Item
	Tx   *arweave.Tx
}

// windowEntries is how many places are asked for at once.
const windowEntries = 50

// readersMax is how many items are read at once.
const readersMax = 8

// Processes lists the processes that a scheduler has ordered, by the assignments of
// their first places.
func (a *Archive) Processes(ctx context.Context, scheduler ao.ID) (list []ao.ID, err error) {
	known := map[ao.ID]bool{}
	search := assignments(scheduler)
	search.OldestFirst = true
	search.Tags = append(search.Tags, dataitem.Tag{Name: ao.TagNonce, Value: "0"})
	for {
		page, next, err := a.Find(ctx, search)
		if err != nil {
			return nil, err
		}
		for _, found := range page {
			process, err := ao.ParseID(found.Tags.Get(ao.TagProcess))
			if err == nil && !known[process] {
				known[process] = true
				list = append(list, process)
			}
		}
		if search.After = next; next == "" {
			return list, nil
		}
	}
}

func assignments(scheduler ao.ID, tags ...dataitem.Tag) Search {
	return Search{Owners: []string{scheduler.String()}, Tags: append(dataitem.Tags{
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagType, Value: ao.TypeAssignment},
	}, tags...)}
}

// Recover calls fn for the places of a process behind head, or from its first on, in
// order. It ends with an error at a place that is missing although a later one is
// there, that was given twice, or that does not follow the one before it.
func (a *Archive) Recover(ctx context.Context, scheduler ao.ID, process ao.ID, head aolog.Head, started bool, fn func(Recovered) error) error {
	next := uint64(0)
	if started {
		next = head.Nonce + 1
	}
	return a.Places(ctx, scheduler, process, next, func(place Recovered) error {
		if refused := (aolog.Sequencer{}).Check(head, started, place.Entry); refused != nil {
			return ao.Errorf(ao.CodeConflict, "nonce %d of process %s does not follow the one before it: %w", place.Entry.Nonce, process, refused)
		}
		head, started = aolog.HeadOf(place.Entry), true
		return fn(place)
	})
}

// Places calls fn for the places of a process from a nonce on, in order, and does not
// ask whether one follows the other. It ends with an error at a place that is missing
// although a later one is there, or that was given twice.
func (a *Archive) Places(ctx context.Context, scheduler ao.ID, process ao.ID, next uint64, fn func(Recovered) error) error {
	newest, any, err := a.newest(ctx, scheduler, process)
	if err != nil || !any {
		return err
	}
	for {
		window, err := a.window(ctx, scheduler, process, next)
		if err != nil {
			return err
		}
		// The list of what is newest may leave some out, so the end is where nothing
		// comes any more.
		if len(window) == 0 && next > newest {
			return nil
		}
		if len(window) < windowEntries && next+uint64(len(window)) <= newest {
			return ao.Errorf(ao.CodeNotFound, "nonce %d of process %s is not on the weave, and nonce %d is: try later, or another gateway",
				next+uint64(len(window)), process, newest)
		}
		places, err := a.contents(ctx, process, window)
		if err != nil {
			return err
		}
		for _, place := range places {
			if err := fn(place); err != nil {
				return err
			}
			next = place.Entry.Nonce + 1
		}
		if len(window) < windowEntries {
			return nil
		}
	}
}

// newest gives the highest nonce among those of a process that are listed first.
func (a *Archive) newest(ctx context.Context, scheduler, process ao.ID) (nonce uint64, any bool, err error) {
	page, _, err := a.Find(ctx, assignments(scheduler, dataitem.Tag{Name: ao.TagProcess, Value: process.String()}))
	for _, found := range page {
		if n, err := strconv.ParseUint(found.Tags.Get(ao.TagNonce), 10, 64); err == nil {
			nonce, any = max(nonce, n), true
		}
	}
	return nonce, any, err
}

// window gives the assignments of a process from a nonce on, without gaps and
// verified, at most windowEntries.
func (a *Archive) window(ctx context.Context, scheduler, process ao.ID, from uint64) (window []aolog.Entry, err error) {
	search := assignments(scheduler, dataitem.Tag{Name: ao.TagProcess, Value: process.String()})
	for nonce := from; nonce < from+windowEntries; nonce++ {
		search.Tags = append(search.Tags, dataitem.Tag{Name: ao.TagNonce, Value: strconv.FormatUint(nonce, 10)})
	}
	byNonce := map[uint64]aolog.Entry{}
	for {
		page, next, err := a.Find(ctx, search)
		if err != nil {
			return nil, err
		}
		for _, found := range page {
			entry, err := a.assignment(ctx, found, scheduler, process)
			if err != nil {
				return nil, err
			}
			if other, twice := byNonce[entry.Nonce]; twice && other.ID != entry.ID {
				return nil, ao.Errorf(ao.CodeConflict, "the scheduler has signed two assignments for nonce %d of process %s: %s and %s", entry.Nonce, process, other.ID, entry.ID)
			}
			byNonce[entry.Nonce] = entry
		}
		if search.After = next; next == "" {
			break
		}
	}
	for nonce := from; ; nonce++ {
		entry, ok := byNonce[nonce]
		if !ok {
			break
		}
		window = append(window, entry)
	}
	if len(window) < len(byNonce) {
		return nil, ao.Errorf(ao.CodeNotFound, "nonce %d of process %s is not on the weave, and a later one is: try later, or another gateway", from+uint64(len(window)), process)
	}
	return window, nil
}

func (a *Archive) assignment(ctx context.Context, found Found, scheduler, process ao.ID) (entry aolog.Entry, err error) {
	it, err := a.Item(ctx, found)
	if err != nil {
		return entry, err
	}
	entry.AssignmentBytes = it.Bytes()
	if entry.Assignment, err = ao.ParseAssignment(it); err != nil {
		return entry, err
	}
	if it.OwnerAddress() != scheduler || entry.Process != process {
		return entry, fmt.Errorf("gateway %s gave assignment %s, which is of scheduler %s and process %s", a.client.BaseURL, it.ID(), it.OwnerAddress(), entry.Process)
	}
	return entry, nil
}

// contents gets what assignments assign.
func (a *Archive) contents(ctx context.Context, process ao.ID, window []aolog.Entry) ([]Recovered, error) {
	if len(window) == 0 {
		return nil, nil
	}
	ids := make([]ao.ID, len(window))
	for i, entry := range window {
		if ids[i] = entry.Message; entry.Message.IsZero() {
			ids[i] = process
		}
	}
	found, err := a.Look(ctx, ids)
	if err != nil {
		return nil, err
	}
	places := make([]Recovered, len(window))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readersMax)
	for i, entry := range window {
		group.Go(func() (err error) {
			one, ok := found[ids[i]]
			if !ok {
				return ao.Errorf(ao.CodeNotFound, "message %s, nonce %d of process %s, is not on the weave", ids[i], entry.Nonce, process)
			}
			places[i], err = a.place(ctx, entry, one)
			return err
		})
	}
	return places, group.Wait()
}

// place puts an entry and what it assigns together. What could have been posted to the
// process belongs into its log; all else was assigned by name.
func (a *Archive) place(ctx context.Context, entry aolog.Entry, found Found) (Recovered, error) {
	place := Recovered{Entry: entry}
	it, err := a.Item(ctx, found)
	if errors.Is(err, dataitem.ErrSignature) && !found.Bundled {
		if tx, txErr := a.Tx(ctx, found.ID); txErr == nil {
			place.Tx = tx
			return place, nil
		}
	}
	if err != nil {
		return place, err
	}
	kind, process, err := ao.CheckItem(it)
	isProcess := entry.Message.IsZero()
	switch {
	case isProcess && (err != nil || kind != ao.KindProcess || it.ID() != entry.Process):
		return place, fmt.Errorf("item %s has the first place of a process and is none: %w", it.ID(), err)
	case isProcess, err == nil && kind == ao.KindMessage && process == entry.Process && len(entry.Exclude) == 0:
		place.Entry.ItemBytes = it.Bytes()
	default:
		place.Item = it
	}
	return place, nil
}

// Module gives a published module, verified.
func (a *Archive) Module(ctx context.Context, id ao.ID) (*dataitem.Item, error) {
	found, err := a.Look(ctx, []ao.ID{id})
	if err != nil {
		return nil, err
	}
	one, ok := found[id]
	if !ok {
		return nil, ao.Errorf(ao.CodeNotFound, "module %s is not on the weave", id)
	}
	it, err := a.Item(ctx, one)
	if err == nil && !slices.Contains(it.Tags.All(ao.TagType), ao.TypeModule) {
		err = ao.Errorf(ao.CodeInvalid, "item %s is no module", id)
	}
	return it, err
}
