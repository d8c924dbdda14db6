package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
)

// etcd is three embedded members with default settings: they flush their log
// before they answer. An append is a put of a key that was not there before, by
// the leader's own client in this process, which spares etcd the gRPC that its
// users have.
type etcd struct {
	members [nodes]*embed.Etcd
	client  *clientv3.Client
}

func openEtcd(ctx context.Context, o options) (peer, error) {
	addresses, err := freeAddresses(2 * nodes)
	if err != nil {
		return nil, err
	}
	var initial []string
	for i := range nodes {
		initial = append(initial, fmt.Sprintf("n%d=http://%s", i+1, addresses[i]))
	}
	e := &etcd{}
	for i := range nodes {
		config := embed.NewConfig()
		config.Name = fmt.Sprintf("n%d", i+1)
		config.Dir = filepath.Join(o.dir, config.Name)
		// Its only words are errors about connections that it closes at the end.
		config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
		config.ListenPeerUrls, config.AdvertisePeerUrls = urls(addresses[i]), urls(addresses[i])
		config.ListenClientUrls, config.AdvertiseClientUrls = urls(addresses[nodes+i]), urls(addresses[nodes+i])
		config.InitialCluster = strings.Join(initial, ",")
		// The default of 2 GiB may fill up in a long run.
		config.QuotaBackendBytes = 8 << 30
		if e.members[i], err = embed.StartEtcd(config); err != nil {
			return nil, errors.Join(err, e.close())
		}
	}
	err = until(ctx, "a leader", func() bool {
		for _, m := range e.members {
			if m.Server.Leader() == m.Server.MemberID() && e.client == nil {
				e.client = v3client.New(m.Server)
			}
		}
		return e.client != nil
	})
	if err == nil {
		first, cancel := context.WithTimeout(ctx, startTimeout)
		defer cancel()
		_, err = e.client.Put(first, "first", "")
	}
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

func urls(address string) []url.URL { return []url.URL{{Scheme: "http", Host: address}} }

func (e *etcd) append(ctx context.Context, _ int, payload []byte) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err := e.client.Put(ctx, fmt.Sprintf("%x", payload[:8]), string(payload))
	return err
}

func (e *etcd) close() error {
	if e.client != nil {
		_ = e.client.Close() // its error says that it is closed
	}
	for _, m := range e.members {
		if m != nil {
			m.Close()
		}
	}
	return nil
}
