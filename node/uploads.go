package node

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
	aohttp "github.com/wallaby-ao/wallaby/http"
	"github.com/wallaby-ao/wallaby/internal/guard"
	"github.com/wallaby-ao/wallaby/settlement"
)

// Settlement says where a node settles its log beside its own gateway.
type Settlement struct {
	// To is the URL of a bundler, or of an Arweave node if there is a Wallet; "": the
	// log is settled nowhere else.
	To string
	// Gateway is the URL at which what was uploaded is looked for; default To.
	Gateway string
	// Wallet is the file of an RSA key that pays for bundles of the node's own.
	Wallet string
	// Depth is how many blocks deep something must lie; default 18.
	Depth uint64
	// Timing is for tests.
	Timing settlement.Timing
}

func (s Settlement) check() error {
	for what, text := range map[string]string{"settle-to": s.To, "settle-gateway": s.Gateway} {
		if u, err := url.Parse(text); text != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			return fmt.Errorf("%s %q is no http URL such as https://up.arweave.net", what, text)
		}
	}
	if s.To == "" && (s.Gateway != "" || s.Wallet != "") {
		return errors.New("settlement: say where to, with settle-to")
	}
	return nil
}

const (
	// weaveAnswerBytesMax bounds what is read back at once: a bundle, or a module.
	weaveAnswerBytesMax = 256 << 20
	weaveTimeoutMS      = 600_000
)

// weaveClient reaches a gateway or bundler that the operator has named.
func weaveClient(text string, o guard.Options) *http.Client {
	if u, err := url.Parse(text); err == nil {
		o.Hosts = append(o.Hosts, guard.Host(u))
	}
	o.AnswerBytesMax, o.TimeoutMS = weaveAnswerBytesMax, weaveTimeoutMS
	return guard.NewClient(o)
}

// named is a client of a gateway that the operator has named.
func (n *Node) named(text string) *arweave.Client {
	client := weaveClient(text, guard.Options{Allow: n.options.AllowAddresses})
	n.onClose("outbound connections", func(context.Context) error { client.CloseIdleConnections(); return nil })
	return &arweave.Client{BaseURL: text, HTTP: client, AnswerBytesMax: weaveAnswerBytesMax}
}

// openUploads begins to settle the log on the weave, if the operator wants it.
func (n *Node) openUploads(context.Context) error {
	o := n.options.Settlement
	n.archives = map[string]*settlement.Archive{}
	for _, text := range append(slices.Clone(n.options.Gateways), cmp.Or(o.Gateway, o.To)) {
		base := strings.TrimSuffix(strings.TrimRight(text, "/"), "/graphql")
		if _, known := n.archives[base]; base != "" && !known {
			n.archives[base] = settlement.NewArchive(n.named(base))
		}
	}
	if n.transport != nil {
		n.transport.Handle(callSettled, n.answerSettled)
	}
	if o.To == "" {
		return nil
	}
	options := settlement.Options{
		Log: n.log, Store: settlementStore{n.state.DB}, To: n.named(o.To), Depth: o.Depth, Timing: o.Timing,
		Leads: n.log.LeadsGroup, Items: n.ownItem, Module: n.ownModule,
		Now: n.options.Now, Fatal: n.fail, Logger: n.options.Logger.With().Str("pkg", "settlement").Logger(),
	}
	if n.transport != nil {
		options.Ask = n.askSettled
	}
	if o.Gateway != "" {
		options.From = settlement.NewArchive(n.named(o.Gateway))
	}
	if o.Wallet != "" {
		wallet, err := LoadWallet(o.Wallet)
		if err != nil {
			return err
		}
		options.Wallet = wallet
	}
	uploads, err := settlement.Open(options)
	if err != nil {
		return err
	}
	n.uploads.Store(uploads)
	n.onClose("uploads", func(context.Context) error { return uploads.Close() })
	return nil
}

// ownItem gives an item of this node's gateway, or of another node's.
func (n *Node) ownItem(ctx context.Context, id ao.ID) (*dataitem.Item, error) {
	it, err := n.gateway.StoredItem(ctx, id)
	if n.transport == nil || ao.CodeOf(err) != ao.CodeNotFound {
		return it, err
	}
	return peerItems{n}.Item(ctx, id)
}

// ownModule gives the id of a process's module if it was published here. A pinned
// module has no signature that could be settled.
func (n *Node) ownModule(process *dataitem.Item) (ao.ID, bool) {
	id, err := ao.ParseID(process.Tags.Get(ao.TagModule))
	if err == nil {
		_, err = n.gateway.StoredItem(context.Background(), id)
	}
	return id, err == nil
}

// settlementMetrics adds how far settlement is, if there is any.
func (n *Node) settlementMetrics(m *aohttp.Metrics) {
	uploads := n.uploads.Load()
	if uploads == nil {
		return
	}
	gauge := func(name, help string, value func(settlement.Status) uint64) {
		m.Gauge(name, help, func() float64 { return float64(value(uploads.Status())) })
	}
	counter := func(name, help string, value func(settlement.Status) uint64) {
		m.Counter(name, help, func() float64 { return float64(value(uploads.Status())) })
	}
	gauge("wallaby_settlement_committed", "Entries of the log.", func(s settlement.Status) uint64 { return s.Committed })
	gauge("wallaby_settlement_uploaded", "Entries that were uploaded.", func(s settlement.Status) uint64 { return s.Uploaded })
	gauge("wallaby_settlement_confirmed", "Entries that were found on the weave, deep enough and with the right bytes.", func(s settlement.Status) uint64 { return s.Confirmed })
	m.Gauge("wallaby_settlement_waiting_seconds", "Age of the oldest message that is not uploaded.", func() float64 {
		if at := uploads.Status().WaitingMS; at > 0 {
			return float64(n.options.Now().UnixMilli()-at) / 1000
		}
		return 0
	})
	counter("wallaby_settlement_retries_total", "Uploads that were tried again.", func(s settlement.Status) uint64 { return s.Retries })
	counter("wallaby_settlement_again_total", "Uploads that were accepted, lost and made again.", func(s settlement.Status) uint64 { return s.Again })
	counter("wallaby_settlement_wrong_total", "Items that a gateway showed with other bytes.", func(s settlement.Status) uint64 { return s.Wrong })
	counter("wallaby_settlement_refused_total", "Items that are not taken and were left out.", func(s settlement.Status) uint64 { return s.Refused })
}

// askSettled asks the leader of a group how far it is settled.
func (n *Node) askSettled(ctx context.Context, group uint32) (state settlement.State, err error) {
	leader := n.log.GroupLeader(group)
	if leader == "" || leader == n.self() {
		return state, ao.Errorf(ao.CodeUnavailable, "nobody is known to lead group %d", group)
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	b, err := n.transport.Call(ctx, leader, callSettled, binary.BigEndian.AppendUint32(nil, group))
	if err == nil {
		err = json.Unmarshal(b, &state)
	}
	return state, err
}

// answerSettled tells how far a group is settled that this node leads.
func (n *Node) answerSettled(_ context.Context, _ string, body []byte) ([]byte, error) {
	if len(body) != 4 {
		return nil, ao.Errorf(ao.CodeInvalid, "a group of %d bytes", len(body))
	}
	group := binary.BigEndian.Uint32(body)
	uploads := n.uploads.Load()
	if uploads == nil || !n.log.LeadsGroup(group) {
		return nil, ao.Errorf(ao.CodeUnavailable, "this node does not settle group %d", group)
	}
	state, ok := uploads.State(group)
	if !ok {
		return nil, ao.Errorf(ao.CodeNotFound, "this node has no group %d", group)
	}
	return json.Marshal(state)
}

// settlementStore keeps how far settlement is beside the results. If it is lost,
// everything is uploaded once more, which bundlers notice.
type settlementStore struct{ db *badger.DB }

var _ settlement.Store = settlementStore{}

const settlementPrefix = "settlement/"

// Get gives a value.
func (s settlementStore) Get(key string) (value []byte, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get([]byte(settlementPrefix + key))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err == nil {
			value, err = item.ValueCopy(nil)
		}
		return err
	})
	return value, err
}

// Set keeps a value.
func (s settlementStore) Set(key string, value []byte) error {
	return s.db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(settlementPrefix+key), value) })
}

// List calls fn for all keys with a prefix.
func (s settlementStore) List(prefix string, fn func(key string, value []byte) error) error {
	return s.db.View(func(txn *badger.Txn) error {
		settings := badger.DefaultIteratorOptions
		settings.Prefix = []byte(settlementPrefix + prefix)
		iterator := txn.NewIterator(settings)
		defer iterator.Close()
		for iterator.Rewind(); iterator.Valid(); iterator.Next() {
			key := string(iterator.Item().Key()[len(settlementPrefix):])
			if err := iterator.Item().Value(func(value []byte) error { return fn(key, value) }); err != nil {
				return err
			}
		}
		return nil
	})
}
