package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/history"
	"github.com/wallaby-ao/wallaby/node"
)

// TestAStrangerChecksAProcess takes a process's history from a node, from its
// scheduler's JSON and from a file, verifies each, and replays them against what
// the node, and liars, say of the results.
func TestAStrangerChecksAProcess(t *testing.T) {
	n, dir := openAosNode(t, nil)
	module := aosModule(t)
	urls := n.Info().URLs
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	process := mustRun(t, "spawn", "aos2_0_6")
	eval := func(code string) { mustRun(t, "send", process, "--action", "Eval", "--data", code, "--wait") }
	for i := range 5 {
		eval(fmt.Sprintf("Count = (Count or 0) + %d; return Count", i))
	}
	path := func(name string) string { return filepath.Join(dir, name) }

	t.Run("from a node, and once more when there is more", func(t *testing.T) {
		mustRun(t, "import", process, "--from", urls.Gateway, "--module", "--out", path("node.aolog"))
		eval("return 'more'")
		if said := mustRun(t, "import", process, "--from", urls.Gateway, "--module", "--out", path("node.aolog")); !strings.Contains(said, "7 places of process "+process+", 1 of them new") {
			t.Errorf("import: %s", said)
		}
		if said := mustRun(t, "verify", path("node.aolog")); !strings.Contains(said, "proven: every signature") || !strings.Contains(said, "15 checked") {
			t.Errorf("verify: %s", said)
		}
	})
	t.Run("from a scheduler's JSON, to standard output, and from a file", func(t *testing.T) {
		b := mustRun(t, "import", process, "--from", urls.SU, "--kind", "su", "--out", "-")
		if err := os.WriteFile(path("piped.aolog"), []byte(b), 0o644); err != nil {
			t.Fatal(err)
		}
		mustRun(t, "import", process, "--from", path("piped.aolog"), "--out", path("su.aolog"))
		var report history.Report
		if err := json.Unmarshal([]byte(mustRun(t, "verify", path("su.aolog"), "-o", "json")), &report); err != nil || report.Entries != 7 || !report.OK() {
			t.Errorf("verify: %+v, %v", report, err)
		}
		said := mustRun(t, "replay", path("su.aolog"), "--module", module)
		if !strings.Contains(said, "equal") {
			t.Errorf("replay: %s", said)
		}
		if failed := runCommand(t, "", "replay", path("su.aolog")); failed.code != exitNotFound || !strings.Contains(failed.stderr, "--module") {
			t.Errorf("a replay without the module: %+v", failed)
		}
	})
	t.Run("replayed as on the node", func(t *testing.T) {
		var here, there engine.Replay
		mustDecode(t, mustRun(t, "replay", path("node.aolog"), "-o", "json", "--results", path("results.jsonl")), &here)
		mustDecode(t, mustRun(t, "replay", process, "-o", "json"), &there)
		if here.Machines[0].Results != there.Machines[0].Results || here.Machines[0].Root != there.Machines[0].Root || here.Messages != 7 {
			t.Errorf("here %+v, on the node %+v", here, there)
		}
		page := runBody(t, urls.CU+"/results/"+process+"?limit=100")
		if err := os.WriteFile(path("page.json"), page, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, against := range []string{urls.Gateway, urls.CU, path("results.jsonl"), path("page.json")} {
			if said := mustRun(t, "replay", path("node.aolog"), "--against", against); !strings.Contains(said, "compared with 7 of 7 results") {
				t.Errorf("against %s: %s", against, said)
			}
		}
	})
	t.Run("a result that is altered is caught at its nonce", func(t *testing.T) {
		b, err := os.ReadFile(path("results.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		lie := bytes.Replace(b, []byte(`"data":"3"`), []byte(`"data":"4"`), 1) // of nonce 3: 0 + 1 + 2
		if bytes.Equal(b, lie) {
			t.Fatalf("the results are %s", b)
		}
		if err := os.WriteFile(path("lie.jsonl"), lie, 0o644); err != nil {
			t.Fatal(err)
		}
		liar := httptest.NewServer(lyingUnit(t, urls.CU, "nothing"))
		defer liar.Close()
		for _, against := range []string{path("lie.jsonl"), liar.URL} {
			failed := runCommand(t, "", "replay", path("node.aolog"), "--against", against)
			if failed.code != exitVerification || !strings.Contains(failed.stderr, "differs at nonce 3") {
				t.Errorf("against %s: %+v", against, failed)
			}
		}
	})
	t.Run("a replay that was stopped goes on", func(t *testing.T) {
		whole, err := os.ReadFile(path("results.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		var before, after engine.Replay
		mustDecode(t, mustRun(t, "replay", path("node.aolog"), "-o", "json"), &before)
		stopped := runCommand(t, "", "replay", path("node.aolog"), "--against", path("lie.jsonl"), "--results", path("stopped.jsonl"), "--keep-every", "1ns")
		if stopped.code != exitVerification {
			t.Fatalf("it did not stop: %+v", stopped)
		}
		file, err := os.OpenFile(path("stopped.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = file.WriteString(`{"nonce":4,"mess`)
		}
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		// What was given before is still compared.
		early := strings.Replace(string(whole), `"data":"1"`, `"data":"2"`, 1)
		if err := os.WriteFile(path("early.jsonl"), []byte(early), 0o644); err != nil {
			t.Fatal(err)
		}
		args := []string{"replay", path("node.aolog"), "-o", "json", "--results", path("stopped.jsonl")}
		if failed := runCommand(t, "", append(args, "--against", path("early.jsonl"))...); failed.code != exitVerification || !strings.Contains(failed.stderr, "differs at nonce 2: it has given") {
			t.Fatalf("against an early lie: %+v", failed)
		}
		mustDecode(t, mustRun(t, append(args, "--against", path("results.jsonl"))...), &after)
		if after.Machines[0].Results != before.Machines[0].Results || after.Machines[0].Root != before.Machines[0].Root || after.Messages != before.Messages {
			t.Errorf("stopped %+v, at one go %+v", after, before)
		}
		if got, err := os.ReadFile(path("stopped.jsonl")); err != nil || !bytes.Equal(got, whole) {
			t.Errorf("the results are %s, %v", got, err)
		}
		if _, err := os.Stat(path("stopped.jsonl.state")); err == nil {
			t.Error("the state of a replay that is done was left behind")
		}
	})
	t.Run("a history that is altered is refused", func(t *testing.T) {
		b, err := os.ReadFile(path("node.aolog"))
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(b, []byte("return 'more'"))
		b[at] ^= 1
		if err := os.WriteFile(path("bad.aolog"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		if failed := runCommand(t, "", "verify", path("bad.aolog")); failed.code != exitVerification || !strings.Contains(failed.stdout, "6      damaged") {
			t.Errorf("verify: %+v", failed)
		}
		if failed := runCommand(t, "", "replay", path("bad.aolog")); failed.code != exitError || !strings.Contains(failed.stderr, "entry at nonce 6") {
			t.Errorf("replay: %+v", failed)
		}
		if failed := runCommand(t, "", "import", process, "--from", urls.Gateway, "--out", path("bad.aolog")); failed.code != exitError || !strings.Contains(failed.stderr, "see wallaby verify") {
			t.Errorf("import: %+v", failed)
		}
	})
	t.Run("a proof says true, false or cannot", func(t *testing.T) {
		mustRun(t, "proof", "make", process, "3", "--out", path("node.aoproof"))
		mustRun(t, "proof", "make", path("node.aolog"), "3", "--out", path("file.aoproof"))
		b, err := os.ReadFile(path("node.aoproof"))
		if err != nil {
			t.Fatal(err)
		}
		if other, err := os.ReadFile(path("file.aoproof")); err != nil || !bytes.Equal(b, other) {
			t.Errorf("the proof from a node and the one from a file differ: %v", err)
		}
		if said := mustRun(t, "proof", "verify", path("node.aoproof")); !strings.Contains(said, `"data":"3"`) || !strings.Contains(said, "true, from the beginning") {
			t.Errorf("verify: %s", said)
		}
		mustRun(t, "proof", "make", path("node.aolog"), "6", "--from-checkpoint", "4", "--out", path("short.aoproof"))
		if said := mustRun(t, "proof", "verify", path("short.aoproof")); !strings.Contains(said, "true, given the state with root") {
			t.Errorf("verify from a checkpoint: %s", said)
		}
		var verdict node.Verdict
		mustDecode(t, mustRun(t, "proof", "verify", path("node.aoproof"), "-o", "json"), &verdict)
		if !verdict.Holds || verdict.Nonce != 3 || verdict.Messages != 4 {
			t.Errorf("verdict: %+v", verdict)
		}
		lie := rewriteStatement(t, b, `"data":"3"`, `"data":"4"`)
		if err := errors.Join(os.WriteFile(path("lie.aoproof"), lie, 0o644), os.WriteFile(path("bad.aoproof"), b[:len(b)-1], 0o644)); err != nil {
			t.Fatal(err)
		}
		if failed := runCommand(t, "", "proof", "verify", path("lie.aoproof")); failed.code != exitVerification || !strings.Contains(failed.stdout, "false: the replay came to something else") {
			t.Errorf("a lie: %+v", failed)
		}
		if failed := runCommand(t, "", "proof", "verify", path("bad.aoproof")); failed.code != exitError || !strings.Contains(failed.stderr, "cannot say") {
			t.Errorf("a proof that was cut off: %+v", failed)
		}
		if failed := runCommand(t, "", "proof", "make", path("su.aolog"), "3", "--out", path("no.aoproof")); failed.code != exitError || !strings.Contains(failed.stderr, "--module") {
			t.Errorf("a history without a module: %+v", failed)
		}
		if _, err := os.Stat(path("no.aoproof")); err == nil {
			t.Error("a proof of nothing was left behind")
		}
	})
	t.Run("what is not there is named", func(t *testing.T) {
		unknown := strings.Repeat("A", 43)
		if failed := runCommand(t, "", "import", unknown, "--from", urls.SU, "--out", path("no.aolog")); failed.code != exitNotFound {
			t.Errorf("an unknown process: %+v", failed)
		}
		if _, err := os.Stat(path("no.aolog")); err == nil {
			t.Error("a history of nothing was left behind")
		}
		if failed := runCommand(t, "", "import", unknown, "--from", urls.SU, "--out", path("su.aolog")); failed.code != exitUsage || !strings.Contains(failed.stderr, "--out") {
			t.Errorf("another process's file: %+v", failed)
		}
	})
}

// rewriteStatement has a proof say something else of the result, with checksums that
// fit.
func rewriteStatement(t *testing.T, b []byte, old, with string) []byte {
	t.Helper()
	reader, err := history.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := history.NewWriter(&out, reader.Header())
	for err == nil {
		var r history.Record
		if r, err = reader.Next(); err != nil || r.Kind == history.KindIndex {
			break
		}
		if r.Kind == history.KindStatement {
			r.Payload = bytes.Replace(r.Payload, []byte(old), []byte(with), 1)
		}
		err = w.Write(r)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func mustDecode(t *testing.T, text string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), to); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

func runBody(t *testing.T, target string) []byte {
	t.Helper()
	response, err := http.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// lyingUnit is a compute unit that says 4 where the process has said 3, and lacks a
// route.
func lyingUnit(t *testing.T, cu, without string) http.Handler {
	t.Helper()
	target, err := url.Parse(cu)
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, without) {
			http.NotFound(w, r)
			return
		}
		recorder := httptest.NewRecorder()
		httputil.NewSingleHostReverseProxy(target).ServeHTTP(recorder, r)
		w.WriteHeader(recorder.Code)
		_, _ = w.Write(bytes.Replace(recorder.Body.Bytes(), []byte(`"data":"3"`), []byte(`"data":"4"`), 1))
	})
}

func TestResultsAreComparedByWhatTheySay(t *testing.T) {
	for name, c := range map[string]struct {
		one, other string
		same       bool
	}{
		"order and gas":    {`{"Messages":[],"Output":{"a":1,"b":2},"GasUsed":1}`, `{"GasUsed":2,"Output":{"b":2,"a":1}}`, true},
		"an empty list":    {`{"Messages":{},"Spawns":[]}`, `{"Messages":[]}`, true},
		"no error":         {`{"Error":null,"Output":""}`, `{}`, true},
		"another output":   {`{"Output":"1"}`, `{"Output":"2"}`, false},
		"another message":  {`{"Messages":[{"Target":"a"}]}`, `{"Messages":[{"Target":"b"}]}`, false},
		"a message more":   {`{"Messages":[{"Target":"a"}]}`, `{"Messages":[]}`, false},
		"an error":         {`{"Error":"x"}`, `{}`, false},
		"a number's text":  {`{"Output":{"n":1.0}}`, `{"Output":{"n":1}}`, false},
		"a spawn the less": {`{"Spawns":[]}`, `{"Spawns":[{"Tags":[]}]}`, false},
	} {
		if same, err := sameResult(json.RawMessage(c.one), json.RawMessage(c.other)); err != nil || same != c.same {
			t.Errorf("%s: %t, %v", name, same, err)
		}
	}
	if _, err := sameResult(json.RawMessage(`{}`), json.RawMessage(`[]`)); err == nil {
		t.Error("a list is no result")
	}
}

func TestABarSaysHowFarItIs(t *testing.T) {
	for _, c := range []struct {
		done, total uint64
		want        string
	}{
		{50, 100, "replay [############............] 50 of 100, 5/s, 10s to go"},
		{100, 100, "replay [########################] 100 of 100, 10/s"},
		{7, 0, "replay 7, 1/s"},
	} {
		if got := barText("replay", c.done, c.total, 10*time.Second); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestAHistoryWithCronsIsNotReplayedWithoutBlocks: what ticks see of blocks is in no
// file, so a result of them would prove nothing.
// TestAHistoryWithCronsIsReplayed has crons of time and of blocks run between messages
// and behind the last one, and runs the file again without the node.
func TestAHistoryWithCronsIsReplayed(t *testing.T) {
	var aheadMS atomic.Int64
	n, dir := openAosNode(t, func(o *node.Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(aheadMS.Load()) * time.Millisecond) }
	})
	gateway := n.Info().URLs.Gateway
	process := mustRun(t, "spawn", "aos2_0_6", "--tag", "Cron-Interval=10-minutes", "--tag", "Cron-Interval=3-blocks", "--tag", "Cron-Tag-Action=Tick")
	count := "Handlers.prepend('tick', 'Tick', function(m) Ticks = (Ticks or 0) * 3 + m['Block-Height'] + m.Timestamp % 1000 return 'continue' end)"
	mustRun(t, "send", process, "--action", "Eval", "--data", count, "--wait")
	mustRun(t, "monitor", process)
	for range 3 {
		aheadMS.Add(25 * 60 * 1000)
		mustRun(t, "send", process, "--action", "Eval", "--data", "return Ticks", "--wait")
	}
	aheadMS.Add(45 * 60 * 1000)
	// What time was promised to pass is evaluated.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var crons []node.CronsInfo
		mustDecode(t, mustRun(t, "cron", "list", "-o", "json"), &crons)
		if len(crons) == 1 && crons[0].Behind == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the crons are still behind: %+v", crons)
		}
	}
	file := filepath.Join(dir, "history.aolog")
	mustRun(t, "import", process, "--from", gateway, "--module", "--out", file)
	var report history.Report
	mustDecode(t, mustRun(t, "verify", file, "-o", "json"), &report)
	if len(report.Findings) != 0 {
		t.Errorf("findings: %+v", report.Findings)
	}
	if text := mustRun(t, "replay", file, "--against", gateway); !strings.Contains(text, "equal: every result") {
		t.Errorf("a replay:\n%s", text)
	}
	var own ao.StateRoot
	mustDecode(t, mustRun(t, "state", process, "-o", "json"), &own)
	if text := mustRun(t, "replay", file); own.Tick == 0 || !strings.Contains(text, own.Root.String()) {
		t.Errorf("the node's state is %+v, and a replay came to\n%s", own, text)
	}

	// No blocks behind one message, and the replay comes to something else.
	other := filepath.Join(dir, "other.aolog")
	rewriteTimes(t, file, other, func(passed *history.Time) {
		if passed.Nonce == 2 {
			passed.Blocks = nil
		}
	})
	if differs := runCommand(t, "", "replay", other, "--against", gateway); differs.code != exitVerification {
		t.Errorf("without blocks: %+v", differs)
	}
	// What contradicts the log is found.
	for what, change := range map[string]func(*history.Time){
		"until":       func(passed *history.Time) { passed.UntilMS += 60_000 },
		"it is about": func(passed *history.Time) { passed.Process = ao.ID{1} },
		"blocks that are not": func(passed *history.Time) {
			passed.Blocks = append(passed.Blocks[1:], passed.Blocks[0])
		},
		"blocks between": func(passed *history.Time) { passed.Blocks[0].TimestampMS -= 3_600_000 },
	} {
		rewriteTimes(t, file, other, func(passed *history.Time) {
			if passed.Nonce == 2 {
				change(passed)
			}
		})
		found := runCommand(t, "", "verify", other)
		if found.code != exitVerification || !strings.Contains(found.stdout, what) {
			t.Errorf("%s: %+v", what, found)
		}
	}
	// Without a record of time there is no telling.
	rewriteTimes(t, file, other, nil)
	if failed := runCommand(t, "", "replay", other); failed.code != exitError || !strings.Contains(failed.stderr, "wallaby replay "+process) {
		t.Errorf("without time: %+v", failed)
	}
}

// rewriteTimes writes a history again with its records of time changed; nil leaves
// them out.
func rewriteTimes(t *testing.T, from, to string, change func(*history.Time)) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := history.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := history.NewWriter(&out, reader.Header())
	for err == nil {
		var r history.Record
		if r, err = reader.Next(); err != nil || r.Kind == history.KindIndex {
			break
		}
		if r.Kind == history.KindTime {
			if change == nil {
				continue
			}
			passed, timeErr := r.Time()
			if timeErr != nil {
				t.Fatal(timeErr)
			}
			change(&passed)
			r = history.TimeRecord(passed)
		}
		err = w.Write(r)
	}
	if err := errors.Join(err, w.Close(), os.WriteFile(to, out.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
}
