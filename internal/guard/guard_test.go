package guard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret is a server on the node's own machine that nobody may reach.
func secret(t *testing.T) (port string, reached *atomic.Int64) {
	t.Helper()
	reached = new(atomic.Int64)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			reached.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return portOf(t, server.URL), reached
}

func portOf(t *testing.T, text string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// guarded makes a client whose connections are closed with the test.
func guarded(t *testing.T, o Options) *http.Client {
	t.Helper()
	client := NewClient(o)
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func resolvesTo(texts ...string) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) ([]netip.Addr, error) { return addresses(texts...), nil }
}

var loopback4 = prefixes("127.0.0.1/32")

// spellings are hosts that lead to a machine's own or to its operator's network,
// for a resolver that takes every name for 127.0.0.1.
var spellings = []string{
	// The address itself, and what is close to it.
	"127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.255", "127.0.0.1.", "0.0.0.0", "0.0.0.1",
	// Numbers that some resolvers read.
	"127.1", "127.0.1", "2130706433", "0", "1", "017700000001", "0177.0.0.1", "0177.0.0.01", "0x7f.0.0.1", "0x7f000001",
	"0X7F000001", "0x7f.1", "127.0x0.0.1", "0x7f.0x0.0x0.0x1", "127.000.000.001", "127.0.0.01", "00000177.1", "4294967295",
	"256.256.256.256", "127.0.0.1.0x1", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376",
	// Characters that are digits and dots to a browser.
	"１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1", "127．0．0．1", "ｌocalhost",
	// Names.
	"localhost", "LOCALHOST", "localhost.", "foo.localhost", "localhost.localdomain", "ip6-localhost", "localhost6",
	"metadata.google.internal", "instance-data", "127.0.0.1.nip.io", "rebind.example", "a.b.c.d.example.", "xn--n3h.example",
	// IPv6, and IPv4 within it.
	"[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:0:127.0.0.1]",
	"[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2002:a00:1::1]",
	"[2001:0:7f00:1::]", "[fe80::1]", "[fe80::1%25lo]", "[::1%25lo]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[100::1]",
	"[2001:db8::1]", "[3fff::1]", "[::ffff:169.254.169.254]", "[::ffff:10.0.0.1]",
	// Networks of an operator's own, and of nobody.
	"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "169.254.0.1", "100.64.0.1",
	"100.127.255.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
	"192.88.99.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
}

func TestNoSpellingReachesTheNodesOwnMachine(t *testing.T) {
	port, reached := secret(t)
	client := guarded(t, Options{Resolve: resolvesTo("127.0.0.1", "::1")})
	for _, host := range spellings {
		// Besides the port of the secret server there is nothing to be reached.
		response, err := client.Get("http://" + host + ":" + port + "/")
		if err == nil {
			response.Body.Close()
			t.Errorf("%s answered with %d", host, response.StatusCode)
			continue
		}
		_, refused := errors.AsType[*Refusal](err)
		if !refused && !strings.Contains(err.Error(), "unusual spelling") {
			t.Errorf("%s was not refused, but failed: %v", host, err)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d connections reached the server", n)
	}
	if len(spellings) < 60 {
		t.Errorf("%d spellings", len(spellings))
	}
}

func TestARefusalNamesAddressReasonAndSetting(t *testing.T) {
	client := guarded(t, Options{Resolve: resolvesTo("10.1.2.3")})
	_, err := client.Get("http://su.example:4003/")
	for _, want := range []string{"su.example leads to 10.1.2.3", "a private address", "--allow-addresses private"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestAllowedAddressesAndTheOperatorsHostsAreReached(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"by prefix":        {Allow: loopback4},
		"by host":          {Hosts: []string{Host(u)}},
		"among refused":    {Allow: loopback4, Resolve: resolvesTo("10.0.0.1", "127.0.0.1")},
		"a name of theirs": {Allow: loopback4, Resolve: resolvesTo("127.0.0.1")},
	} {
		target := server.URL
		if o.Resolve != nil {
			target = "http://su.example:" + u.Port()
		}
		response, err := guarded(t, o).Get(target)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		response.Body.Close()
	}
}

// TestARebindingResolverGainsNothing: a name leads to an allowed address when it
// is looked at first, and to another from then on.
func TestARebindingResolverGainsNothing(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	port := portOf(t, server.URL)
	var asked atomic.Int64
	client := guarded(t, Options{Allow: loopback4, Resolve: func(context.Context, string) ([]netip.Addr, error) {
		if asked.Add(1) == 1 {
			return addresses("127.0.0.1"), nil
		}
		return addresses("127.0.0.2"), nil
	}})
	response, err := client.Get("http://rebind.example:" + port + "/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if n := asked.Load(); n != 1 {
		t.Errorf("the resolver was asked %d times for one connection", n)
	}
	client.CloseIdleConnections()
	for range 3 {
		_, err := client.Get("http://rebind.example:" + port + "/")
		if refusal, ok := errors.AsType[*Refusal](err); !ok || refusal.Addr.String() != "127.0.0.2" {
			t.Errorf("after rebinding: %v", err)
		}
	}
}

func TestURLsThatAreRefusedAsSuch(t *testing.T) {
	client := guarded(t, Options{Allow: loopback4})
	for target, want := range map[string]string{
		"ftp://127.0.0.1/":             "neither http nor https",
		"file:///etc/passwd":           "neither http nor https",
		"gopher://127.0.0.1:70/1":      "neither http nor https",
		"http://name:secret@127.0.0.1": "a name or a password",
		"http://name@127.0.0.1":        "a name or a password",
		"http:///path":                 "no host",
		"https://:443/":                "no host",
	} {
		_, err := client.Get(target)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", target, err, want)
		}
	}
}

func TestRedirectsAreCheckedAndCapped(t *testing.T) {
	port, reached := secret(t)
	mux := http.NewServeMux()
	to := func(path, location string, status int) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(status)
		})
	}
	to("/secret", "http://secret.example:"+port+"/", 307)
	to("/number", "http://0x7f000002:"+port+"/", 307)
	to("/v6", "http://[::ffff:127.0.0.2]:"+port+"/", 307)
	to("/file", "file:///etc/passwd", 307)
	to("/password", "http://a:b@127.0.0.1/", 308)
	to("/found", "/end", 302)
	to("/other", "/end", 303)
	to("/moved", "/end", 301)
	to("/loop", "/loop", 307)
	to("/1", "/end", 307)
	to("/2", "/1", 308)
	to("/3", "/2", 307)
	mux.HandleFunc("/end", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	server := httptest.NewServer(mux)
	defer server.Close()
	client := guarded(t, Options{Allow: loopback4, RedirectsMax: 2, Resolve: resolvesTo("127.0.0.2")})
	for path, want := range map[string]string{
		"/secret": "loopback address", "/number": "unusual spelling", "/v6": "loopback address", "/file": "neither http nor https",
		"/password": "a name or a password", "/found": "makes a GET of the POST", "/other": "makes a GET of the POST",
		"/moved": "makes a GET of the POST", "/loop": "more than 2 times", "/3": "more than 2 times", "/1": "", "/2": "",
	} {
		response, err := client.Post(server.URL+path, "application/octet-stream", strings.NewReader("the item"))
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", path, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if string(body) != "the item" || err != nil {
			t.Errorf("%s: the body came as %q, %v", path, body, err)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d connections reached the secret server", n)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	const limit = 1000
	mux := http.NewServeMux()
	for path, size := range map[string]int{"/fits": limit, "/large": limit + 1} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			_, _ = w.Write(bytes.Repeat([]byte("x"), size))
		})
		mux.HandleFunc(path+"/chunked", func(w http.ResponseWriter, _ *http.Request) {
			for range size {
				_, _ = w.Write([]byte("x"))
				w.(http.Flusher).Flush()
			}
		})
	}
	mux.HandleFunc("/header", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 2*headerBytesMax))
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	client := guarded(t, Options{Allow: loopback4, AnswerBytesMax: limit})
	for path, fits := range map[string]bool{"/fits": true, "/fits/chunked": true, "/large": false, "/large/chunked": false, "/header": false} {
		response, err := client.Get(server.URL + path)
		var body []byte
		if err == nil {
			body, err = io.ReadAll(response.Body)
			response.Body.Close()
		}
		if fits && (err != nil || len(body) != limit) || !fits && err == nil || len(body) > limit {
			t.Errorf("%s: %d bytes, %v", path, len(body), err)
		}
		if !fits && path != "/header" && !strings.Contains(fmt.Sprint(err), "larger than 1000 bytes") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestAServerThatDoesNotAnswerIsLeft(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/half" {
			_, _ = w.Write([]byte("half"))
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	}))
	defer server.Close()
	client := guarded(t, Options{Allow: loopback4, TimeoutMS: 50})
	for _, path := range []string{"/none", "/half"} {
		response, err := client.Get(server.URL + path)
		if err == nil {
			_, err = io.ReadAll(response.Body)
			response.Body.Close()
		}
		if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestTheEnvironmentsProxyIsNotUsed(t *testing.T) {
	port, reached := secret(t)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:"+port)
	}
	client := guarded(t, Options{Resolve: resolvesTo("10.0.0.1")})
	if client.Transport.(*transport).http.Proxy != nil {
		t.Error("there is a choice of proxies") // net/http reads the environment once a program
	}
	if _, err := client.Get("http://su.example/"); err == nil {
		t.Error("somebody answered")
	} else if _, refused := errors.AsType[*Refusal](err); !refused {
		t.Error(err)
	}
	if reached.Load() != 0 {
		t.Error("the proxy was asked")
	}
}
