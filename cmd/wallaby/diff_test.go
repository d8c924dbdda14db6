package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/bits"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/diff"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/history"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// liar is a compute unit that lies at one nonce, and commits to what it says.
type liar struct {
	*testing.T
	results []engine.ReplayResult
	at      uint64
	asked   int
	// loose has it tell the truth of the one result that it has committed to lie of.
	loose bool
}

func (l *liar) result(nonce uint64) []byte {
	result := l.results[nonce].Result
	if nonce == l.at {
		result = bytes.Replace(result, []byte(`"Error"`), []byte(`"error"`), 1)
		result = bytes.Replace(result, []byte(`"data":"`), []byte(`"data":"1`), 1)
	}
	return result
}

// ServeHTTP serves digests alone.
func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/digest/") {
		http.NotFound(w, r)
		return
	}
	l.asked++
	from, errFrom := strconv.ParseUint(r.URL.Query().Get("from"), 10, 64)
	to, errTo := strconv.ParseUint(r.URL.Query().Get("to"), 10, 64)
	if errFrom != nil || errTo != nil || to >= uint64(len(l.results)) {
		l.Errorf("asked for %s", r.URL)
	}
	answer := engine.ResultsDigest{From: from, To: to, Newest: uint64(len(l.results)) - 1}
	var digest diff.Digest
	for nonce := from; nonce <= to; nonce++ {
		digest = digest.Add(l.result(nonce))
	}
	answer.Digest = ao.ID(digest)
	if from == to {
		answer.Message, answer.Result = &l.results[from].Message, l.result(from)
		if l.loose {
			answer.Result = l.results[from].Result
		}
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		l.Error(err)
	}
}

// TestALiarIsCaughtAtItsNonce compares a history with nodes that lie at each nonce, and
// counts how often they are asked.
func TestALiarIsCaughtAtItsNonce(t *testing.T) {
	n, dir := openAosNode(t, nil)
	urls := n.Info().URLs
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	process := mustRun(t, "spawn", "aos2_0_6")
	for i := range 20 {
		mustRun(t, "send", process, "--action", "Eval", "--data", fmt.Sprintf("Count = (Count or 0) + %d; return Count", i))
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	log := path("node.aolog")
	mustRun(t, "import", process, "--from", urls.Gateway, "--module", "--out", log)
	mustRun(t, "replay", log, "--results", path("results.jsonl"))
	honest := resultsOf(t, urls.CU, process, 21)

	t.Run("an honest node", func(t *testing.T) {
		for _, sides := range [][]string{
			{log, urls.Gateway}, {urls.CU, log}, {urls.Gateway, urls.CU, "--process", process},
			{log, path("results.jsonl")}, {path("results.jsonl"), path("results.jsonl")}, {log + "@wazero", log + "@wazero-interpreter"}, {log, log},
		} {
			if said := mustRun(t, append([]string{"diff"}, sides...)...); !strings.Contains(said, "equal: 21 nonces") {
				t.Errorf("%v: %s", sides, said)
			}
		}
	})
	t.Run("a liar", func(t *testing.T) {
		for at := range honest {
			unit := &liar{T: t, results: honest, at: uint64(at)}
			server := httptest.NewServer(unit)
			for i, sides := range [][]string{{log, server.URL}, {server.URL, urls.Gateway, "--process", process}} {
				if at%7 != 0 && i == 0 {
					continue // a replay each time would take long
				}
				unit.asked = 0
				failed := runCommand(t, "", append([]string{"diff", "-o", "json"}, sides...)...)
				var d difference
				mustDecode(t, failed.stdout, &d)
				if failed.code != exitVerification || d.First == nil || d.First.Nonce != uint64(at) || d.First.What != "results" || d.First.Message != honest[at].Message || len(d.First.Fields) == 0 {
					t.Fatalf("a lie at %d, %v: %+v", at, sides, failed)
				}
				// Whether it gives digests, how far it is, and the result come on top.
				if most := 3 + 1 + bits.Len(uint(len(honest)-1)); unit.asked > most {
					t.Errorf("a lie at %d, %v: asked %d times, at most %d are needed", at, sides, unit.asked, most)
				}
			}
			server.Close()
		}
	})
	t.Run("a liar that commits to another lie", func(t *testing.T) {
		server := httptest.NewServer(&liar{T: t, results: honest, at: 5, loose: true})
		defer server.Close()
		if failed := runCommand(t, "", "diff", server.URL, urls.Gateway, "--process", process); failed.code != exitError || !strings.Contains(failed.stderr, "commits to another result of nonce 5") {
			t.Errorf("%+v", failed)
		}
	})
	t.Run("a unit without digests", func(t *testing.T) {
		server := httptest.NewServer(lyingUnit(t, urls.CU, "/digest/"))
		defer server.Close()
		failed := runCommand(t, "", "diff", log, server.URL)
		if failed.code != exitVerification || !strings.Contains(failed.stdout, "the results differ at nonce 3,") || !strings.Contains(failed.stdout, `Output.data  "3"  "4"`) {
			t.Errorf("%+v", failed)
		}
		if failed := runCommand(t, "", "diff", urls.Gateway, server.URL, "--process", process); failed.code == exitOK || !strings.Contains(failed.stderr, "can be compared with a history") {
			t.Errorf("without a history: %+v", failed)
		}
	})
	t.Run("files", func(t *testing.T) {
		lie, err := os.ReadFile(path("results.jsonl"))
		if err == nil {
			err = os.WriteFile(path("lie.jsonl"), bytes.Replace(lie, []byte(`"data":"3"`), []byte(`"data":"4"`), 1), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		for sides, want := range map[[2]string]string{
			{log, path("lie.jsonl")}:                   `"3"  "4"`,
			{path("lie.jsonl"), log}:                   `"4"  "3"`,
			{path("results.jsonl"), path("lie.jsonl")}: `"3"  "4"`,
		} {
			if failed := runCommand(t, "", "diff", sides[0], sides[1]); failed.code != exitVerification || !strings.Contains(failed.stdout, "differ at nonce 3") || !strings.Contains(failed.stdout, want) {
				t.Errorf("%v: %+v", sides, failed)
			}
		}
	})
	t.Run("histories that part", func(t *testing.T) {
		forkHistory(t, log, path("fork.aolog"), 13)
		failed := runCommand(t, "", "diff", log, path("fork.aolog"))
		if failed.code != exitVerification || !strings.Contains(failed.stdout, "the histories differ at nonce 13,") || !strings.Contains(failed.stdout, `"another message"`) {
			t.Errorf("%+v", failed)
		}
	})
	t.Run("what cannot be compared", func(t *testing.T) {
		for want, sides := range map[string][]string{
			"--process":          {urls.Gateway, urls.CU},
			"wallaby import":     {path("results.jsonl"), urls.CU, "--process", process},
			"is the history of":  {log, urls.CU, "--process", strings.Repeat("A", 42) + "E"},
			"holds no results":   {log, path("wallet.json")},
			"no such file":       {log, path("nothing.aolog")},
			"wallaby vm list":    {log, log + "@nothing"},
			"want 2 argument(s)": {log},
		} {
			if failed := runCommand(t, "", append([]string{"diff"}, sides...)...); failed.code == exitOK || failed.code == exitVerification || !strings.Contains(failed.stderr, want) {
				t.Errorf("%v: %+v", sides, failed)
			}
		}
	})
}

func resultsOf(t *testing.T, base, process string, count uint64) (results []engine.ReplayResult) {
	t.Helper()
	id, err := ao.ParseID(process)
	if err != nil {
		t.Fatal(err)
	}
	for nonce := range count {
		message, result, err := unit{base, base, id}.result(t.Context(), nonce)
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, engine.ReplayResult{Nonce: nonce, Message: message, Result: result})
	}
	return results
}

// forkHistory writes a history that is another from a nonce on, where it ends.
func forkHistory(t *testing.T, from, to string, nonce uint64) {
	t.Helper()
	file, closeFile, err := openHistoryFile(from)
	if err != nil {
		t.Fatal(err)
	}
	defer closeFile()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, err := history.NewWriter(out, file.Header())
	if err == nil {
		err = file.Entries(0, nonce, func(r history.Record) error {
			if r.Nonce == nonce {
				e, err := r.Entry()
				if err != nil {
					return err
				}
				item := logtest.MessageItem(t, logtest.Signer(t, 3), e.Process, "another message")
				e.Message = item.ID()
				if e, err = aolog.SignEntry(e.Assignment, item, [32]byte{1}, logtest.Signer(t, 4)); err != nil {
					return err
				}
				r = history.EntryRecord(e)
			}
			return w.Write(r)
		})
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestADifferenceIsShownToAPerson prints one that has everything.
func TestADifferenceIsShownToAPerson(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: &out, output: outputTable}
	long := strings.Repeat("x", 100)
	err := a.printDifference(difference{
		Process: ao.ID{1}, A: "h.aolog@wazero", B: "h.aolog@bent", Compared: 5,
		First: &firstNonce{
			Nonce: 4, Message: ao.ID{2}, What: "states",
			Fields: []diff.Field{{Path: "Output.data", A: `"` + long + `1"`, B: `"` + long + `2"`}, {Path: "Spawns[0]", B: `{}`}},
			States: &engine.ReplayStates{
				RootA: ao.ID{3}, RootB: ao.ID{4}, Globals: []diff.Field{{Path: "Balances.bob", A: `"10"`, B: `"99"`}},
				State: diff.State{
					MemoryBytes: &[2]uint64{65536, 131072}, Sections: []string{"globals"}, PagesTotal: 1,
					Pages: []diff.Page{{Index: 7, From: 100, To: 104, Bytes: 2, A: []byte{1, 2, 3, 4}, B: []byte{9, 2, 3, 9}}},
				},
			},
		},
	})
	want := `process  ` + ao.ID{1}.String() + `
A        h.aolog@wazero
B        h.aolog@bent

the states differ at nonce 4, message ` + ao.ID{2}.String() + `

FIELD        A                        B
Output.data  …` + long[:20] + `1"  …` + long[:20] + `2"
Spawns[0]    -                        {}

the states after it differ in 1 pages
root of A  ` + ao.ID{3}.String() + `
root of B  ` + ao.ID{4}.String() + `
memory     65536 and 131072 bytes
section    globals

GLOBAL        A     B
Balances.bob  "10"  "99"

PAGE  BYTES  FROM        A            B
7     2      100 to 103  01 02 03 04  09 02 03 09
`
	if err != nil || out.String() != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, out.String(), want)
	}
}
