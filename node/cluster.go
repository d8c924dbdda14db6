package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/raft"
)

// Cluster says of which nodes this one is. All of them replicate the log.
type Cluster struct {
	Name    string
	Self    string
	Members []Member
	// Founders are the ids of the nodes that the cluster began with; default all.
	Founders []string
	// Mode orders processes that do not choose; default: all nodes are voters. It
	// must be the same on all nodes.
	Mode aolog.Mode
	// Chain is when the blocks of all nodes' gateways come; without one each node
	// has blocks of its own, and crons that count blocks never come.
	Chain Chain
	// CredentialsDir holds what cluster init made for this node.
	CredentialsDir string
	// WalletDir holds the cluster's scheduler and authority keys.
	WalletDir string
}

// Chain says when blocks come.
type Chain struct {
	GenesisMS  int64 `yaml:"genesis-ms"`
	IntervalMS int64 `yaml:"interval-ms"`
}

// chainIntervalMS is Arweave's.
const chainIntervalMS = 120_000

// Member is one node of a cluster.
type Member struct {
	ID      string `json:"id" yaml:"id"`
	Address string `json:"address" yaml:"address"` // host:port that the other nodes reach
	// Operator is the address of the key that this node's operator has alone, for
	// cosigned processes.
	Operator ao.ID `json:"operator" yaml:"operator,omitempty"`
}

// operators gives the operators' addresses, by node; empty unless all have one.
func (c *Cluster) operators() map[string]ao.ID {
	operators := map[string]ao.ID{}
	for _, member := range c.Members {
		if member.Operator.IsZero() {
			return nil
		}
		operators[member.ID] = member.Operator
	}
	return operators
}

func (c *Cluster) ids() []string {
	ids := make([]string, len(c.Members))
	for i, member := range c.Members {
		ids[i] = member.ID
	}
	return ids
}

// founders are the nodes that the cluster began with.
func (c *Cluster) founders() []string {
	if len(c.Founders) > 0 {
		return c.Founders
	}
	return c.ids()
}

func (c *Cluster) address(id string) string {
	for _, member := range c.Members {
		if member.ID == id {
			return member.Address
		}
	}
	return ""
}

func (c *Cluster) check() error {
	if c.address(c.Self) == "" {
		return fmt.Errorf("node %q is none of the cluster's nodes %v", c.Self, c.ids())
	}
	if n := len(c.founders()); n != 1 && n != 3 && n != 5 {
		return fmt.Errorf("a cluster that begins with %d nodes: use 3 or 5, of which 1 or 2 may be lost", n)
	}
	ids := slices.Sorted(slices.Values(c.ids()))
	if len(slices.Compact(ids)) != len(c.Members) {
		return fmt.Errorf("two of the cluster's nodes have the same id: %v", c.ids())
	}
	return nil
}

// What nodes ask of each other beside what the log does.
const (
	callItem = raft.CallFirst + iota
	callOutbox
	callStatus
	callOutboxOrder
	callPush
	callTx
	callSettled
)

// openTransport listens for the other nodes.
func (n *Node) openTransport(context.Context) error {
	c := n.options.Cluster
	if c == nil || len(c.Members) == 1 {
		return nil
	}
	credentials, err := raft.LoadCredentials(c.CredentialsDir, n.options.Now)
	if err != nil {
		return fmt.Errorf("%w: wallaby cluster init makes them", err)
	}
	if credentials.Node() != c.Self {
		return fmt.Errorf("the credentials in %s are those of node %s, and this is node %s", c.CredentialsDir, credentials.Node(), c.Self)
	}
	address := c.address(c.Self)
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %s for the other nodes is in use: stop what uses it, or give node %s another address", address, c.Self)
	}
	if err != nil {
		return fmt.Errorf("listen for the other nodes on %s: %w", address, err)
	}
	n.transport = raft.NewTransport(raft.TransportOptions{
		Self: c.Self, Peers: c.ids(), Listener: credentials.Listener(listener), Identify: credentials.Identify,
		Dial: func(ctx context.Context, node string) (net.Conn, error) {
			address := c.address(node)
			if address == "" {
				address = n.transport.Address(node)
			}
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err != nil {
				return nil, err
			}
			return credentials.Client(conn), nil
		},
		Logger: n.options.Logger.With().Str("pkg", "transport").Logger(),
	})
	n.onClose("connections to other nodes", func(context.Context) error { return n.transport.Close() })
	return nil
}

// openCluster answers the other nodes, and keeps this one's outbox in step with
// what they deliver.
func (n *Node) openCluster(ctx context.Context) error {
	if n.transport == nil {
		return nil
	}
	n.transport.Handle(callItem, n.answerItem)
	n.transport.Handle(callOutbox, n.answerOutbox)
	n.transport.Handle(callStatus, n.answerStatus)
	n.transport.Handle(callOutboxOrder, n.answerOutboxOrder)
	n.transport.Handle(callPush, n.answerPush)
	n.transport.Handle(callTx, n.answerTx)
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			select {
			case <-n.log.LeadChanged():
				n.messenger.Wake()
			case <-background.Done():
				return
			}
		}
	})
	wait.Go(func() { n.reconcileForever(background) })
	n.onClose("cluster", func(context.Context) error {
		cancel()
		wait.Wait()
		return nil
	})
	return nil
}

// peerItems finds items at the other nodes, such as modules that were published
// there.
type peerItems struct{ node *Node }

// itemTimeout bounds how long one node is asked for an item.
const itemTimeout = 10 * time.Second

// Item asks one node after the other, and believes none: the item must be whole.
func (p peerItems) Item(ctx context.Context, id ao.ID) (*dataitem.Item, error) {
	for _, peer := range p.node.options.Cluster.ids() {
		if !p.node.transport.Connected(peer) {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, itemTimeout)
		b, err := p.node.transport.Call(ctx, peer, callItem, id[:])
		cancel()
		if err != nil {
			continue
		}
		item, err := dataitem.Parse(b)
		if err == nil && item.ID() == id && item.Verify() == nil {
			return item, nil
		}
	}
	return nil, ao.Errorf(ao.CodeNotFound, "item %s is at none of the nodes that can be reached", id)
}

// answerItem gives an item that this node itself has.
func (n *Node) answerItem(ctx context.Context, _ string, body []byte) ([]byte, error) {
	if len(body) != len(ao.ID{}) {
		return nil, ao.Errorf(ao.CodeInvalid, "an id of %d bytes", len(body))
	}
	item, err := n.gateway.StoredItem(ctx, ao.ID(body))
	if err != nil {
		return nil, err
	}
	return item.Bytes(), nil
}
