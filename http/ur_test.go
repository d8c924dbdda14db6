package http

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

func TestProcessesHashAsInTheReference(t *testing.T) {
	// Computed with the reference's formula in node 20.
	for text, want := range map[string]uint64{
		"": 3338908027751811, "process": 5922435168732473, "a": 7929297801672961, "é€😀": 7085986628057341,
		"LiaKjkPbu4DCcG2VPmR8U0B_5BJdRHhbIg2dFG131N0": 5736264138635704,
		"MTOAQg_IeijJ6As9i3_gfZMeToYJs8gqCm0lJdVu5QU": 6238444241464099,
	} {
		if got := cyrb53(text); got != want {
			t.Errorf("%q hashes to %d, want %d", text, got, want)
		}
	}
}

// host is a unit that says which it is and what it was asked.
func host(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Host", name)
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, "%s %s %s %d", name, r.Method, r.URL.RequestURI(), len(body))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// gone is the address of a host that is not there.
func gone(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	return s.URL
}

type routerUnderTest struct {
	*testing.T
	url string
}

func newUR(t *testing.T, o UROptions) routerUnderTest {
	t.Helper()
	handler, err := NewUR(o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return routerUnderTest{t, s.URL}
}

// ask gives the status, the answer, and where a redirect leads.
func (r routerUnderTest) ask(method, path, body string) (status int, answer, location string) {
	r.Helper()
	request, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		r.Fatal(err)
	}
	return response.StatusCode, string(b), response.Header.Get("Location")
}

func (r routerUnderTest) says(method, path, body string, status int, text string) {
	r.Helper()
	if got, answer, _ := r.ask(method, path, body); got != status || !strings.Contains(answer, text) {
		r.Errorf("%s %s: %d %.300s, want %d with %q", method, path, got, answer, status, text)
	}
}

func urClient(t *testing.T) *http.Client {
	c := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func TestRequestsGoToTheHostOfTheirProcess(t *testing.T) {
	hosts := []string{host(t, "h0"), host(t, "h1"), host(t, "h2")}
	const process = "LiaKjkPbu4DCcG2VPmR8U0B_5BJdRHhbIg2dFG131N0"
	own := fmt.Sprint("h", cyrb53(process)%3)
	cu := newUR(t, UROptions{Unit: "cu", Hosts: hosts, Client: urClient(t)})
	for _, path := range []string{
		"/results/" + process, "/state/" + process, "/root/" + process + "?nonce=3", "/digest/" + process + "?from=0&to=1", "/cron/" + process,
		"/result/x?process-id=" + process,
	} {
		cu.says(http.MethodGet, path, "", http.StatusAccepted, own+" GET "+path)
	}
	cu.says(http.MethodPost, "/dry-run?process-id="+process, "{}", http.StatusAccepted, own+" POST /dry-run?process-id="+process+" 2")
	cu.says(http.MethodGet, "/", "", http.StatusAccepted, fmt.Sprint("h", cyrb53("process")%3))
	cu.says(http.MethodGet, "/result/x", "", http.StatusNotFound, "Process id not found on request")
	cu.says(http.MethodGet, "/healthcheck", "", http.StatusOK, "OK")
	cu.says(http.MethodGet, "/elsewhere", "", http.StatusNotFound, "there is no GET /elsewhere here")

	mu := newUR(t, UROptions{Unit: "mu", Hosts: hosts, Client: urClient(t)})
	target := ao.ID{7}
	message := create(t, dataitem.Draft{Target: target[:], Tags: protocolTags(ao.TypeMessage)})
	spawned := create(t, dataitem.Draft{Tags: protocolTags(ao.TypeProcess)})
	neither := create(t, dataitem.Draft{Tags: protocolTags("Module")})
	mu.says(http.MethodPost, "/", string(message.Bytes()), http.StatusAccepted, fmt.Sprintf("h%d POST / %d", cyrb53(target.String())%3, len(message.Bytes())))
	mu.says(http.MethodPost, "/", string(spawned.Bytes()), http.StatusAccepted, fmt.Sprint("h", cyrb53(spawned.ID().String())%3))
	mu.says(http.MethodPost, "/", string(neither.Bytes()), http.StatusUnprocessableEntity, "tag Type must be Message or Process")
	mu.says(http.MethodPost, "/", "no item", http.StatusUnprocessableEntity, "not a signed data item")
	mu.says(http.MethodPost, "/?assign=x&process-id="+process, "", http.StatusAccepted, own)
	mu.says(http.MethodPost, "/?assign=x", "", http.StatusNotFound, "Process id not found")
	mu.says(http.MethodDelete, "/monitor/"+process, "", http.StatusAccepted, own+" DELETE")
	mu.says(http.MethodGet, "/?debug", "", http.StatusNotImplemented, "MU Tracing not implemented on the Router")
}

func TestAHostThatIsGoneIsPassedOver(t *testing.T) {
	const process = "LiaKjkPbu4DCcG2VPmR8U0B_5BJdRHhbIg2dFG131N0"
	hosts := []string{host(t, "h0"), host(t, "h1")}
	own := int(cyrb53(process) % 2)
	hosts[own] = gone(t)
	other := fmt.Sprint("h", 1-own)
	now := time.Unix(1, 0)
	r := newUR(t, UROptions{Unit: "cu", Hosts: hosts, Client: urClient(t), Now: func() time.Time { return now }})
	for range 2 {
		r.says(http.MethodGet, "/results/"+process, "", http.StatusAccepted, other)
		r.says(http.MethodPost, "/dry-run?process-id="+process, "body", http.StatusAccepted, other+" POST /dry-run?process-id="+process+" 4")
	}
	none := newUR(t, UROptions{Unit: "cu", Hosts: []string{gone(t), gone(t)}, Client: urClient(t)})
	none.says(http.MethodGet, "/results/"+process, "", http.StatusServiceUnavailable, "none of the 2 hosts can be reached")
}

func TestOperatorsSendProcessesElsewhere(t *testing.T) {
	const process, owned, missing = "LiaKjkPbu4DCcG2VPmR8U0B_5BJdRHhbIg2dFG131N0", "MTOAQg_IeijJ6As9i3_gfZMeToYJs8gqCm0lJdVu5QU", "unknown"
	su := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/processes/"+owned {
			writeError(w, r, ao.Errorf(ao.CodeNotFound, "not here"))
			return
		}
		_, _ = io.WriteString(w, `{"owner":{"address":"the owner"}}`)
	}))
	t.Cleanup(su.Close)
	o := UROptions{
		Unit: "cu", Hosts: []string{host(t, "any")}, SU: su.URL, Client: urClient(t),
		ProcessToHost: map[string]string{process: host(t, "for the process")},
		OwnerToHost:   map[string]string{"the owner": host(t, "for the owner")},
	}
	r := newUR(t, o)
	r.says(http.MethodGet, "/results/"+process, "", http.StatusAccepted, "for the process")
	r.says(http.MethodGet, "/results/"+owned, "", http.StatusAccepted, "for the owner")
	r.says(http.MethodGet, "/results/"+missing, "", http.StatusAccepted, "any")

	module := ao.ID{9}
	target := ao.ID{7}
	mu := newUR(t, UROptions{Unit: "mu", Hosts: o.Hosts, Client: urClient(t), ModuleToHost: map[string]string{module.String(): host(t, "for the module")}})
	pushed := create(t, dataitem.Draft{Target: target[:], Tags: append(protocolTags(ao.TypeMessage), dataitem.Tag{Name: ao.TagFromModule, Value: module.String()})})
	mu.says(http.MethodPost, "/", string(pushed.Bytes()), http.StatusAccepted, "for the module")
}

func TestOnlyReadsAreRedirected(t *testing.T) {
	const process = "LiaKjkPbu4DCcG2VPmR8U0B_5BJdRHhbIg2dFG131N0"
	only := host(t, "only")
	r := newUR(t, UROptions{Unit: "cu", Hosts: []string{only}, Redirect: true, Client: urClient(t)})
	status, _, location := r.ask(http.MethodGet, "/results/"+process+"?limit=3", "")
	if want := only + "/results/" + process + "?limit=3"; status != http.StatusTemporaryRedirect || location != want {
		t.Errorf("a read gives %d to %s, want 307 to %s", status, location, want)
	}
	r.says(http.MethodPost, "/dry-run?process-id="+process, "body", http.StatusAccepted, "only POST")
}

func TestARouterSaysWhatIsWrongWithItsOptions(t *testing.T) {
	for want, o := range map[string]UROptions{
		"at least one host":                {Unit: "cu"},
		`host "ftp://x" is no http URL`:    {Unit: "cu", Hosts: []string{"ftp://x"}},
		`host "x" of p is no http URL`:     {Unit: "cu", Hosts: []string{"http://x"}, ProcessToHost: map[string]string{"p": "x"}},
		"a scheduler's URL is needed":      {Unit: "cu", Hosts: []string{"http://x"}, OwnerToHost: map[string]string{"o": "http://x"}},
		`units of kind cu or mu, not "su"`: {Unit: "su", Hosts: []string{"http://x"}},
	} {
		if _, err := NewUR(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}
