package gateway

import (
	"net/http"
	"strings"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

const idLength = dataitem.IDLength

// checkBytesMax is the size up to which data from a file is read through before
// the first byte is sent, so that damage is answered by an error.
const checkBytesMax = 64 << 20

// getData serves an id's data as a page would want it; getRaw is the same here,
// because manifests and content encodings are left to the reader.
func (g *Gateway) getData(w http.ResponseWriter, r *http.Request, text string) error {
	return g.getRaw(w, r, text)
}

func (g *Gateway) getRaw(w http.ResponseWriter, r *http.Request, text string) error {
	record, err := g.find(r, text)
	if err != nil {
		return err
	}
	open := g.openData
	if r.Method == http.MethodGet && r.Header.Get("Range") == "" && record.DataSize <= checkBytesMax {
		open = func(record *Record) (*body, error) { return g.openWhole(r.Context(), record) }
	}
	data, err := open(&record)
	if err != nil {
		return err
	}
	defer data.Close()
	describe(w.Header(), &record)
	http.ServeContent(w, r, "", time.Time{}, data)
	return nil
}

func (g *Gateway) find(r *http.Request, text string) (Record, error) {
	id, err := ao.ParseID(text)
	if err != nil {
		return Record{}, ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	return g.Lookup(r.Context(), id)
}

// describe sets the headers of a record's data. The reference messenger reads a
// process's tags from them (it asks whether type is Process).
func describe(h http.Header, r *Record) {
	for _, tag := range r.Tags {
		name := http.CanonicalHeaderKey(tag.Name)
		if _, set := h[name]; !set && isHeaderTag(name, tag.Value) {
			h.Set(name, tag.Value)
		}
	}
	kind := r.ContentType
	if kind == "" || !isHeaderText(kind) {
		kind = "application/octet-stream"
	}
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	// Anyone may upload a page. The sandbox gives it an origin of its own, so
	// that it cannot act as the node's own pages.
	h.Set("Content-Security-Policy", "sandbox allow-scripts allow-forms allow-popups")
	h.Set("ETag", `"`+r.ID.String()+`"`)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	if r.Pinned {
		// Another file may be pinned under the same id.
		h.Del("ETag")
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Wallaby-Pinned", "true")
	}
}

// isHeaderTag refuses names that would say something about the response itself
// and names and values that cannot stand in a header.
func isHeaderTag(name, value string) bool {
	for _, prefix := range []string{"Access-Control-", "Content-", "Cross-Origin-", "X-", "Sec-", "Proxy-", "If-"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	switch name {
	case "", "Accept-Ranges", "Age", "Alt-Svc", "Cache-Control", "Clear-Site-Data", "Connection", "Date", "Etag", "Expires", "Host",
		"Keep-Alive", "Last-Modified", "Link", "Location", "Nel", "Permissions-Policy", "Pragma", "Referrer-Policy", "Refresh",
		"Report-To", "Reporting-Endpoints", "Retry-After", "Server", "Service-Worker-Allowed", "Set-Cookie", "Sourcemap",
		"Strict-Transport-Security", "Te", "Timing-Allow-Origin", "Trailer", "Transfer-Encoding", "Upgrade", "Vary", "Via", "Warning",
		"Www-Authenticate":
		return false
	}
	for _, c := range []byte(name) {
		if !isTokenByte(c) {
			return false
		}
	}
	return isHeaderText(value)
}

func isTokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// isHeaderText allows printable ASCII, which every client reads alike.
func isHeaderText(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
