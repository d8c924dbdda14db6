package node

import (
	"context"
	"net/http"
	"net/url"

	"github.com/wallaby-ao/wallaby/courier"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/guard"
)

// openCourier gives the node its two ways out: to gateways, which its operator
// has named, and to schedulers, whose URLs anybody may have published.
func (n *Node) openCourier(context.Context) error {
	named := guard.Options{Allow: n.options.AllowAddresses}
	for _, text := range n.options.Gateways {
		if u, err := url.Parse(text); err == nil {
			named.Hosts = append(named.Hosts, guard.Host(u))
		}
	}
	gateways := n.outbound(named)
	var upstream []courier.Source
	for _, text := range n.options.Gateways {
		remote, err := courier.NewRemote(text, gateways)
		if err != nil {
			return err
		}
		upstream = append(upstream, remote)
	}
	owner := n.scheduler.Owner()
	n.courier = courier.New(courier.Options{
		Own:      []string{dataitem.AddressOf(owner).String(), dataitem.NativeAddress(owner)},
		Local:    courier.Embedded{Gateway: n.gateway},
		Upstream: upstream,
		// A scheduler that is a router answers with the one that has the process.
		HTTP: n.outbound(guard.Options{Allow: n.options.AllowAddresses, RedirectsMax: 1}),
		Now:  n.options.Now,
	})
	return nil
}

func (n *Node) outbound(o guard.Options) *http.Client {
	client := guard.NewClient(o)
	n.onClose("outbound connections", func(context.Context) error { client.CloseIdleConnections(); return nil })
	return client
}
