package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsPeer is a JetStream stream with three replicas and files that are flushed
// before each answer (sync always). Its clients are connected to the server that
// leads the stream, and publish one message after the other.
type natsPeer struct {
	servers [nodes]*server.Server
	conns   []*nats.Conn
	streams []jetstream.JetStream
}

// connsMax is how many connections the clients share: more only cost NATS more
// system calls.
const connsMax = 8

func openNATS(ctx context.Context, o options) (peer, error) {
	addresses, err := freeAddresses(nodes)
	if err != nil {
		return nil, err
	}
	var routes []*url.URL
	for _, address := range addresses {
		routes = append(routes, &url.URL{Scheme: "nats", Host: address})
	}
	p := &natsPeer{}
	for i, route := range routes {
		if err := p.start(i, o.dir, route, routes); err != nil {
			return nil, errors.Join(err, p.close())
		}
	}
	if err := p.openStream(ctx, min(o.clients, connsMax)); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *natsPeer) start(i int, dir string, route *url.URL, routes []*url.URL) error {
	port, err := net.LookupPort("tcp", route.Port())
	if err != nil {
		return err
	}
	name := fmt.Sprintf("n%d", i+1)
	s, err := server.NewServer(&server.Options{
		ServerName: name, Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: filepath.Join(dir, name), SyncAlways: true,
		JetStreamMaxMemory: 1 << 30, JetStreamMaxStore: 64 << 30,
		Cluster: server.ClusterOpts{Name: "bench", Host: "127.0.0.1", Port: port}, Routes: routes,
	})
	if err != nil {
		return err
	}
	p.servers[i] = s
	s.Start()
	return nil
}

// openStream makes the stream and connects to the server that leads it.
func (p *natsPeer) openStream(ctx context.Context, conns int) error {
	for _, s := range p.servers {
		if !s.ReadyForConnections(startTimeout) {
			return errors.New("a server is not ready for connections")
		}
	}
	conn, err := nats.Connect(p.servers[0].ClientURL())
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	var (
		stream jetstream.Stream
		last   error
	)
	// Until the servers have met, none can place three replicas.
	err = until(ctx, "a stream", func() bool {
		once, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		stream, last = js.CreateStream(once, jetstream.StreamConfig{
			Name: "bench", Subjects: []string{"bench.>"}, Storage: jetstream.FileStorage, Replicas: nodes,
		})
		return last == nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	leader := ""
	err = until(ctx, "the stream's leader", func() bool {
		info, err := stream.Info(ctx)
		if err == nil && info.Cluster != nil {
			leader = info.Cluster.Leader
		}
		return leader != ""
	})
	if err != nil {
		return err
	}
	for _, s := range p.servers {
		if s.Name() == leader {
			return p.connect(s.ClientURL(), conns)
		}
	}
	return fmt.Errorf("the stream's leader %s is none of the servers", leader)
}

func (p *natsPeer) connect(address string, count int) error {
	for range count {
		conn, err := nats.Connect(address)
		if err != nil {
			return err
		}
		p.conns = append(p.conns, conn)
		js, err := jetstream.New(conn)
		if err != nil {
			return err
		}
		p.streams = append(p.streams, js)
	}
	return nil
}

func (p *natsPeer) append(ctx context.Context, client int, payload []byte) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err := p.streams[client%len(p.streams)].Publish(ctx, fmt.Sprintf("bench.%d", client%64), payload)
	return err
}

func (p *natsPeer) close() error {
	for _, conn := range p.conns {
		conn.Close()
	}
	for _, s := range p.servers {
		if s != nil {
			s.Shutdown()
			s.WaitForShutdown()
		}
	}
	return nil
}
