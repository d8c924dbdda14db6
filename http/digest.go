package http

import (
	"context"
	"net/http"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
)

// digest serves GET /digest/{process}?from=&to=: a commitment to the results of the
// messages with from <= nonce <= to; of a single one the result, too.
func (c *cu) digest(w http.ResponseWriter, r *http.Request) {
	process, err := pathID(r, "process")
	var bounds [2]uint64
	for i, name := range []string{"from", "to"} {
		if err != nil {
			break
		}
		text := r.URL.Query().Get(name)
		if bounds[i], err = strconv.ParseUint(text, 10, 64); err != nil {
			err = ao.Errorf(ao.CodeInvalid, "%s must be a nonce, not %.32q", name, text)
		}
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), c.wait)
	defer cancel()
	digest, err := c.Evaluator.Digest(ctx, process, bounds[0], bounds[1])
	if err != nil {
		writeError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, digest)
}
