package http

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// The bounds of a page of the log.
const (
	listLimitDefault = 100
	listLimitMax     = 5000
	// listBytesMax bounds the items of one page; a page that would be larger
	// ends early and says that there is more.
	listBytesMax = 64 << 20
)

// listRange is a page that was asked for: nonces from..to, at most limit.
type listRange struct {
	from, to uint64
	limit    int
	byNonce  bool
}

// list answers with a page of a process's log.
func (s *su) list(w http.ResponseWriter, r *http.Request, process ao.ID) {
	page, err := s.listRange(r, process)
	if err != nil {
		writeError(w, r, err)
		return
	}
	showAnchor := r.URL.Query().Has("show-anchor")
	answer := connect.ListJSON{Edges: []connect.EdgeJSON{}}
	bytes := 0
	full := errors.New("page is full")
	err = s.Log.Range(r.Context(), process, page.from, page.to, func(entry aolog.Entry) error {
		bytes += len(entry.ItemBytes)
		if len(answer.Edges) == page.limit || bytes > listBytesMax && len(answer.Edges) > 0 {
			answer.PageInfo.HasNextPage = true
			return full
		}
		node, err := messageShape(entry, showAnchor)
		if err != nil {
			return err
		}
		cursor := strconv.FormatInt(entry.TimestampMS, 10)
		if page.byNonce {
			cursor = strconv.FormatUint(entry.Nonce, 10)
		}
		answer.Edges = append(answer.Edges, connect.EdgeJSON{Node: node, Cursor: cursor})
		return nil
	})
	if err != nil && !errors.Is(err, full) {
		writeError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// listRange reads a query by time or, when it names a nonce, by nonce. Lower
// bounds are exclusive, upper ones inclusive.
func (s *su) listRange(r *http.Request, process ao.ID) (page listRange, err error) {
	page = listRange{to: 1<<64 - 1, limit: listLimitDefault}
	if text := queryText(r, "limit"); text != "" {
		if page.limit, err = strconv.Atoi(text); err != nil || page.limit < 1 {
			return page, ao.Errorf(ao.CodeInvalid, "limit must be a number from 1, not %.32q", text)
		}
		page.limit = min(page.limit, listLimitMax)
	}
	from, to := queryText(r, "from-nonce"), queryText(r, "to-nonce")
	if page.byNonce = from != "" || to != ""; page.byNonce {
		return page, page.nonces(from, to)
	}
	return page, s.times(r.Context(), process, &page, queryText(r, "from"), queryText(r, "to"))
}

// queryText reads a parameter; clients in JavaScript send "undefined" for one
// that they do not have.
func queryText(r *http.Request, name string) string {
	text := r.URL.Query().Get(name)
	if text == "undefined" || text == "null" {
		return ""
	}
	return text
}

func (p *listRange) nonces(from, to string) error {
	if from != "" {
		n, err := strconv.ParseInt(from, 10, 64)
		if err != nil || n < -1 {
			return ao.Errorf(ao.CodeInvalid, "from-nonce must be a number from -1, not %.32q", from)
		}
		p.from = uint64(n + 1)
	}
	if to != "" {
		n, err := strconv.ParseUint(to, 10, 64)
		if err != nil {
			return ao.Errorf(ao.CodeInvalid, "to-nonce must be a number, not %.32q", to)
		}
		p.to = n
	}
	return nil
}

func (s *su) times(ctx context.Context, process ao.ID, page *listRange, from, to string) error {
	if from != "" {
		ms, err := strconv.ParseInt(from, 10, 64)
		if err != nil {
			return ao.Errorf(ao.CodeInvalid, "from must be a time in milliseconds, not %.32q", from)
		}
		if page.from, err = s.Log.NonceAfter(ctx, process, ms); err != nil {
			return err
		}
	}
	if to != "" {
		ms, err := strconv.ParseInt(to, 10, 64)
		if err != nil {
			return ao.Errorf(ao.CodeInvalid, "to must be a time in milliseconds, not %.32q", to)
		}
		after, err := s.Log.NonceAfter(ctx, process, ms)
		if err != nil {
			return err
		}
		if after == 0 {
			// Everything is later: an empty range.
			page.from, page.to = 1, 0
			return nil
		}
		page.to = after - 1
	}
	return nil
}
