package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/raft"
)

// Cluster says of which nodes this one is. All of them replicate the log.
type Cluster struct {
	Name    string
	Self    string
	Members []Member
	// CredentialsDir holds what cluster init made for this node.
	CredentialsDir string
	// WalletDir holds the cluster's scheduler and authority keys.
	WalletDir string
}

// Member is one node of a cluster.
type Member struct {
	ID      string `json:"id" yaml:"id"`
	Address string `json:"address" yaml:"address"` // host:port that the other nodes reach
}

func (c *Cluster) ids() []string {
	ids := make([]string, len(c.Members))
	for i, member := range c.Members {
		ids[i] = member.ID
	}
	return ids
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
	if n := len(c.Members); n != 1 && n != 3 && n != 5 {
		return fmt.Errorf("a cluster of %d nodes: use 3 or 5, of which 1 or 2 may be lost", n)
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
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.address(node))
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

// effectFate is what became of an effect at the node that delivers it.
type effectFate struct {
	Done  bool   `json:"done,omitempty"`
	Dead  bool   `json:"dead,omitempty"`
	Error string `json:"error,omitempty"`
}

// answerOutbox says what became of effects: a list of keys in, a list of fates
// out. Of what this node has not evaluated yet it knows nothing.
func (n *Node) answerOutbox(_ context.Context, _ string, body []byte) ([]byte, error) {
	var keys []engine.EffectKey
	if err := json.Unmarshal(body, &keys); err != nil {
		return nil, ao.Errorf(ao.CodeInvalid, "a list of effects: %w", err)
	}
	fates := make([]effectFate, len(keys))
	for i, key := range keys {
		effects, done, err := n.engine.Outbox().Effects(key.Process, key.Nonce)
		if err != nil {
			return nil, err
		}
		for j, effect := range effects {
			if effect.Index == key.Index {
				fates[i] = effectFate{done[j], effect.Dead, effect.Error}
			}
		}
	}
	return json.Marshal(fates)
}

const (
	// reconcileInterval is how old this node's picture of what others delivered
	// may be: as much is delivered again after a fail-over, and recognised.
	reconcileInterval = 500 * time.Millisecond
	reconcilePage     = 256
)

func (n *Node) reconcileForever(ctx context.Context) {
	ticker := time.NewTicker(reconcileInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := n.reconcile(ctx); err != nil && ctx.Err() == nil {
				n.options.Logger.Debug().Err(err).Msg("what other nodes delivered is not known yet")
			}
		case <-ctx.Done():
			return
		}
	}
}

// reconcile takes out of the outbox what the leaders of the groups have
// delivered, or given up.
func (n *Node) reconcile(ctx context.Context) error {
	var after engine.EffectKey
	for {
		page, err := n.engine.Outbox().Pending(ctx, after, reconcilePage)
		if err != nil {
			return err
		}
		byLeader := map[string][]engine.Effect{}
		for _, effect := range page {
			after = effect.Key()
			if leader := n.log.Leader(effect.Process); leader != "" && leader != n.options.Cluster.Self {
				byLeader[leader] = append(byLeader[leader], effect)
			}
		}
		for leader, effects := range byLeader {
			if err := n.reconcileWith(ctx, leader, effects); err != nil {
				return err
			}
		}
		if len(page) < reconcilePage {
			return nil
		}
	}
}

func (n *Node) reconcileWith(ctx context.Context, leader string, effects []engine.Effect) error {
	keys := make([]engine.EffectKey, len(effects))
	for i, effect := range effects {
		keys[i] = effect.Key()
	}
	body, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, itemTimeout)
	defer cancel()
	answer, err := n.transport.Call(ctx, leader, callOutbox, body)
	if err != nil {
		return err
	}
	var fates []effectFate
	if err := json.Unmarshal(answer, &fates); err != nil || len(fates) != len(effects) {
		return fmt.Errorf("node %s answered %d fates of %d effects: %w", leader, len(fates), len(effects), err)
	}
	for i, fate := range fates {
		effect := effects[i]
		switch {
		case fate.Done:
			err = n.engine.Outbox().Complete(effect)
		case fate.Dead:
			effect.Dead, effect.Error = true, fate.Error
			err = n.engine.Outbox().Update(effect)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ClusterStatus is every node of the cluster as it sees itself.
type ClusterStatus struct {
	Name  string       `json:"name"`
	Nodes []NodeStatus `json:"nodes"`
}

// NodeStatus is one node with its groups.
type NodeStatus struct {
	ID      string             `json:"id"`
	Address string             `json:"address"`
	Version string             `json:"version,omitempty"`
	URLs    URLs               `json:"urls"`
	Groups  []raft.GroupStatus `json:"groups"`
	Engine  EngineStatus       `json:"engine"`
	// Error says why nothing more is known of the node.
	Error string `json:"error,omitempty"`
}

func (n *Node) nodeStatus() NodeStatus {
	info := n.Info()
	status := NodeStatus{ID: info.Node, Version: info.Version, URLs: info.URLs, Groups: n.log.Status(), Engine: info.Engine}
	if n.options.Cluster != nil {
		status.Address = n.options.Cluster.address(info.Node)
	}
	return status
}

func (n *Node) answerStatus(context.Context, string, []byte) ([]byte, error) {
	return json.Marshal(n.nodeStatus())
}

// serveRepair runs raft's repair and reports its steps, one a line, as they happen.
func (n *Node) serveRepair(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	controller := http.NewResponseController(w)
	say := func(line string) {
		fmt.Fprintln(w, line)
		_ = controller.Flush()
	}
	if err := n.log.Repair(r.Context(), r.URL.Query().Get("node"), say); err != nil {
		say("error: " + err.Error())
		return
	}
	say("done")
}

// serveTransfer has another node lead a group.
func (n *Node) serveTransfer(w http.ResponseWriter, r *http.Request) {
	group, err := strconv.ParseUint(r.URL.Query().Get("group"), 10, 32)
	if err == nil {
		err = n.log.TransferLead(r.Context(), uint32(group), r.URL.Query().Get("node"))
	}
	if err != nil {
		answer(w, http.StatusBadRequest, "error: "+err.Error()+"\n")
		return
	}
	answer(w, http.StatusOK, "done\n")
}

// statusTimeout bounds how long a node is waited for.
const statusTimeout = 2 * time.Second

// ClusterStatus asks every node how it is.
func (n *Node) ClusterStatus(ctx context.Context) ClusterStatus {
	c := n.options.Cluster
	if c == nil {
		return ClusterStatus{Nodes: []NodeStatus{n.nodeStatus()}}
	}
	status := ClusterStatus{Name: c.Name, Nodes: make([]NodeStatus, len(c.Members))}
	var wait sync.WaitGroup
	for i, member := range c.Members {
		wait.Go(func() { status.Nodes[i] = n.statusOf(ctx, member) })
	}
	wait.Wait()
	return status
}

func (n *Node) statusOf(ctx context.Context, member Member) NodeStatus {
	if member.ID == n.options.Cluster.Self {
		return n.nodeStatus()
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	status := NodeStatus{ID: member.ID, Address: member.Address}
	b, err := n.transport.Call(ctx, member.ID, callStatus, nil)
	if err == nil {
		err = json.Unmarshal(b, &status)
	}
	if err != nil {
		status.Error = err.Error()
	}
	return status
}
