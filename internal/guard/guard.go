package guard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"
)

// Options bound what a client reaches and what that may cost.
type Options struct {
	// Allow are prefixes that are connected to although they are somebody's own.
	Allow []netip.Prefix
	// Hosts are named by the operator, as host:port, and not checked.
	Hosts []string
	// Resolve gives the addresses of a name; default the system's.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// RedirectsMax is how many redirects one request follows; default 3, below 0
	// none.
	RedirectsMax int
	// TimeoutMS bounds a whole request, with its answer; default 30,000.
	TimeoutMS int64
	// AnswerBytesMax bounds one answer; default 4 MiB.
	AnswerBytesMax int64
}

func (o Options) withDefaults() Options {
	if o.Resolve == nil {
		o.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if o.RedirectsMax == 0 {
		o.RedirectsMax = 3
	}
	if o.TimeoutMS == 0 {
		o.TimeoutMS = 30_000
	}
	if o.AnswerBytesMax == 0 {
		o.AnswerBytesMax = 4 << 20
	}
	return o
}

const (
	connectTimeout    = 10 * time.Second
	idleTimeout       = 30 * time.Second
	headerBytesMax    = 64 << 10
	idlePerHostMax    = 4
	addressesTriedMax = 4
)

// Refusal says why an address is not connected to. It can be shown to anybody.
type Refusal struct {
	Host  string
	Addr  netip.Addr
	What  string // kind of address
	Allow string // value of Setting that would allow it
}

// Error names the address, the reason, and the setting that would allow it.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%s leads to %s, which is %s: only the node's operator can allow that, with --%s %s",
		r.Host, r.Addr, r.What, Setting, r.Allow)
}

// NewClient makes a client that checks every connection. It never uses a proxy,
// which would connect in its stead.
func NewClient(o Options) *http.Client {
	o = o.withDefaults()
	g := &transport{options: o}
	g.http = &http.Transport{
		Proxy:                  nil,
		DialContext:            g.dial,
		DisableCompression:     true, // the bound is for what arrives
		MaxResponseHeaderBytes: headerBytesMax,
		MaxIdleConnsPerHost:    idlePerHostMax,
		IdleConnTimeout:        idleTimeout,
		TLSHandshakeTimeout:    connectTimeout,
	}
	return &http.Client{
		Transport:     g,
		CheckRedirect: g.redirect,
		Timeout:       time.Duration(o.TimeoutMS) * time.Millisecond,
	}
}

// transport checks each request, redirected ones included, before it goes out
// and bounds its answer.
type transport struct {
	options Options
	http    *http.Transport
}

// Host gives what Options.Hosts says of a URL that an operator named.
func Host(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// RoundTrip sends one request.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if err := checkURL(request); err != nil {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return nil, err
	}
	response, err := t.http.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	limit := t.options.AnswerBytesMax
	if response.ContentLength > limit {
		_ = response.Body.Close()
		return nil, tooLarge(limit)
	}
	response.Body = &boundedBody{ReadCloser: response.Body, left: limit, limit: limit}
	return response, nil
}

// CloseIdleConnections is what http.Client calls by the same name.
func (t *transport) CloseIdleConnections() { t.http.CloseIdleConnections() }

func checkURL(request *http.Request) error {
	switch u := request.URL; {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q is neither http nor https", u.Scheme)
	case u.User != nil:
		return errors.New("the URL carries a name or a password, which this node does not send")
	case u.Hostname() == "":
		return errors.New("the URL names no host")
	}
	return nil
}

// redirect bounds the hops and sees to it that a POST stays one: after a 301 to
// 303 it would come back as a GET, and its body would be lost unnoticed.
func (t *transport) redirect(next *http.Request, before []*http.Request) error {
	if limit := max(t.options.RedirectsMax, 0); len(before) > limit {
		return fmt.Errorf("redirected more than %d times", limit)
	}
	if first := before[0].Method; next.Method != first {
		return fmt.Errorf("redirected with a status that makes a %s of the %s", next.Method, first)
	}
	return nil
}

// dial resolves a name once and connects to what it resolved to, so that no
// second answer of a resolver counts.
func (t *transport) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: connectTimeout}
	if slices.Contains(t.options.Hosts, address) {
		return dialer.DialContext(ctx, network, address)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dialer.Control = func(_, address string, _ syscall.RawConn) error { return t.check(host, address) }
	list, err := t.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var failure error
	for _, addr := range list[:min(len(list), addressesTriedMax)] {
		conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(addr.String(), port))
		if err == nil {
			return conn, nil
		}
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			err = refusal // without the words of a failed connection around it
		}
		if failure != nil {
			err = fmt.Errorf("%w; %w", failure, err)
		}
		failure = err
	}
	return nil, failure
}

func (t *transport) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	if isNumber(host) {
		return nil, fmt.Errorf("host %q is a number in an unusual spelling: write four decimals", host)
	}
	list, err := t.options.Resolve(ctx, host)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("host %q has no address", host)
	}
	return list, err
}

// check looks at the address of a socket that is about to connect.
func (t *transport) check(host, address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", host, err)
	}
	if what, allow := reason(at.Addr(), t.options.Allow); what != "" {
		return &Refusal{Host: host, Addr: at.Addr(), What: what, Allow: allow}
	}
	return nil
}

// boundedBody fails when more comes than is allowed.
type boundedBody struct {
	io.ReadCloser
	left, limit int64
}

// Read reads within the bound; one byte more tells an answer of exactly that
// size from a larger one.
func (b *boundedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		n, b.left = int(b.left), 0
		return n, tooLarge(b.limit)
	}
	b.left -= int64(n)
	return n, err
}

func tooLarge(limit int64) error {
	return fmt.Errorf("the answer is larger than %d bytes", limit)
}
