package http

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/history"
)

// The kinds of source that a history can be read from.
const (
	SourceWallaby   = "wallaby"
	SourceSU        = "su"
	SourceHyperBEAM = "hyperbeam"
)

// ItemSource gives items as they were signed.
type ItemSource interface {
	// Item gives an item, or an error that says why not.
	Item(ctx context.Context, id ao.ID) (*dataitem.Item, error)
}

// HistoryOptions say where a process's history is read from.
type HistoryOptions struct {
	// URL is that of a Wallaby node or its scheduler, of a reference scheduler, or of
	// a HyperBEAM node.
	URL string
	// Kind says which of them it is; "": it is asked.
	Kind string
	// Items gives what the source does not tell exactly; nil: nobody does.
	Items ItemSource
	// HTTP speaks to the source, which is whatever host the caller names.
	HTTP *http.Client
	// Limit is how many entries are asked for at once (500).
	Limit int
}

// NewHistorySource makes a source of a process's history, and finds out what kind
// it is if the options do not say.
func NewHistorySource(ctx context.Context, process ao.ID, o HistoryOptions) (history.Source, error) {
	o.URL = strings.TrimRight(o.URL, "/")
	if o.Limit <= 0 {
		o.Limit = 500
	}
	if o.Kind == "" || o.Kind == SourceWallaby {
		for _, base := range []string{o.URL, o.URL + "/su"} {
			node := o
			node.URL = base
			if there, err := (&nodeHistory{node}).there(ctx, process); err != nil || there {
				return &nodeHistory{node}, err
			}
		}
	}
	if o.Kind == "" {
		o.Kind = SourceSU
		var address string
		if err := o.get(ctx, "/~meta@1.0/info/address", func(body io.Reader) error {
			b, err := io.ReadAll(io.LimitReader(body, 100))
			address = strings.TrimSpace(string(b))
			return err
		}); err == nil && len(address) == dataitem.IDLength {
			o.Kind = SourceHyperBEAM
		}
	}
	switch o.Kind {
	case SourceSU:
		return &suHistory{HistoryOptions: o}, nil
	case SourceHyperBEAM:
		return &hyperbeamHistory{o}, nil
	case SourceWallaby:
		return nil, ao.Errorf(ao.CodeNotFound, "no Wallaby node at %s knows process %s", o.URL, process)
	}
	return nil, ao.Errorf(ao.CodeInvalid, "a history is read from %s, %s or %s, not from %q", SourceWallaby, SourceSU, SourceHyperBEAM, o.Kind)
}

// answerBytesMax bounds an answer that is read as a whole.
const answerBytesMax = 256 << 20

// get asks for a path and has the answer read.
func (o HistoryOptions) get(ctx context.Context, path string, read func(io.Reader) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.URL+path, nil)
	if err != nil {
		return ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	response, err := o.HTTP.Do(request)
	if e, ok := errors.AsType[*url.Error](err); ok && ctx.Err() == nil {
		return ao.Errorf(ao.CodeUnavailable, "cannot reach %s: %w", o.URL, e.Err)
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		answer, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10))
		err := connect.RefusalOf(response.StatusCode, answer)
		return fmt.Errorf("%s%s: %w", o.URL, path, err)
	}
	return read(response.Body)
}

// getJSON asks for a path and decodes the answer.
func (o HistoryOptions) getJSON(ctx context.Context, path string, to any) error {
	return o.get(ctx, path, func(body io.Reader) error {
		answer, err := io.ReadAll(io.LimitReader(body, answerBytesMax+1))
		switch {
		case err != nil:
			return ao.Errorf(ao.CodeUnavailable, "read the answer of %s: %w", o.URL, err)
		case len(answer) > answerBytesMax:
			return ao.Errorf(ao.CodeTooLarge, "the answer of %s is larger than %d bytes", o.URL, answerBytesMax)
		}
		if err := json.Unmarshal(answer, to); err != nil {
			return ao.Errorf(ao.CodeInternal, "%s answered with something that is no JSON: %w", o.URL, err)
		}
		return nil
	})
}

// exact gives an item as it was signed, if somebody has it.
func (o HistoryOptions) exact(ctx context.Context, id ao.ID) (*dataitem.Item, error) {
	if o.Items == nil {
		return nil, errors.New("no gateway was named to ask for it")
	}
	item, err := o.Items.Item(ctx, id)
	if err == nil && item.ID() != id {
		err = fmt.Errorf("the gateway gave item %s instead", item.ID())
	}
	return item, err
}

// bare gives the record of an item that was assigned by name.
func (o HistoryOptions) bare(ctx context.Context, nonce uint64, message ao.ID) history.Record {
	item, err := o.exact(ctx, message)
	if err != nil {
		return history.NoteRecord(nonce, "item %s was assigned by name and is not known: %v", message, err)
	}
	return history.ItemRecord(nonce, item)
}

// nodeHistory reads from a Wallaby node, which tells everything byte for byte.
type nodeHistory struct{ HistoryOptions }

// Origin names the node's scheduler.
func (h *nodeHistory) Origin() history.Origin {
	return history.Origin{Kind: SourceWallaby, URL: h.URL}
}

var errNoHistory = errors.New("the answer is no history")

func (h *nodeHistory) read(ctx context.Context, process ao.ID, from uint64, fn func(*history.Reader) error) error {
	path := "/" + process.String() + "/history?from=" + strconv.FormatUint(from, 10)
	return h.get(ctx, path, func(body io.Reader) error {
		reader, err := history.NewReader(body)
		if errors.Is(err, history.ErrNotHistory) {
			return errNoHistory
		}
		if err != nil {
			return err
		}
		return fn(reader)
	})
}

// there reports whether a node answers that has the process. What is not there, or
// is something else, is no error.
func (h *nodeHistory) there(ctx context.Context, process ao.ID) (bool, error) {
	err := h.read(ctx, process, 0, func(*history.Reader) error { return nil })
	if err == nil {
		return true, nil
	}
	if e, ok := errors.AsType[*ao.Error](err); ok && e.Code == ao.CodeUnavailable || ctx.Err() != nil {
		return false, err
	}
	return false, nil
}

// Records calls fn for what the node has from a nonce on.
func (h *nodeHistory) Records(ctx context.Context, process ao.ID, from uint64, fn func(history.Record) error) error {
	return h.read(ctx, process, from, func(reader *history.Reader) error {
		// An entry without its item is kept until it is known whether that follows.
		var pending *history.Record
		flush := func() error {
			if pending == nil {
				return nil
			}
			e, err := pending.Entry()
			pending = nil
			if err != nil {
				return err
			}
			return fn(h.bare(ctx, e.Nonce, e.Message))
		}
		err := history.Relay(ctx, reader, process, from, func(r history.Record) error {
			if r.Kind == history.KindItem {
				pending = nil
			}
			if err := flush(); err != nil {
				return err
			}
			if r.Kind == history.KindEntry {
				if e, err := r.Entry(); err == nil && e.IsBare() {
					pending = &r
				}
			}
			return fn(r)
		})
		if damage, ok := errors.AsType[*history.Damage](err); ok {
			return ao.Errorf(ao.CodeUnavailable, "the answer of %s is not whole: %w", h.URL, damage)
		}
		if err == nil {
			err = flush()
		}
		return err
	})
}
