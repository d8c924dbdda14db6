package http

import (
	"context"
	"encoding/base64"
	"math"
	"net/http"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Sequencing is what a scheduler lets others see and change of how it orders.
type Sequencing interface {
	// Order has a process ordered in another mode, as a signed item says.
	Order(ctx context.Context, item *dataitem.Item) error
	// Attestations lists operators' signatures under a process's order at nonces
	// from..to, at most limit.
	Attestations(process ao.ID, from, to uint64, limit int) ([]aolog.Attested, error)
	// Openings lists the beginnings of a process's epochs after the first.
	Openings(process ao.ID) ([]aolog.Opening, error)
	// Accuse looks whether a signed assignment contradicts the one in this log,
	// and if so keeps both.
	Accuse(ctx context.Context, assignment *dataitem.Item) (contradicts bool, err error)
	// Evidence lists contradictions that were kept.
	Evidence(ctx context.Context) ([]Contradiction, error)
}

// Contradiction is two assignments for one place of a process, signed by one
// scheduler: proof that it gave two orders.
type Contradiction struct {
	Process   ao.ID  `json:"process"`
	Nonce     uint64 `json:"nonce"`
	Scheduler string `json:"scheduler"`
	One       []byte `json:"one"` // the signed assignments
	Other     []byte `json:"other"`
}

// attestationsMax bounds one page.
const attestationsMax = 1000

// attestationJSON is one place whose order operators have signed.
type attestationJSON struct {
	Epoch uint64   `json:"epoch"`
	First uint64   `json:"first"` // the oldest place these signatures are the first for
	Nonce uint64   `json:"nonce"`
	Items []string `json:"attestations"` // signed items, base64url
}

type attestationsJSON struct {
	Process      ao.ID             `json:"process"`
	Attestations []attestationJSON `json:"attestations"`
	// Next is where to go on from; absent at the end.
	Next *uint64 `json:"next,omitempty"`
}

// attestations serves GET /{process}/attestations?from=&to=.
func (s *su) attestations(w http.ResponseWriter, r *http.Request) {
	process, err := pathID(r, "process")
	if err == nil {
		_, err = s.Log.Head(r.Context(), process)
		err = notFound(err, "process %s is not known to this scheduler", process)
	}
	from, to := uint64(0), uint64(math.MaxUint64)
	for name, value := range map[string]*uint64{"from": &from, "to": &to} {
		if text := r.URL.Query().Get(name); text != "" && err == nil {
			if *value, err = strconv.ParseUint(text, 10, 64); err != nil {
				err = ao.Errorf(ao.CodeInvalid, "%s must be a nonce, not %q", name, text)
			}
		}
	}
	var list []aolog.Attested
	if err == nil {
		list, err = s.Sequencing.Attestations(process, from, to, attestationsMax)
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	answer := attestationsJSON{Process: process, Attestations: []attestationJSON{}}
	for _, a := range list {
		row := attestationJSON{Epoch: a.Epoch, First: a.First, Nonce: a.Nonce}
		for _, item := range a.Items {
			row.Items = append(row.Items, base64.RawURLEncoding.EncodeToString(item))
		}
		answer.Attestations = append(answer.Attestations, row)
	}
	if len(list) == attestationsMax {
		next := list[len(list)-1].Nonce + 1
		answer.Next = &next
	}
	writeJSON(w, http.StatusOK, answer)
}

// order serves POST /{process}/sequencing: a signed wish for another mode.
func (s *su) order(w http.ResponseWriter, r *http.Request) {
	item, err := readSigned(r)
	if err == nil {
		err = s.Sequencing.Order(r.Context(), item)
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"ordered": item.ID().String()})
}

// accuse serves POST /evidence: a signed assignment that somebody got elsewhere.
func (s *su) accuse(w http.ResponseWriter, r *http.Request) {
	item, err := readSigned(r)
	contradicts := false
	if err == nil {
		contradicts, err = s.Sequencing.Accuse(r.Context(), item)
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]bool{"contradicts": contradicts})
}

func readSigned(r *http.Request) (*dataitem.Item, error) {
	item, err := readItem(r)
	switch {
	case err != nil:
		return nil, err
	case item == nil:
		return nil, ao.Errorf(ao.CodeInvalid, "the body is empty: post a signed data item")
	}
	if err := item.Verify(); err != nil {
		return nil, ao.Errorf(ao.CodeInvalid, "item %s cannot be accepted: %w", item.ID(), err)
	}
	return item, nil
}

// evidence serves GET /evidence.
func (s *su) evidence(w http.ResponseWriter, r *http.Request) {
	list, err := s.Sequencing.Evidence(r.Context())
	if err != nil {
		writeError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, list)
}
