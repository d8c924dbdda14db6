package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Query selects records. Empty lists select everything, several filters must
// all hold, and within one filter any value will do.
type Query struct {
	IDs        []ao.ID
	Owners     []ao.ID
	Recipients []ao.ID
	BundledIn  []ao.ID
	Tags       []TagFilter
	// HeightMin and HeightMax bound the block, both inclusive; nil is open.
	// Either leaves out what is not in a block yet.
	HeightMin, HeightMax *uint64
	// First is the page size, at most PageMax.
	First int
	// After is the cursor of the record to go on behind, or "".
	After     string
	Ascending bool

	// nothing says that some filter had only values nothing can match.
	nothing bool
}

// TagFilter holds for records that have a tag of this name with one of these
// values, or with Not for those that have none.
type TagFilter struct {
	Name   string
	Values []string
	Not    bool
}

// PageMax is the largest page; more is cut to it.
const PageMax = 100

// filterValuesMax bounds one filter, since every value costs an iterator.
const filterValuesMax = 1000

// Page is one page of records in order.
type Page struct {
	Records []*Record
	HasNext bool
}

// Find runs a query.
func (g *Gateway) Find(ctx context.Context, q Query) (Page, error) {
	if err := q.check(); err != nil {
		return Page{}, err
	}
	if q.nothing {
		return Page{}, nil
	}
	if err := g.fetchMissing(ctx, q.IDs); err != nil {
		return Page{}, err
	}
	var page Page
	err := g.view(func(txn *badger.Txn) error {
		bounds, err := g.bounds(txn, q)
		if err != nil || bounds.empty {
			return err
		}
		list, err := q.plan(txn)
		if err != nil {
			return err
		}
		defer list.close()
		return g.collect(ctx, txn, q, bounds, list, &page)
	})
	return page, err
}

func (q Query) check() error {
	counts := []int{len(q.IDs), len(q.Owners), len(q.Recipients), len(q.BundledIn), len(q.Tags)}
	for _, tag := range q.Tags {
		counts = append(counts, len(tag.Values))
	}
	if most := slices.Max(counts); most > filterValuesMax {
		return ao.Errorf(ao.CodeInvalid, "a filter has %d values, at most %d are allowed", most, filterValuesMax)
	}
	return nil
}

// fetchMissing copies asked-for items from the fallback.
func (g *Gateway) fetchMissing(ctx context.Context, ids []ao.ID) error {
	if g.options.Fallback == nil {
		return nil
	}
	for _, id := range ids {
		stored, err := g.lookupStored(id)
		if err == nil && stored == nil {
			err = g.fetch(ctx, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bounds are the sequence numbers between which results lie, both inclusive.
type bounds struct {
	low, high uint64
	empty     bool
}

func (b *bounds) narrow(low, high uint64) {
	b.low, b.high = max(b.low, low), min(b.high, high)
	b.empty = b.empty || b.low > b.high
}

func (g *Gateway) bounds(txn *badger.Txn, q Query) (bounds, error) {
	b := bounds{low: 1, high: math.MaxUint64}
	if q.After != "" {
		after, err := parseCursor(q.After)
		switch {
		case err != nil:
			return b, err
		case q.Ascending:
			b.narrow(after+1, math.MaxUint64)
		case after == 0:
			b.empty = true
		default:
			b.narrow(1, after-1)
		}
	}
	if q.HeightMin == nil && q.HeightMax == nil {
		return b, nil
	}
	heightMax := g.chain.height()
	if q.HeightMax != nil {
		heightMax = min(heightMax, *q.HeightMax)
	}
	if q.HeightMin != nil {
		from, ok, err := firstSequence(txn, *q.HeightMin)
		if err != nil {
			return b, err
		}
		if !ok {
			b.empty = true
			return b, nil
		}
		b.narrow(from, math.MaxUint64)
	}
	past, ok, err := firstSequence(txn, heightMax+1)
	if ok {
		b.narrow(1, past-1)
	}
	return b, err
}

// firstSequence is the first sequence number at or above a height.
func firstSequence(txn *badger.Txn, height uint64) (sequence uint64, ok bool, err error) {
	key, value, err := first(txn, []byte{keyHeight}, heightKey(height))
	if err != nil || key == nil {
		return 0, false, err
	}
	return lastNumber(value), true, nil
}

// plan turns the filters into one list.
func (q Query) plan(txn *badger.Txn) (postings, error) {
	var lists []postings
	add := func(prefixes [][]byte) {
		if len(prefixes) == 0 {
			return
		}
		any := &union{descending: !q.Ascending}
		for _, prefix := range prefixes {
			any.lists = append(any.lists, openPostings(txn, prefix, !q.Ascending))
		}
		lists = append(lists, any)
	}
	if len(q.IDs) > 0 {
		numbers, err := sequences(txn, q.IDs)
		if err != nil {
			return nil, err
		}
		lists = append(lists, newListPostings(numbers, !q.Ascending))
	}
	add(prefixes(q.Owners, ownerPrefix))
	add(prefixes(q.Recipients, recipientPrefix))
	add(prefixes(q.BundledIn, bundledInPrefix))
	for _, tag := range q.Tags {
		if !tag.Not {
			add(prefixes(tag.Values, func(value string) []byte { return tagPrefix(tag.Name, value) }))
		}
	}
	if len(lists) == 0 {
		add([][]byte{{keySequence}})
	}
	return &intersection{lists, !q.Ascending}, nil
}

func prefixes[V comparable](values []V, prefix func(V) []byte) [][]byte {
	var all [][]byte
	seen := map[V]bool{}
	for _, value := range values {
		if !seen[value] {
			seen[value] = true
			all = append(all, prefix(value))
		}
	}
	return all
}

func sequences(txn *badger.Txn, ids []ao.ID) ([]uint64, error) {
	var numbers []uint64
	for _, id := range ids {
		value, err := get(txn, recordKey(id))
		if err != nil {
			return nil, err
		}
		if value == nil {
			continue
		}
		stored, err := decodeStored(value)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, stored.sequence)
	}
	return numbers, nil
}

// collect reads records off the list until the page is full and it is known
// whether there is another.
func (g *Gateway) collect(ctx context.Context, txn *badger.Txn, q Query, b bounds, list postings, page *Page) error {
	size := min(max(q.First, 0), PageMax)
	at := b.high
	if q.Ascending {
		at = b.low
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		sequence, ok := list.seek(at)
		if !ok || sequence < b.low || sequence > b.high {
			return nil
		}
		record, err := recordAt(txn, sequence)
		if err != nil {
			return err
		}
		if q.matches(record) {
			if len(page.Records) == size {
				page.HasNext = true
				return nil
			}
			page.Records = append(page.Records, record)
		}
		if at = sequence + 1; !q.Ascending {
			if sequence == 0 {
				return nil
			}
			at = sequence - 1
		}
	}
}

func recordAt(txn *badger.Txn, sequence uint64) (*Record, error) {
	id, err := get(txn, sequenceKey(sequence))
	if err != nil {
		return nil, err
	}
	if len(id) != 32 {
		return nil, fmt.Errorf("%w: sequence number %d leads nowhere", ErrDamaged, sequence)
	}
	value, err := get(txn, recordKey(dataitem.ID(id)))
	if err != nil {
		return nil, err
	}
	stored, err := decodeStored(value)
	if err != nil {
		return nil, err
	}
	return stored.open(dataitem.ID(id))
}

// matches checks what the lists do not settle: tags whose hashes collide, and
// tags that must be absent.
func (q Query) matches(r *Record) bool {
	for _, filter := range q.Tags {
		has := slices.ContainsFunc(r.Tags, func(tag dataitem.Tag) bool {
			return tag.Name == filter.Name && slices.Contains(filter.Values, tag.Value)
		})
		if has == filter.Not {
			return false
		}
	}
	return true
}

// cursor names a record's place in the order. Clients must not look into it.
func cursor(r *Record) string {
	b, _ := json.Marshal([]any{r.Height, r.sequence, r.ID.String()})
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(s string) (sequence uint64, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	var parts []json.RawMessage
	if err == nil {
		err = json.Unmarshal(b, &parts)
	}
	if err == nil && len(parts) != 3 {
		err = errors.New("wrong length")
	}
	if err == nil {
		err = json.Unmarshal(parts[1], &sequence)
	}
	if err != nil {
		return 0, ao.Errorf(ao.CodeInvalid, "after: %.64q is not a cursor of this gateway", s)
	}
	return sequence, nil
}
