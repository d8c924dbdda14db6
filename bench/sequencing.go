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

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/raft"
)

// SequencingOptions say how sequencing modes are measured.
type SequencingOptions struct {
	Dir     string
	Seconds float64 // of each load
	Voters  []int   // how many nodes replicate the log: 1 is solo
	Clients []int
	// Progress is told what is being measured.
	Progress func(string)
}

// Sequencing measures what each mode of sequencing costs on this machine: the
// same signed messages, verified, ordered, signed and flushed by one node, by
// three and by five. All nodes run here, over TLS on loopback and on one disk,
// which flushes for each of them: machines of their own share neither.
func Sequencing(ctx context.Context, o SequencingOptions) (rows []Row, err error) {
	solo := map[int]Rate{}
	for _, voters := range o.Voters {
		for _, clients := range o.Clients {
			name := fmt.Sprintf("%s, %d clients", modeName(voters), clients)
			o.Progress(name)
			dir := filepath.Join(o.Dir, fmt.Sprintf("%d-%d", voters, clients))
			rate, err := sequencingRate(ctx, dir, voters, Load{Clients: clients, Processes: 64, Seconds: o.Seconds})
			if err != nil {
				return nil, fmt.Errorf("measure %s: %w", name, err)
			}
			if voters == 1 {
				solo[clients] = rate
			}
			peer := ""
			if voters > 1 && solo[clients].PerSecond > 0 {
				peer = modeName(1)
			}
			rows = append(rows,
				Higher(name, "messages acknowledged", "1/s", rate.PerSecond, peer, solo[clients].PerSecond),
				Lower(name, "median", "ms", rate.MedianMS, peer, solo[clients].MedianMS),
				Lower(name, "99th percentile", "ms", rate.Percentile99, peer, solo[clients].Percentile99))
			if err := os.RemoveAll(dir); err != nil {
				return nil, err
			}
		}
	}
	return rows, nil
}

func modeName(voters int) string {
	if voters == 1 {
		return "solo"
	}
	return fmt.Sprintf("raft:%d", voters)
}

func sequencingRate(ctx context.Context, dir string, voters int, load Load) (rate Rate, err error) {
	nodes, stop, err := openVoters(ctx, dir, voters)
	if err != nil {
		return rate, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	user, err := dataitem.GenerateSigner(dataitem.Ed25519, rand.Reader)
	if err != nil {
		return rate, err
	}
	items, err := signedMessages(ctx, nodes[0], user, load)
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
	nodes = make([]*raft.Node, count)
	failures := make([]error, count)
	var wait sync.WaitGroup
	for i, id := range ids {
		wait.Go(func() {
			o := shared
			o.Dir, o.Self, o.Voters, o.Transport = filepath.Join(dir, id), id, ids, transports[i]
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
