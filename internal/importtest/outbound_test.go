package importtest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ownClients are files that may speak HTTP past internal/guard: to units that an
// operator names on the command line, and to hosts in a router's configuration.
var ownClients = []string{"connect/client.go", "http/ur.go"}

// ownClient is what a request goes out through that nobody has checked.
var ownClient = regexp.MustCompile(`\bhttp\.(Client\{|Transport\{|DefaultClient\b|DefaultTransport\b|(Get|Head|Post|PostForm)\()`)

// TestTheGuardIsTheOnlyWayOut reads what a node is made of: URLs in it may come
// from strangers, so no client but the guarded one may be made.
func TestTheGuardIsTheOnlyWayOut(t *testing.T) {
	read := 0
	for _, p := range list(t, "-deps", "./node") {
		name := local(p.ImportPath)
		if name == "" || name == "internal/guard" {
			continue
		}
		files, err := filepath.Glob(filepath.Join(root, name, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || slices.Contains(ownClients, name+"/"+filepath.Base(file)) {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			read++
			if found := ownClient.Find(text); found != nil {
				t.Errorf("%s has a client of its own (%s): use internal/guard, or the one that is handed in", name+"/"+filepath.Base(file), found)
			}
		}
	}
	if read < 100 {
		t.Errorf("only %d files were read", read)
	}
	for _, text := range []string{"x := http.Client{}", "&http.Transport{", "http.DefaultClient.Do", "http.Get(u)", "http.PostForm("} {
		if !ownClient.MatchString(text) {
			t.Errorf("%q is not noticed", text)
		}
	}
}
