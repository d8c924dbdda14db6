package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"math/big"
	"strconv"
	"strings"

	"github.com/graph-gophers/graphql-go"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

const pageDefault = 10

type rootResolver struct{ g *Gateway }

type rangeFilter struct{ Min, Max *int32 }

type tagFilterInput struct {
	Name   string
	Values []string
	Op     *string
	Match  *string
}

type transactionsInput struct {
	IDs        *[]graphql.ID
	Owners     *[]string
	Recipients *[]string
	Tags       *[]tagFilterInput
	BundledIn  *[]graphql.ID
	Parent     *[]graphql.ID
	Block      *rangeFilter
	First      *int32
	After      *string
	Sort       *string
}

// Transaction resolves one id.
func (r *rootResolver) Transaction(ctx context.Context, in struct{ ID graphql.ID }) (*transactionResolver, error) {
	id, err := ao.ParseID(string(in.ID))
	if err != nil {
		return nil, nil
	}
	record, err := r.g.Lookup(ctx, id)
	if err != nil {
		if ao.CodeOf(err) == ao.CodeNotFound {
			return nil, nil
		}
		return nil, r.shown(err)
	}
	return r.g.resolve(&record), nil
}

// Transactions resolves a page.
func (r *rootResolver) Transactions(ctx context.Context, in transactionsInput) (*transactionConnection, error) {
	q := Query{First: page(in.First), Ascending: ascending(in.Sort)}
	if in.After != nil {
		q.After = *in.After
	}
	q.IDs = q.ids(texts(in.IDs))
	q.Owners = q.ids(deref(in.Owners))
	q.Recipients = q.ids(deref(in.Recipients))
	q.BundledIn = q.ids(append(texts(in.BundledIn), texts(in.Parent)...))
	for _, tag := range deref(in.Tags) {
		q.Tags = append(q.Tags, TagFilter{Name: tag.Name, Values: tag.Values, Not: tag.Op != nil && *tag.Op == "NEQ"})
		q.nothing = q.nothing || (len(tag.Values) == 0 && !q.Tags[len(q.Tags)-1].Not)
	}
	if in.Block != nil {
		q.HeightMin, q.HeightMax = in.Block.heights()
	}
	found, err := r.g.Find(ctx, q)
	if err != nil {
		return nil, r.shown(err)
	}
	c := &transactionConnection{PageInfo: pageInfo{found.HasNext}, Edges: make([]transactionEdge, len(found.Records))}
	for i, record := range found.Records {
		c.Edges[i] = transactionEdge{Cursor: cursor(record), Node: r.g.resolve(record)}
	}
	return c, nil
}

// shown keeps internal causes out of answers.
func (r *rootResolver) shown(err error) error {
	if _, ok := errors.AsType[*ao.Error](err); ok || errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return ao.Errorf(ao.CodeTimeout, "the query took longer than %s: narrow it by ids, owners, recipients or tags", queryTimeMax)
	}
	r.g.options.Logger.Error().Err(err).Msg("GraphQL query failed")
	return errors.New("the gateway's store could not be read")
}

// ids reads ids or addresses. Text that is neither matches nothing, and when
// nothing else is left, neither does the query.
func (q *Query) ids(texts []string) []ao.ID {
	var ids []ao.ID
	for _, text := range texts {
		if id, err := ao.ParseID(text); err == nil {
			ids = append(ids, id)
		}
	}
	q.nothing = q.nothing || (len(texts) > 0 && len(ids) == 0)
	return ids
}

func (f *rangeFilter) heights() (low, high *uint64) {
	bound := func(n *int32) *uint64 {
		if n == nil {
			return nil
		}
		height := uint64(max(*n, 0))
		return &height
	}
	// A negative upper bound is below every block; the first block is above 0.
	return bound(f.Min), bound(f.Max)
}

func page(first *int32) int {
	if first == nil {
		return pageDefault
	}
	return min(max(int(*first), 0), PageMax)
}

func ascending(sort *string) bool { return sort != nil && strings.HasSuffix(*sort, "_ASC") }

func texts(ids *[]graphql.ID) []string {
	all := make([]string, 0, len(deref(ids)))
	for _, id := range deref(ids) {
		all = append(all, string(id))
	}
	return all
}

func deref[V any](list *[]V) []V {
	if list == nil {
		return nil
	}
	return *list
}

type pageInfo struct{ HasNextPage bool }

type transactionConnection struct {
	PageInfo pageInfo
	Edges    []transactionEdge
	Count    *string
}

type transactionEdge struct {
	Cursor string
	Node   *transactionResolver
}

type transactionResolver struct {
	ID         graphql.ID
	Anchor     string
	Signature  string
	Recipient  string
	Owner      ownerResolver
	Fee        amountResolver
	Quantity   amountResolver
	Data       metaResolver
	Tags       []dataitem.Tag
	IngestedAt *int32 `graphql:"ingested_at"`
	Block      *blockResolver
	Parent     *carrierResolver
	BundledIn  *carrierResolver
}

type ownerResolver struct{ Address, Key string }
type amountResolver struct{ Winston, AR string }
type carrierResolver struct{ ID graphql.ID }

type metaResolver struct {
	Size string
	Type *string
}

func (g *Gateway) resolve(r *Record) *transactionResolver {
	seconds := int32(r.ingestedMS / 1000)
	t := &transactionResolver{
		ID:         graphql.ID(r.ID.String()),
		Anchor:     base64.RawURLEncoding.EncodeToString(r.Anchor),
		Signature:  base64.RawURLEncoding.EncodeToString(r.Signature),
		Recipient:  idText(r.Target),
		Owner:      ownerResolver{idText(r.Owner), base64.RawURLEncoding.EncodeToString(r.OwnerKey)},
		Fee:        inWinston("0"),
		Quantity:   inWinston("0"),
		Data:       metaResolver{Size: strconv.FormatUint(r.DataSize, 10)},
		Tags:       r.Tags,
		IngestedAt: &seconds,
	}
	if r.ContentType != "" {
		t.Data.Type = &r.ContentType
	}
	if r.Tx != nil {
		t.Fee, t.Quantity = inWinston(r.Tx.Reward), inWinston(r.Tx.Quantity)
	}
	if block, ok := g.chain.block(r.Height); ok {
		t.Block = resolveBlock(block)
	}
	if !r.BundledIn.IsZero() {
		t.BundledIn = &carrierResolver{graphql.ID(r.BundledIn.String())}
		t.Parent = t.BundledIn
	}
	return t
}

// inWinston shows an amount also in AR, which is 10^12 winston.
func inWinston(winston string) amountResolver {
	n, ok := new(big.Int).SetString(winston, 10)
	if !ok {
		n = new(big.Int)
	}
	return amountResolver{n.String(), new(big.Rat).SetFrac(n, big.NewInt(1e12)).FloatString(12)}
}

func idText(id ao.ID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}
