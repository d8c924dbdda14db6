package courier

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/dataitem"
)

func tags(pairs ...string) (list dataitem.Tags) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, dataitem.Tag{Name: pairs[i], Value: pairs[i+1]})
	}
	return list
}

func TestWhoseAProcessIs(t *testing.T) {
	w := newWorld(t)
	w.local.items[ao.ID{10}] = tags("Type", "Process", "Scheduler", scheduler.String())
	w.upstream.items[ao.ID{11}] = tags("Type", "Process", "Scheduler", "somebody")
	w.local.items[ao.ID{12}] = tags("Type", "Message", "Scheduler", "somebody")
	w.local.items[ao.ID{13}] = tags("Type", "Process", "Scheduler", own.String())
	w.local.items[ao.ID{14}] = tags("Type", "Process")
	w.local.items[ao.ID{15}] = tags("Type", "Process", "Scheduler", "somebody", "Variant", "ao.N.1")
	for id, want := range map[ao.ID]struct {
		scheduler string
		code      ao.Code
		says      string
	}{
		{10}: {scheduler: scheduler.String()}, {11}: {scheduler: "somebody"}, {12}: {}, {99}: {},
		{13}: {code: ao.CodeNotFound, says: "has no such process"},
		{14}: {code: ao.CodeUnprocessable, says: "names no scheduler"},
		{15}: {code: ao.CodeUnprocessable, says: "ao.N.1"},
	} {
		got, err := w.SchedulerOf(t.Context(), id)
		if got != want.scheduler || err == nil && want.code != "" {
			t.Errorf("%v: %q, %v", id[0], got, err)
		}
		if err != nil && (ao.CodeOf(err) != want.code || !strings.Contains(err.Error(), want.says)) {
			t.Errorf("%v: %v, want %s", id[0], err, want.code)
		}
	}
}

// TestAnIDIsUnknownOnlyWhenAllHaveSaidSo: a message to a process must not be taken
// for one to a wallet because a gateway is down.
func TestAnIDIsUnknownOnlyWhenAllHaveSaidSo(t *testing.T) {
	second := newBook()
	w := newWorld(t, func(o *Options) { o.Upstream = append(o.Upstream, second) })
	w.upstream.set(true)
	if got, err := w.SchedulerOf(t.Context(), process); !isLater(err) || !strings.Contains(err.Error(), "on holiday") {
		t.Errorf("%q, %v", got, err)
	}
	second.set(true)
	if _, err := w.SchedulerOf(t.Context(), process); strings.Count(err.Error(), "on holiday") != 2 || strings.Contains(err.Error(), "\n") {
		t.Errorf("two failures on one line: %v", err)
	}
	second.set(false)
	second.put(process, scheduler, "http://su.example", "1000")
	if got, err := w.SchedulerOf(t.Context(), process); got != scheduler.String() || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	// What is known of a process holds for ever.
	second.set(true)
	if got, err := w.SchedulerOf(t.Context(), process); got != scheduler.String() || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestALocationHoldsAsLongAsItSays(t *testing.T) {
	for timeToLive, holds := range map[string]time.Duration{
		"60000": time.Minute, "3600000": time.Hour, "1": holdsMin, "0": holdsMin, "-5": holdsMin, "": holdsMin, "soon": holdsMin,
		"9223372036854775807": holdsMax, "99999999999999999999999": holdsMin,
	} {
		w := newWorld(t)
		w.upstream.put(process, scheduler, "http://old.example/su/", timeToLive)
		locate := func() string {
			at, err := w.locate(t.Context(), scheduler.String())
			if err != nil {
				t.Error(err)
			}
			return at
		}
		first := locate()
		w.upstream.put(process, scheduler, "http://new.example", timeToLive)
		w.clock.pass(holds - time.Millisecond)
		second := locate()
		w.clock.pass(time.Millisecond)
		if third := locate(); first != "http://old.example/su" || second != first || third != "http://new.example" {
			t.Errorf("%q: %s, %s, %s", timeToLive, first, second, third)
		}
		// A gateway that is down does not make it unknown.
		w.clock.pass(holdsMax)
		w.upstream.set(true)
		if got := locate(); got != "http://new.example" {
			t.Errorf("%q: %s without a gateway", timeToLive, got)
		}
	}
}

func TestOthersAreAskedBeforeThisNodesOwnGateway(t *testing.T) {
	w := newWorld(t)
	w.local.put(process, scheduler, "http://replayed.example", "60000")
	w.upstream.put(process, scheduler, "http://true.example", "60000")
	if at, err := w.locate(t.Context(), scheduler.String()); at != "http://true.example" || err != nil {
		t.Errorf("%s, %v", at, err)
	}
	alone := newWorld(t, func(o *Options) { o.Upstream = nil })
	alone.local.put(process, scheduler, "http://here.example", "60000")
	if at, err := alone.locate(t.Context(), scheduler.String()); at != "http://here.example" || err != nil {
		t.Errorf("%s, %v", at, err)
	}
}

func TestWhichSchedulersAreKnown(t *testing.T) {
	w := newWorld(t)
	w.upstream.put(process, scheduler, "http://su.example", "60000")
	w.upstream.put(ao.ID{20}, own, "http://own.example", "60000")
	for address, want := range map[string]bool{scheduler.String(): true, own.String(): false, ao.ID{9}.String(): false, "scheduler": false, "": false} {
		if known, err := w.Knows(t.Context(), address); known != want || err != nil {
			t.Errorf("%q: %v, %v", address, known, err)
		}
	}
}

func TestUselessLocationsAreNamed(t *testing.T) {
	for _, url := range []string{"", "su.example", "ftp://su.example", "http://", "http://user:secret@su.example", "http://su.example:port", "://"} {
		w := newWorld(t)
		w.upstream.put(process, scheduler, url, "60000")
		if at, err := w.locate(t.Context(), scheduler.String()); !isLater(err) || !strings.Contains(err.Error(), "no usable location") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %q, %v", url, at, err)
		}
	}
	w := newWorld(t)
	err := w.Post(t.Context(), "0x5d054d55c3893420038f2312be5250b17Ed13B52", item(t))
	if ao.CodeOf(err) != ao.CodeUnprocessable || isLater(err) {
		t.Errorf("an address no gateway knows: %v", err)
	}
	if err := w.Post(t.Context(), scheduler.String(), item(t)); !isLater(err) || !strings.Contains(err.Error(), "no Scheduler-Location") {
		t.Errorf("no location: %v", err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.RememberMax = 5 })
	for i := range 40 {
		w.upstream.put(ao.ID{1, byte(i)}, ao.ID{2, byte(i)}, "http://su.example", "60000")
		if _, err := w.SchedulerOf(t.Context(), ao.ID{1, byte(i)}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.locate(t.Context(), ao.ID{2, byte(i)}.String()); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.mu.schedulers) > 5 || len(w.mu.locations) > 5 {
		t.Errorf("%d processes and %d schedulers are remembered", len(w.mu.schedulers), len(w.mu.locations))
	}
}

// TestGatewaysAnswerAlike asks one gateway in both ways.
func TestGatewaysAnswerAlike(t *testing.T) {
	g, err := gateway.Open(gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	key := make([]byte, 32)
	signer, err := dataitem.NewEd25519Signer(key)
	if err != nil {
		t.Fatal(err)
	}
	owner := dataitem.AddressOf(signer.Owner())
	var newest *dataitem.Item
	for _, url := range []string{"http://one.example", "http://two.example"} {
		newest, err = dataitem.Create(dataitem.Draft{Data: []byte("1984"), Tags: tags(
			"Data-Protocol", "ao", "Variant", "ao.TN.1", "Type", "Scheduler-Location", "Url", url, "Time-To-Live", "60000")}, signer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.PutItem(t.Context(), newest); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(g.Handler())
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	remote, err := NewRemote(server.URL+"/graphql", server.Client())
	if err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]Source{"embedded": Embedded{g}, "remote": remote} {
		got, found, err := source.Tags(t.Context(), newest.ID())
		if err != nil || !found || lookup(got, "Url") != "http://two.example" {
			t.Errorf("%s: %v, %v, %v", name, got, found, err)
		}
		got, found, err = source.Location(t.Context(), owner)
		if err != nil || !found || lookup(got, "Url") != "http://two.example" {
			t.Errorf("%s: location %v, %v, %v", name, got, found, err)
		}
		if got, found, err := source.Tags(t.Context(), ao.ID{9}); found || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if got, found, err := source.Location(t.Context(), ao.ID{9}); found || err != nil {
			t.Errorf("%s: location %v, %v", name, got, err)
		}
	}
	server.Close()
	if _, found, err := remote.Tags(t.Context(), newest.ID()); found || err == nil {
		t.Error("a gateway that is gone has answered")
	}
}

func TestGatewaysHaveURLs(t *testing.T) {
	for text, want := range map[string]string{
		"https://arweave.net": "https://arweave.net", "https://arweave.net/": "https://arweave.net",
		"https://arweave.net/graphql": "https://arweave.net", "http://127.0.0.1:4000/a/graphql/": "http://127.0.0.1:4000/a",
	} {
		if r, err := NewRemote(text, http.DefaultClient); err != nil || r.client.BaseURL != want {
			t.Errorf("%s: %+v, %v", text, r, err)
		}
	}
	for _, text := range []string{"", "arweave.net", "ftp://arweave.net", "http://", "https://me:you@arweave.net"} {
		if _, err := NewRemote(text, http.DefaultClient); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
