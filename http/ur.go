package http

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
)

// UROptions say what a router unit stands before.
type UROptions struct {
	Base
	// Unit is what the hosts are: cu or mu.
	Unit string
	// Hosts are the units' base URLs; their order matters, because a process's
	// host follows from it.
	Hosts []string
	// Redirect answers GETs with a redirect to the host instead of passing them
	// on. Anything else is passed on all the same: clients lose the body of a
	// redirected POST.
	Redirect bool
	// SU, a scheduler's URL, is asked who owns a process; needed for OwnerToHost.
	SU string
	// ProcessToHost, OwnerToHost and ModuleToHost send a process, or those of an
	// owner or a module, to a host of their own, in that order. A request's module
	// is known only when its item has the tag From-Module.
	ProcessToHost, OwnerToHost, ModuleToHost map[string]string
	// Client reaches the hosts; default one without a time limit of its own.
	Client *http.Client
	Now    func() time.Time
}

// ur passes requests on to the host of their process.
type ur struct {
	UROptions
	hosts []*url.URL

	mu     sync.Mutex
	failed map[string]time.Time // hosts that could not be connected to, and when
	owners map[string]string    // by process; a process's owner never changes
}

// restTime is how long a host that could not be connected to is tried last.
const restTime = 5 * time.Second

// NewUR serves a router's routes (the reference's servers/ur). Errors say which
// option cannot be used.
func NewUR(o UROptions) (http.Handler, error) {
	r := &ur{UROptions: o, failed: map[string]time.Time{}, owners: map[string]string{}}
	if r.Client == nil {
		r.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	if len(o.Hosts) == 0 {
		return nil, errors.New("name at least one host")
	}
	for _, host := range o.Hosts {
		u, err := url.Parse(strings.TrimRight(host, "/"))
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("host %q is no http URL", host)
		}
		r.hosts = append(r.hosts, u)
	}
	for _, table := range []map[string]string{o.ProcessToHost, o.OwnerToHost, o.ModuleToHost} {
		for id, host := range table {
			if u, err := url.Parse(host); err != nil || u.Host == "" {
				return nil, fmt.Errorf("host %q of %s is no http URL", host, id)
			}
		}
	}
	if len(o.OwnerToHost) > 0 && o.SU == "" {
		return nil, errors.New("a scheduler's URL is needed to know who owns a process")
	}
	routes, err := r.routes()
	return o.wrap("ur", routes), err
}

func (r *ur) routes() (http.Handler, error) {
	router := newRouter()
	health := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "OK") }
	router.HandleFunc("/healthcheck", health).Methods(http.MethodGet, http.MethodHead)
	router.HandleFunc("/healthz", health).Methods(http.MethodGet, http.MethodHead)
	if r.Metrics != nil {
		router.HandleFunc("/metrics", r.Metrics.Handler().ServeHTTP).Methods(http.MethodGet)
	}
	switch r.Unit {
	case "cu":
		router.HandleFunc("/", r.of(constantKey)).Methods(http.MethodGet, http.MethodHead)
		router.HandleFunc("/dry-run", r.of(queryKey)).Methods(http.MethodPost)
		router.HandleFunc("/result/{id}", r.of(queryKey)).Methods(http.MethodGet)
		for _, path := range []string{"/results/{process}", "/events/{process}", "/digest/{process}", "/state/{process}", "/root/{process}", "/cron/{process}"} {
			router.HandleFunc(path, r.of(pathKey)).Methods(http.MethodGet)
		}
	case "mu":
		router.HandleFunc("/", r.info).Methods(http.MethodGet, http.MethodHead)
		router.HandleFunc("/", r.of(itemKey)).Methods(http.MethodPost)
		router.HandleFunc("/monitor/{process}", r.of(pathKey)).Methods(http.MethodPost, http.MethodDelete)
	default:
		return nil, fmt.Errorf("a router stands before units of kind cu or mu, not %q", r.Unit)
	}
	return router, nil
}

// info answers a messenger's GET /; what became of a message is known by no
// single host.
func (r *ur) info(w http.ResponseWriter, request *http.Request) {
	if request.URL.Query().Has("debug") {
		w.WriteHeader(http.StatusNotImplemented)
		_, _ = io.WriteString(w, "MU Tracing not implemented on the Router")
		return
	}
	r.of(constantKey)(w, request)
}

// routed is what decides a request's host.
type routed struct {
	process string
	module  string // "" unless the request says so
	body    []byte
}

// keyOf finds the process of a request whose body was read.
type keyOf func(request *http.Request, body []byte) (routed, error)

// of passes a request on to the host of its process.
func (r *ur) of(key keyOf) http.HandlerFunc {
	return func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			writeError(w, request, bodyError(err))
			return
		}
		route, err := key(request, body)
		if err != nil {
			writeError(w, request, err)
			return
		}
		route.body = body
		hosts, err := r.hostsOf(request.Context(), route)
		if err != nil {
			writeError(w, request, err)
			return
		}
		if r.Redirect && (request.Method == http.MethodGet || request.Method == http.MethodHead) {
			http.Redirect(w, request, target(hosts[0], request.URL), http.StatusTemporaryRedirect)
			return
		}
		r.pass(w, request, route.body, hosts)
	}
}

// hostsOf lists hosts for a process: its own first, then those to be tried when
// that cannot be connected to.
func (r *ur) hostsOf(ctx context.Context, route routed) ([]*url.URL, error) {
	if host, err := r.chosen(ctx, route); host != nil || err != nil {
		return []*url.URL{host}, err
	}
	first := int(cyrb53(route.process) % uint64(len(r.hosts)))
	var well, resting []*url.URL
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.hosts {
		host := r.hosts[(first+i)%len(r.hosts)]
		if at, failed := r.failed[host.String()]; failed && r.Now().Sub(at) < restTime {
			resting = append(resting, host)
		} else {
			well = append(well, host)
		}
	}
	return append(well, resting...), nil
}

// chosen gives the host that the options name for a process, or nil.
func (r *ur) chosen(ctx context.Context, route routed) (*url.URL, error) {
	if host := r.ProcessToHost[route.process]; host != "" {
		return url.Parse(strings.TrimRight(host, "/"))
	}
	if len(r.OwnerToHost) > 0 && route.process != constantProcess {
		owner, err := r.owner(ctx, route.process)
		if err != nil {
			return nil, err
		}
		if host := r.OwnerToHost[owner]; host != "" {
			return url.Parse(strings.TrimRight(host, "/"))
		}
	}
	if host := r.ModuleToHost[route.module]; host != "" {
		return url.Parse(strings.TrimRight(host, "/"))
	}
	return nil, nil
}

// ownersMax bounds how many owners are remembered.
const ownersMax = 100_000

// owner asks the scheduler who owns a process; one it does not know has no owner.
func (r *ur) owner(ctx context.Context, process string) (string, error) {
	r.mu.Lock()
	owner, known := r.owners[process]
	r.mu.Unlock()
	if known {
		return owner, nil
	}
	var shape struct {
		Owner struct {
			Address string `json:"address"`
		} `json:"owner"`
	}
	client := &connect.Client{HTTP: &http.Client{Timeout: 10 * time.Second}}
	err := client.Do(ctx, http.MethodGet, strings.TrimRight(r.SU, "/")+"/processes/"+url.PathEscape(process), "", nil, &shape)
	if ao.CodeOf(err) == ao.CodeNotFound {
		return "", nil
	}
	if err != nil {
		return "", ao.Errorf(ao.CodeUnavailable, "the scheduler %s cannot say who owns %s: %w", r.SU, process, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.owners) >= ownersMax {
		clear(r.owners)
	}
	r.owners[process] = shape.Owner.Address
	return shape.Owner.Address, nil
}

// pass sends a request to one host after the other until one can be connected to,
// and streams its answer.
func (r *ur) pass(w http.ResponseWriter, request *http.Request, body []byte, hosts []*url.URL) {
	var errs []error
	for _, host := range hosts {
		answer, err := r.try(request, host, body)
		if err == nil {
			defer answer.Body.Close()
			copyHeaders(w.Header(), answer.Header)
			w.WriteHeader(answer.StatusCode)
			// A client that goes away is no fault, and nothing else can be told now.
			_, _ = io.Copy(w, answer.Body)
			return
		}
		if request.Context().Err() != nil {
			return
		}
		errs = append(errs, err)
		r.mu.Lock()
		r.failed[host.String()] = r.Now()
		r.mu.Unlock()
	}
	writeError(w, request, ao.Errorf(ao.CodeUnavailable, "none of the %d hosts can be reached: %w", len(hosts), errors.Join(errs...)))
}

func (r *ur) try(request *http.Request, host *url.URL, body []byte) (*http.Response, error) {
	out, err := http.NewRequestWithContext(request.Context(), request.Method, target(host, request.URL), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	copyHeaders(out.Header, request.Header)
	out.Header.Set("X-Forwarded-Host", request.Host)
	answer, err := r.Client.Do(out)
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", host, err)
	}
	r.mu.Lock()
	delete(r.failed, host.String())
	r.mu.Unlock()
	return answer, nil
}

func target(host, from *url.URL) string {
	to := *host
	to.Path = strings.TrimRight(host.Path, "/") + from.Path
	to.RawQuery = from.RawQuery
	return to.String()
}

// hopHeaders belong to one connection, or are this router's own to set.
var hopHeaders = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Content-Length", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "X-Request-Id",
}

func copyHeaders(to, from http.Header) {
	for name, values := range from {
		if !slices.Contains(hopHeaders, name) {
			to[name] = slices.Clone(values)
		}
	}
}
