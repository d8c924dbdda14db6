package node

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aohttp "github.com/wallaby-ao/wallaby/http"
	"github.com/wallaby-ao/wallaby/messenger"
)

// Paths of the gateway's port that are the node's own.
const (
	PathInfo       = "/wallaby/info"
	PathProcesses  = "/wallaby/processes"
	PathCluster    = "/wallaby/cluster"
	PathSequencing = "/wallaby/sequencing"
)

func (n *Node) openMessenger(context.Context) error {
	options := messenger.Options{
		Outbox:    n.engine.Outbox(),
		Log:       publishingLog{n.log.Linearizable(), n.gateway},
		Owns:      n.log.Leads,
		Signer:    n.authority,
		Uploader:  n.gateway,
		Directory: n.courier,
		Weave:     weave{n},
		Node:      n.self(),
		Now:       n.options.Now,
		Fatal:     n.fail,

		HopsMax:     n.options.HopsMax,
		PairRateMax: n.options.PairRateMax,

		Logger: n.options.Logger.With().Str("pkg", "messenger").Logger(),
	}
	if n.operator != nil {
		n.voice = &voice{log: n.log, confirmed: n.log.Linearizable(), operator: n.operator, known: map[ao.ID]bool{}}
		options.Voice = n.voice
	}
	n.messenger = messenger.Open(options)
	n.onClose("messenger", func(context.Context) error { return n.messenger.Close() })
	return nil
}

// openServers starts to answer, on the ports of the units and on the gateway's
// port for all of them.
func (n *Node) openServers(context.Context) error {
	metrics := n.newMetrics()
	base := aohttp.Base{Metrics: metrics, Logger: n.options.Logger.With().Str("pkg", "http").Logger()}
	log := publishingLog{n.log.Linearizable(), n.gateway}
	nowMS := func() int64 { return n.options.Now().UnixMilli() }
	su := aohttp.NewSU(aohttp.SUOptions{Base: base, Log: log, Stale: n.log, Weave: weave{n}, Sequencing: sequencing{n}, Blocks: n.historyBlocks(), Address: n.SchedulerAddress(), NowMS: nowMS})
	mu := aohttp.NewMU(aohttp.MUOptions{
		Base: base, Log: log, Weave: weave{n}, Monitors: monitors{n}, Tracer: tracer{n.engine}, Elsewhere: n.courier, Pusher: pusher{n.engine, n},
	})
	cu := aohttp.NewCU(aohttp.CUOptions{
		Base: base, Log: forkedLog{log, n.forks}, Evaluator: forked{n}, Crons: n.monitor, NowMS: nowMS,
		Address: dataitem.AddressOf(n.authority.Owner()).String(), Stopping: n.servers.stopping,
	})
	units := map[string]http.Handler{"mu": mu, "su": su, "cu": cu}
	own := n.ownHandlers(metrics)
	n.doors.gateway.open(n.withAdmin(front(units, own, n.gateway.Handler())))
	n.doors.mu.open(withOwn(own, mu))
	n.doors.su.open(withOwn(own, su))
	n.doors.cu.open(withOwn(own, cu))
	n.onClose("servers", n.servers.shutdown)
	return nil
}

// withAdmin puts an operator's paths, and those that change something, before a handler.
func (n *Node) withAdmin(next http.Handler) http.Handler {
	operator := map[string]http.HandlerFunc{
		PathSetMachine:    n.admin(n.serveSetMachine),
		PathRedriveEffect: n.admin(n.serveRedriveEffect),
		PathDropEffect:    n.admin(n.serveDropEffect),
		PathSkipCrons:     n.admin(n.serveSkipCrons),
		PathResumeCascade: n.admin(n.serveResumeCascade),
		PathFork:          n.serveFork,
		PathCheckpoint:    n.admin(n.serveCheckpoint),
	}
	if n.transport != nil {
		maps.Copy(operator, n.clusterHandlers())
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handle, ok := operator[path.Clean("/"+r.URL.Path)]; ok {
			handle(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// clusterHandlers are the operator's paths of a node in a cluster.
func (n *Node) clusterHandlers() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		PathRepair:        n.admin(n.serveRepair),
		PathTransfer:      n.admin(n.serveTransfer),
		PathSetSequencing: n.admin(n.serveSetSequencing),
		PathMoveShard:     n.admin(n.serveMoveShard),
		PathMoveGroup:     n.admin(n.serveMembers),
		PathAddNode:       n.admin(n.serveMembers),
		PathRemoveNode:    n.admin(n.serveMembers),
		PathReplaceNode:   n.admin(n.serveMembers),
	}
}

// front is the gateway's port: the units under their names, state roots, the node's
// own paths, and the gateway for all else.
func front(units map[string]http.Handler, own map[string]http.HandlerFunc, rest http.Handler) http.Handler {
	rest = withOwn(own, rest)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		clean := path.Clean("/" + r.URL.Path)
		first, tail, _ := strings.Cut(strings.TrimPrefix(clean, "/"), "/")
		if first == "root" {
			units["cu"].ServeHTTP(w, r)
			return
		}
		unit, ok := units[first]
		if !ok {
			rest.ServeHTTP(w, r)
			return
		}
		inner := r.Clone(r.Context())
		inner.URL.Path, inner.URL.RawPath = "/"+tail, ""
		unit.ServeHTTP(w, inner)
	})
}

// withOwn puts the node's own paths before a handler.
func withOwn(own map[string]http.HandlerFunc, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handle, ok := own[path.Clean("/"+r.URL.Path)]; ok && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			w.Header().Set("Access-Control-Allow-Origin", "*")
			handle(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (n *Node) ownHandlers(metrics *aohttp.Metrics) map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"/healthz":      func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok\n") },
		"/readyz":       n.serveReady,
		"/metrics":      metrics.Handler().ServeHTTP,
		PathInfo:        n.serveInfo,
		PathProcesses:   n.serveProcesses,
		PathSequencing:  n.serveSequencing,
		PathReplay:      n.serveReplay,
		PathForks:       func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, n.forks.infos()) },
		PathMachine:     n.serveMachine,
		PathOutbox:      n.serveOutbox,
		PathCrons:       n.serveCrons,
		PathParked:      n.serveParked,
		PathTrace:       n.serveTrace,
		PathCheckpoints: n.serveCheckpoints,
		PathAuthorities: n.serveAuthorities,
		PathCluster:     func(w http.ResponseWriter, r *http.Request) { answerJSON(w, n.ClusterStatus(r.Context())) },
	}
}

// serveReady is ok from when everything is open until something fails.
func (n *Node) serveReady(w http.ResponseWriter, _ *http.Request) {
	select {
	case <-n.ready:
		answer(w, http.StatusOK, "ready\n")
	default:
		answer(w, http.StatusServiceUnavailable, "starting\n")
	}
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

func (n *Node) serveInfo(w http.ResponseWriter, _ *http.Request) { answerJSON(w, n.Info()) }

// processesLimitMax bounds one page of the list of processes.
const processesLimitMax = 1000

func (n *Node) serveProcesses(w http.ResponseWriter, r *http.Request) {
	var after ao.ID
	limit := processesLimitMax
	query := r.URL.Query()
	err := after.UnmarshalText([]byte(query.Get("after")))
	if text := query.Get("limit"); text != "" && err == nil {
		limit, err = strconv.Atoi(text)
		limit = max(1, min(limit, processesLimitMax))
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		answerJSON(w, map[string]string{"error": err.Error(), "code": string(ao.CodeInvalid)})
		return
	}
	list, err := n.Processes(r.Context(), after, limit)
	if err != nil {
		n.options.Logger.Error().Err(err).Msg("list processes")
		w.WriteHeader(http.StatusInternalServerError)
		answerJSON(w, map[string]string{"error": "the processes cannot be listed: see the node's log", "code": string(ao.CodeInternal)})
		return
	}
	answerJSON(w, list)
}

// serveSequencing says how the process of a query is ordered.
func (n *Node) serveSequencing(w http.ResponseWriter, r *http.Request) {
	process, err := ao.ParseID(r.URL.Query().Get("process"))
	if err != nil {
		err = ao.Errorf(ao.CodeInvalid, "name a process: %w", err)
	}
	var info SequencingInfo
	if err == nil {
		info, err = n.Sequencing(r.Context(), process)
	}
	if err != nil {
		aohttp.WriteError(w, r, err)
		return
	}
	answerJSON(w, info)
}

func answerJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

// newMetrics adds the figures of the parts to those of requests.
func (n *Node) newMetrics() *aohttp.Metrics {
	m := aohttp.NewMetrics()
	gauge := func(name, help string, value func() int) {
		m.Gauge(name, help, func() float64 { return float64(value()) })
	}
	gauge("wallaby_hot_processes", "Processes with an instance in memory.", func() int { return n.engine.Status().HotProcesses })
	gauge("wallaby_hot_bytes", "Memory of the instances.", func() int { return int(n.engine.Status().ResidentBytes) })
	gauge("wallaby_evaluation_lag_messages", "Messages in the log that are not evaluated yet.", func() int { return int(n.engine.Status().LaggingMessages) })
	gauge("wallaby_outbox_pending", "Effects to deliver.", func() int { return n.engine.Status().OutboxPending })
	gauge("wallaby_outbox_parked", "Effects of cascades that went too far: see wallaby outbox parked.", func() int { return n.engine.Status().OutboxParked })
	gauge("wallaby_outbox_dead", "Effects that were given up: see wallaby outbox list.", func() int { return n.engine.Status().OutboxDead })
	gauge("wallaby_block_height", "Height of the gateway's newest block.", func() int { return int(n.gateway.Height()) })
	gauge("wallaby_results_checked", "1 when the store of results has been read through since the start.", n.stateChecked)
	m.Counter("wallaby_evaluations_total", "Messages evaluated, replays included.", func() float64 { return float64(n.engine.Status().EvaluationsTotal) })
	m.Counter("wallaby_pushes_withheld_total", "Deliveries of pushes that a process with an Authority-Quorum did not get.", func() float64 { return float64(n.engine.Status().WithheldTotal) })
	m.Counter("wallaby_vm_lost_total", "Virtual machines that crashed, hung or took too much, and were replaced.", func() float64 { return float64(n.engine.Status().LostTotal) })
	m.Counter("wallaby_vm_failures_total", "Messages that cost their virtual machine twice and have no result.", func() float64 { return float64(n.engine.Status().VMFailuresTotal) })
	delivery := func(name, help string, value func(messenger.Status) uint64) {
		m.Counter(name, help, func() float64 { return float64(value(n.messenger.Status())) })
	}
	delivery("wallaby_deliveries_total", "Effects delivered.", func(s messenger.Status) uint64 { return s.DeliveredTotal })
	delivery("wallaby_delivery_retries_total", "Attempts to deliver an effect after the first.", func(s messenger.Status) uint64 { return s.RetriesTotal })
	delivery("wallaby_dead_letters_total", "Effects that were given up.", func(s messenger.Status) uint64 { return s.DeadTotal })
	delivery("wallaby_parked_total", "Effects that the loop breaker has parked.", func(s messenger.Status) uint64 { return s.ParkedTotal })
	n.settlementMetrics(m)
	return m
}
