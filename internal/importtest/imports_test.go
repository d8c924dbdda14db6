package importtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/wallaby-ao/wallaby"

// table is the truth that is enforced, highest level first. A name ending in
// /* stands for every package below it.
var table = []level{
	{6, []string{"cmd/wallaby", "bench", "system", "vm/plugin/example"}},
	{5, []string{"node", "trial"}},
	{4, []string{"examples", "project", "console", "http", "messenger", "proof"}},
	{3, []string{"lua", "engine", "raft", "courier", "history", "settlement", "vm/wazero", "vm/plugin"}},
	{2, []string{"connect", "diff", "log", "log/logtest", "log/memory", "vm/wasm", "vm/wasm/binary", "vm/vmtest"}},
	{1, []string{"ao", "vm", "vm/stateroot", "arweave", "arweave/gateway", "internal/lsm"}},
	{0, []string{"dataitem", "internal/*"}},
}

type level struct {
	Number   int
	Packages []string
}

// forTests are packages that hold test suites: only tests may import them.
var forTests = []string{"log/logtest", "vm/vmtest"}

// goPackage is what go list says of a package, as far as it is used here.
type goPackage struct {
	ImportPath   string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
	CgoFiles     []string
}

func TestImportsGoDownwards(t *testing.T) {
	for _, p := range list(t, "./...") {
		name := local(p.ImportPath)
		if _, ok := levelOf(name); !ok {
			t.Errorf("%s stands in no row of the table in docs/ARCHITECTURE.md", name)
			continue
		}
		for _, imported := range p.Imports {
			if reason := refuse(name, local(imported)); reason != "" {
				t.Errorf("%s imports %s: %s", name, local(imported), reason)
			}
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			if name == "raft" && local(imported) == "engine" {
				t.Error("the tests of raft import engine: not even they may know what replays the log")
			}
		}
	}
}

func TestStandardLogIsNotUsed(t *testing.T) {
	for _, p := range list(t, "./...") {
		if slices.Contains(slices.Concat(p.Imports, p.TestImports, p.XTestImports), "log") {
			t.Errorf("%s imports the standard library's log: log through a zerolog.Logger in Options", local(p.ImportPath))
		}
	}
}

func TestMainBinaryNeedsNoCgo(t *testing.T) {
	for _, p := range list(t, "-deps", "./cmd/wallaby") {
		if !p.Standard && len(p.CgoFiles) > 0 {
			t.Errorf("%s uses cgo in %v: cmd/wallaby has to build without", p.ImportPath, p.CgoFiles)
		}
	}
}

func TestDocumentShowsTheEnforcedTable(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented, err := parseTable(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(table, documented); diff != "" {
		t.Errorf("docs/ARCHITECTURE.md and internal/importtest differ (-enforced +documented):\n%s", diff)
	}
}

func TestRefuse(t *testing.T) {
	for _, c := range []struct {
		importer, imported string
		allowed            bool
	}{
		{"engine", "log", true},
		{"engine", "ao", true},
		{"vm", "ao", true},
		{"arweave/gateway", "arweave", true},
		{"vm/wasm", "vm/wasm/binary", true},
		{"log/logtest", "log", true},
		{"cmd/wallaby", "bench", true},
		{"bench", "cmd/wallaby", false},
		{"raft", "engine", false},
		{"engine", "raft", false},
		{"messenger", "http", false},
		{"vm", "arweave", false},
		{"ao", "vm", false},
		{"log", "engine", false},
		{"internal/clock", "internal/fsx", false},
		{"engine", "log/logtest", false},
	} {
		if got := refuse(c.importer, c.imported) == ""; got != c.allowed {
			t.Errorf("%s imports %s: allowed %v, want %v", c.importer, c.imported, got, c.allowed)
		}
	}
}

// refuse says why a package may not import another one of this module, or "".
// An import goes to a lower level. On its own level a package may import ao,
// which is everybody's vocabulary, and the package above or below it in the
// same directory tree. A command may import its own level as well: nobody can
// import a command, so no cycle comes of it.
func refuse(importer, imported string) string {
	if imported == "" {
		return ""
	}
	if slices.Contains(forTests, imported) && !slices.Contains(forTests, importer) {
		return "a test suite may be imported by tests only"
	}
	from, _ := levelOf(importer)
	to, ok := levelOf(imported)
	switch {
	case !ok:
		return "it stands in no row of the table"
	case to < from:
		return ""
	case to > from:
		return fmt.Sprintf("level %d may not know level %d", from, to)
	case imported == "ao" || related(importer, imported) || strings.HasPrefix(importer, "cmd/"):
		return ""
	}
	return fmt.Sprintf("both are on level %d", from)
}

// related says whether one of two packages lies below the other's directory.
func related(a, b string) bool {
	return strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

func levelOf(name string) (int, bool) {
	for _, l := range table {
		for _, entry := range l.Packages {
			prefix, wild := strings.CutSuffix(entry, "*")
			if name == entry || wild && strings.HasPrefix(name, prefix) {
				return l.Number, true
			}
		}
	}
	return 0, false
}

// local gives a package's path inside this module, or "" for a foreign one.
func local(importPath string) string {
	name, ok := strings.CutPrefix(importPath, module+"/")
	if !ok {
		return ""
	}
	return path.Clean(name)
}

// root is the module's directory as a test of this package sees it.
const root = "../.."

func list(t *testing.T, args ...string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e",
		"-json=ImportPath,Standard,Imports,TestImports,XTestImports,CgoFiles"}, args...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", args, err, &errs)
	}
	var packages []goPackage
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("read what go list printed: %v", err)
		}
		packages = append(packages, p)
	}
	if len(packages) == 0 {
		t.Fatalf("go list %v found no package", args)
	}
	return packages
}
