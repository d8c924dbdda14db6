package node

import (
	"context"
	"net/http"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	aohttp "github.com/wallaby-ao/wallaby/http"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/messenger"
)

// PathCrons lists processes with crons (after=PROCESS, limit=N processes to look
// at) as a CronsPage, or shows one process (process=ID) as a CronsInfo. PathSkipCrons,
// for operators, leaves out the ticks of a process (process=ID) that are due and not
// evaluated, and answers with a SkippedCrons.
const (
	PathCrons     = "/wallaby/crons"
	PathSkipCrons = "/wallaby/admin/skip-crons"
)

// CronsInfo is how a process's crons stand.
type CronsInfo struct {
	Process ao.ID    `json:"process"`
	Name    string   `json:"name,omitempty"`
	Crons   []string `json:"crons"` // their intervals
	// Watched says whether they are driven, and what they send is delivered.
	Watched     bool   `json:"watched"`
	EvaluatedMS int64  `json:"evaluatedMs"`      // when what was evaluated last was due; 0: nothing was
	Behind      uint64 `json:"behind"`           // ticks that are due and not evaluated
	NextMS      int64  `json:"nextMs,omitempty"` // when the next is due; 0: not within a day
}

// CronsPage is a part of a list; After is for the next one, "" at the end.
type CronsPage struct {
	Processes []CronsInfo `json:"processes"`
	After     string      `json:"after,omitempty"`
}

// SkippedCrons is what was left out of a process.
type SkippedCrons struct {
	Process ao.ID  `json:"process"`
	Skipped uint64 `json:"skipped"` // ticks
	FromMS  int64  `json:"fromMs"`
	UntilMS int64  `json:"untilMs"`
}

const (
	cronsLimitMax   = 1000
	cronsAheadMS    = 86_400_000
	cronsLimitUsual = 100
)

func (n *Node) openMonitor(context.Context) error {
	n.monitor = messenger.OpenMonitor(messenger.MonitorOptions{
		Log:    n.log,
		Engine: n.engine,
		Owns:   n.log.Leads,
		Now:    n.options.Now,
		Logger: n.options.Logger.With().Str("pkg", "messenger").Logger(),
	})
	n.onClose("monitors", func(context.Context) error { return n.monitor.Close() })
	return nil
}

// monitors has the log note who is watched.
type monitors struct{ node *Node }

var _ aohttp.Monitors = monitors{}

// Watch has a process's crons driven, or not any more.
func (m monitors) Watch(ctx context.Context, process ao.ID, on bool) (changed bool, err error) {
	changed, err = m.node.log.Watch(ctx, process, on)
	m.node.monitor.Wake()
	return changed, err
}

func (n *Node) serveCrons(w http.ResponseWriter, r *http.Request) {
	var answer any
	process, err := optionalID(r.URL.Query(), "process")
	switch {
	case err != nil:
	case process.IsZero():
		answer, err = n.listCrons(r)
	default:
		answer, err = n.cronsOf(r.Context(), process)
	}
	if err != nil {
		aohttp.WriteError(w, r, err)
		return
	}
	answerJSON(w, answer)
}

func (n *Node) cronsOf(ctx context.Context, process ao.ID) (CronsInfo, error) {
	info, any, err := n.crons(ctx, process)
	if err == nil && !any {
		err = ao.Errorf(ao.CodeNotFound, "process %s has no crons: its spawn had no tag Cron-Interval", process)
	}
	return info, err
}

// crons describes a process's crons; false if it has none.
func (n *Node) crons(ctx context.Context, process ao.ID) (info CronsInfo, any bool, err error) {
	now := n.options.Now().UnixMilli()
	status, err := n.engine.Crons(ctx, process, now, now+cronsAheadMS)
	if err != nil || len(status.Crons) == 0 {
		return info, false, err
	}
	entry, err := n.log.Read(ctx, process, 0)
	if err != nil {
		return info, false, err
	}
	item, err := entry.Item()
	if err != nil {
		return info, false, err
	}
	said, err := n.log.Watches(ctx, process)
	if err != nil {
		return info, false, err
	}
	info = CronsInfo{
		Process: process, Name: item.Tags.Get("Name"), Watched: len(said) > 0 && said[len(said)-1].On,
		EvaluatedMS: status.EvaluatedMS, Behind: status.Behind, NextMS: status.NextMS,
	}
	for _, cron := range status.Crons {
		info.Crons = append(info.Crons, cron.Interval)
	}
	return info, true, nil
}

func (n *Node) listCrons(r *http.Request) (page CronsPage, err error) {
	query := r.URL.Query()
	after, err := optionalID(query, "after")
	if err != nil {
		return page, err
	}
	limit := cronsLimitUsual
	if text := query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 {
			return page, ao.Errorf(ao.CodeInvalid, "limit %q is not a number from 1 on", text)
		}
		limit = min(limit, cronsLimitMax)
	}
	heads, err := n.log.Processes(r.Context(), after, limit)
	if err != nil {
		return page, err
	}
	page.Processes = []CronsInfo{}
	for _, head := range heads {
		info, any, err := n.crons(r.Context(), head.Process)
		if err != nil {
			return page, err
		}
		if any {
			page.Processes = append(page.Processes, info)
		}
	}
	if len(heads) == limit {
		page.After = heads[limit-1].Process.String()
	}
	return page, nil
}

func (n *Node) serveSkipCrons(w http.ResponseWriter, r *http.Request) {
	process, err := ao.ParseID(r.URL.Query().Get("process"))
	if err != nil {
		err = ao.Errorf(ao.CodeInvalid, "name a process: %w", err)
	}
	var skipped SkippedCrons
	if err == nil {
		skipped, err = n.skipCrons(r.Context(), process)
	}
	if err != nil {
		aohttp.WriteError(w, r, err)
		return
	}
	answerJSON(w, skipped)
}

// skipCrons leaves out what is due behind a process's newest message and not
// promised. What lies before a message is part of its history.
func (n *Node) skipCrons(ctx context.Context, process ao.ID) (skipped SkippedCrons, err error) {
	info, err := n.cronsOf(ctx, process)
	if err != nil {
		return skipped, err
	}
	head, err := n.log.Linearizable().Head(ctx, process)
	if err != nil {
		return skipped, err
	}
	now := n.options.Now().UnixMilli()
	stretch := aolog.Skip{Process: process, Nonce: head.Nonce, FromMS: max(head.TimestampMS, head.PromisedMS), UntilMS: now}
	due, err := n.engine.Due(ctx, stretch)
	if err != nil {
		return skipped, err
	}
	switch {
	case due == 0 && info.Behind == 0:
		return skipped, ao.Errorf(ao.CodeConflict, "no ticks of process %s are due that are not evaluated", process)
	case due == 0:
		return skipped, ao.Errorf(ao.CodeConflict,
			"the %d ticks of process %s that are due lie before its message at nonce %d, or their time is promised: they are part of its history and cannot be left out", info.Behind, process, head.Nonce)
	}
	if _, err := n.log.Promise(ctx, aolog.Promise{Process: process, UntilMS: now, Skip: true}); err != nil {
		return skipped, err
	}
	skips, err := n.log.Skips(ctx, process, head.Nonce)
	if err != nil {
		return skipped, err
	}
	for _, skip := range skips {
		if skip.UntilMS <= stretch.FromMS {
			continue
		}
		count, err := n.engine.Due(ctx, skip)
		if err != nil {
			return skipped, err
		}
		skipped = SkippedCrons{process, count, skip.FromMS, skip.UntilMS}
	}
	if skipped.Skipped == 0 {
		return skipped, ao.Errorf(ao.CodeConflict, "a message came to process %s meanwhile: ask again", process)
	}
	n.monitor.Wake()
	return skipped, nil
}
