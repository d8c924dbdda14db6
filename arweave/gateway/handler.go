package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
)

// Handler serves the gateway's HTTP interface. It cleans doubled slashes itself
// and never redirects, because clients join URLs carelessly and some cannot
// send a body again.
func (g *Gateway) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowOrigins(w.Header())
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		parts := strings.Split(strings.Trim(path.Clean("/"+r.URL.Path), "/"), "/")
		handle, allowed := g.route(r.Method, parts)
		switch {
		case handle != nil:
			if err := handle(w, r); err != nil {
				g.refuse(w, r, err)
			}
		case allowed != "":
			w.Header().Set("Allow", allowed)
			writeError(w, http.StatusMethodNotAllowed, "use "+allowed+" for "+r.URL.Path)
		default:
			writeError(w, http.StatusNotFound, "no such path: "+clip(r.URL.Path))
		}
	})
}

type handlerFunc func(w http.ResponseWriter, r *http.Request) error

// route finds the handler of a path. When the path is served under another
// method only, it names that method.
func (g *Gateway) route(method string, parts []string) (handle handlerFunc, allowed string) {
	get, post := g.routeGet(parts), g.routePost(parts)
	switch method {
	case http.MethodGet, http.MethodHead:
		if get == nil && post != nil {
			return nil, http.MethodPost
		}
		return get, ""
	case http.MethodPost:
		if post == nil && get != nil {
			return nil, "GET, HEAD"
		}
		return post, ""
	}
	if get != nil {
		return nil, "GET, HEAD"
	}
	if post != nil {
		return nil, http.MethodPost
	}
	return nil, ""
}

func (g *Gateway) routePost(parts []string) handlerFunc {
	switch strings.Join(parts, "/") {
	case "graphql":
		return g.postGraphQL
	case "tx":
		return g.postTxOrItem
	case "v1/tx":
		return g.postItem
	case "chunk":
		return g.postChunk
	}
	// A bundler takes the payment token in the path; here every token is as
	// good as another, since nothing is charged.
	if (len(parts) == 2 && parts[0] == "tx") || (len(parts) == 3 && parts[0] == "v1" && parts[1] == "tx") {
		return g.postItem
	}
	return nil
}

func (g *Gateway) routeGet(parts []string) handlerFunc {
	switch len(parts) {
	case 1:
		return g.routeOne(parts[0])
	case 2:
		return g.routeTwo(parts[0], parts[1])
	case 3:
		return g.routeThree(parts[0], parts[1], parts[2])
	}
	return nil
}

func (g *Gateway) routeOne(name string) handlerFunc {
	switch name {
	case "", "info":
		return g.getInfo
	case "graphql":
		return g.getGraphQL
	case "height":
		return g.getHeight
	case "tx_anchor":
		return g.getAnchor
	case "mine":
		return with(g.getMine, "1")
	case "peers":
		return func(w http.ResponseWriter, _ *http.Request) error { return writeJSON(w, http.StatusOK, []string{}) }
	}
	if len(name) == idLength {
		return with(g.getData, name)
	}
	return nil
}

func (g *Gateway) routeTwo(name, argument string) handlerFunc {
	switch name {
	case "raw":
		return with(g.getRaw, argument)
	case "tx":
		return with(g.getTx, argument)
	case "chunk":
		return with(g.getChunk, argument)
	case "price":
		return with(g.getPrice, argument)
	case "mine":
		return with(g.getMine, argument)
	case "block":
		if argument == "current" {
			return g.getCurrentBlock
		}
	}
	return nil
}

func (g *Gateway) routeThree(name, argument, detail string) handlerFunc {
	switch name {
	case "tx":
		switch detail {
		case "status":
			return with(g.getTxStatus, argument)
		case "offset":
			return with(g.getTxOffset, argument)
		}
		return with2(g.getTxField, argument, detail)
	case "price":
		return with2(g.getPriceFor, argument, detail)
	case "mint":
		return with2(g.getMint, argument, detail)
	case "wallet":
		switch detail {
		case "balance":
			return with(g.getBalance, argument)
		case "last_tx":
			return with(g.getLastTx, argument)
		}
	case "block":
		switch argument {
		case "height":
			return with(g.getBlockByHeight, detail)
		case "hash":
			return with(g.getBlockByHash, detail)
		}
	}
	return nil
}

func with(handle func(http.ResponseWriter, *http.Request, string) error, argument string) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error { return handle(w, r, argument) }
}

func with2(handle func(http.ResponseWriter, *http.Request, string, string) error, first, second string) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error { return handle(w, r, first, second) }
}

// allowOrigins lets web pages of any origin use the gateway. Credentials are
// never used here, so the wildcard gives nothing away.
func allowOrigins(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "*, Authorization, Content-Type, Range, X-Network")
	h.Set("Access-Control-Expose-Headers", "*, Content-Length, Content-Range, Content-Type, ETag, Type, Process, X-Wallaby-Pinned")
	h.Set("Access-Control-Max-Age", "86400")
}

// statusOf maps the codes that this package uses to HTTP.
func statusOf(err error) int {
	switch ao.CodeOf(err) {
	case ao.CodeInvalid:
		return http.StatusBadRequest
	case ao.CodeNotFound:
		return http.StatusNotFound
	case ao.CodeConflict:
		return http.StatusConflict
	case ao.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case ao.CodeUnavailable:
		return http.StatusServiceUnavailable
	case ao.CodeTimeout:
		return http.StatusRequestTimeout
	}
	return http.StatusInternalServerError
}

func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return
	}
	if errors.Is(err, ErrClosed) {
		err = ao.Errorf(ao.CodeUnavailable, "the gateway is shutting down: try again later")
	}
	status, message := statusOf(err), err.Error()
	if status == http.StatusInternalServerError {
		g.options.Logger.Error().Err(err).Str("path", r.URL.Path).Msg("gateway request failed")
		message = "the gateway's store could not be read or written"
	}
	writeError(w, status, message)
}

func writeError(w http.ResponseWriter, status int, message string) {
	_ = writeJSON(w, status, struct {
		Error string `json:"error"`
	}{message})
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
	return nil
}

func writeText(w http.ResponseWriter, status int, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
	return nil
}

// clip bounds what is quoted from a request.
func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}
