package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/raft"
)

// SequencingOptions say how sequencing modes are measured.
type SequencingOptions struct {
	Dir     string
	Seconds float64 // of each load
	Modes   []SequencingMode
	Clients []int
	// Progress is told what is being measured.
	Progress func(string)
}

// Sequencing measures what each mode of sequencing costs on this machine: the
// same signed messages, verified, ordered, signed and flushed. All nodes run
// here, over TLS on loopback and on one disk, which flushes for each of them:
// machines of their own share neither.
func Sequencing(ctx context.Context, o SequencingOptions) (runs []SequencingRun, err error) {
	for i, mode := range o.Modes {
		for _, clients := range o.Clients {
			run := SequencingRun{Mode: mode, Clients: clients}
			o.Progress(run.name())
			dir := filepath.Join(o.Dir, fmt.Sprintf("%d-%d", i, clients))
			run.Rate, err = sequencingRate(ctx, dir, mode, Load{Clients: clients, Processes: 64, Seconds: o.Seconds})
			if err != nil {
				return nil, fmt.Errorf("measure %s: %w", run.name(), err)
			}
			runs = append(runs, run)
			if err := os.RemoveAll(dir); err != nil {
				return nil, err
			}
		}
	}
	return runs, nil
}

func sequencingRate(ctx context.Context, dir string, mode SequencingMode, load Load) (rate Rate, err error) {
	nodes, stop, err := openVoters(ctx, dir, mode.Nodes)
	if err != nil {
		return rate, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	user, err := dataitem.GenerateSigner(dataitem.Ed25519, rand.Reader)
	if err != nil {
		return rate, err
	}
	items, err := signedMessages(ctx, nodes[0], user, load, mode.Tag)
	if err != nil {
		return rate, err
	}
	// Half of the clients of three nodes, and more of five, are at a node that
	// does not lead their process, as behind any load balancer.
	return load.drive(ctx, func(ctx context.Context, client int, i uint64) error {
		if i >= uint64(len(items)) {
			return errors.New("ran out of messages that were signed beforehand")
		}
		_, _, err := nodes[client%len(nodes)].Append(ctx, log.Proposal{Item: items[i]})
		return err
	})
}

// openVoters opens nodes that replicate a log among them, and gives what closes
// them.
func openVoters(ctx context.Context, dir string, count int) (nodes []*raft.Node, stop func() error, err error) {
	signer, err := dataitem.GenerateSigner(dataitem.Ethereum, rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	return openVotersWith(ctx, dir, count, raft.Options{Signer: signer})
}

// openVotersWith is openVoters with options that all nodes share.
func openVotersWith(ctx context.Context, dir string, count int, shared raft.Options) (nodes []*raft.Node, stop func() error, err error) {
	if count == 1 {
		shared.Dir = dir
		n, err := raft.Open(ctx, shared)
		if err != nil {
			return nil, nil, err
		}
		return []*raft.Node{n}, n.Close, nil
	}
	transports, ids, err := openTransports(dir, count)
	if err != nil {
		return nil, nil, err
	}
	operators, addresses, err := operatorsOf(ids)
	if err != nil {
		return nil, nil, err
	}
	nodes = make([]*raft.Node, count)
	failures := make([]error, count)
	var wait sync.WaitGroup
	for i, id := range ids {
		wait.Go(func() {
			o := shared
			o.Dir, o.Self, o.Voters, o.Transport = filepath.Join(dir, id), id, ids, transports[i]
			o.Operator, o.Operators = operators[i], addresses
			nodes[i], failures[i] = raft.Open(ctx, o)
		})
	}
	wait.Wait()
	stop = func() error {
		var errs []error
		for i, n := range nodes {
			if n != nil {
				errs = append(errs, n.Close())
			}
			errs = append(errs, transports[i].Close())
		}
		return errors.Join(errs...)
	}
	if err := errors.Join(failures...); err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return nodes, stop, nil
}

// operatorsOf makes a key for each node's operator.
func operatorsOf(ids []string) (operators []dataitem.Signer, addresses map[string]ao.ID, err error) {
	addresses = map[string]ao.ID{}
	for _, id := range ids {
		operator, err := dataitem.GenerateSigner(dataitem.Ethereum, rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		operators, addresses[id] = append(operators, operator), dataitem.AddressOf(operator.Owner())
	}
	return operators, addresses, nil
}

func openTransports(dir string, count int) (transports []*raft.Transport, ids []string, err error) {
	authority, err := createAuthority(filepath.Join(dir, "ca"))
	if err != nil {
		return nil, nil, err
	}
	addresses := map[string]string{}
	listeners := make([]net.Listener, count)
	for i := range count {
		id := fmt.Sprintf("n%d", i+1)
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, nil, err
		}
		ids, addresses[id] = append(ids, id), listeners[i].Addr().String()
	}
	for i, id := range ids {
		own := filepath.Join(dir, "ca", id)
		if err := authority.Issue(own, id, time.Now()); err != nil {
			return nil, nil, err
		}
		credentials, err := raft.LoadCredentials(own, time.Now)
		if err != nil {
			return nil, nil, err
		}
		transports = append(transports, raft.NewTransport(raft.TransportOptions{
			Self: id, Peers: ids, Listener: credentials.Listener(listeners[i]), Identify: credentials.Identify,
			Dial: func(ctx context.Context, node string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, "tcp", addresses[node])
				if err != nil {
					return nil, err
				}
				return credentials.Client(conn), nil
			},
		}))
	}
	return transports, ids, nil
}

func createAuthority(dir string) (*raft.Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return raft.CreateAuthority(dir, "bench", time.Now())
}
