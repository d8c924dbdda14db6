package lua_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/lua"
	wasm "github.com/wallaby-ao/wallaby/vm/wasm/binary"
)

// TestWhatIsPackedComesOut packs files, and reads them out of the module.
func TestWhatIsPackedComesOut(t *testing.T) {
	base := runtime(t)
	files := lua.Files{".boot": []byte("return 1"), "empty": {}, "a.b-c/d": []byte("\x00\xff\n")}
	for i := range 50 {
		files[fmt.Sprint("file", i)] = bytes.Repeat([]byte("x"), i*100)
	}
	module, err := lua.Pack(base, files)
	if err != nil {
		t.Fatal(err)
	}
	again, err := lua.Pack(base, files)
	if err != nil || !bytes.Equal(module, again) {
		t.Errorf("packed twice it is not the same: %v", err)
	}
	back, err := lua.Unpack(module)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range back {
		if len(text) == 0 {
			back[name] = []byte{}
		}
	}
	if d := cmp.Diff(files, back); d != "" {
		t.Errorf("(-packed +unpacked):\n%s", d)
	}
	if m, err := wasm.Decode(module); err != nil || len(m.Memories) != 1 {
		t.Errorf("the module is not well-formed: %v", err)
	}
}

func TestWhatCannotBePackedIsRefused(t *testing.T) {
	base := runtime(t)
	packed, err := lua.Pack(base, evaluator)
	if err != nil {
		t.Fatal(err)
	}
	small := []byte("\x00asm\x01\x00\x00\x00")
	for name, c := range map[string]struct {
		runtime []byte
		files   lua.Files
		want    string
	}{
		"no wasm":     {[]byte("x"), evaluator, "read the runtime"},
		"no runtime":  {small, evaluator, "no Lua runtime"},
		"packed":      {packed, evaluator, "a bundle already"},
		"no boot":     {base, lua.Files{"process": nil}, ".boot"},
		"too much":    {base, lua.Files{".boot": make([]byte, lua.BundleBytesMax)}, "at most"},
		"just enough": {base, lua.Files{".boot": make([]byte, lua.BundleBytesMax-8-5)}, ""},
	} {
		_, err := lua.Pack(c.runtime, c.files)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, module := range map[string][]byte{"no wasm": []byte("x"), "another module": small, "no bundle": base} {
		if files, err := lua.Unpack(module); err == nil {
			t.Errorf("%s: %v came out", name, files)
		}
	}
}

// TestABundleOfAllSizesRuns has the most that fits lie beside Lua's own data.
func TestABundleOfAllSizesRuns(t *testing.T) {
	files := lua.Files{".boot": evaluator[".boot"]}
	filler := "--" + strings.Repeat("f", lua.BundleBytesMax-len(files[".boot"])-5-8-8-4-2)
	files["fill"] = []byte(filler)
	module, err := lua.Pack(runtime(t), files)
	if err != nil {
		t.Fatal(err)
	}
	g := start(t, module)
	want := fmt.Sprintf(`"Output":"%d nil"`, len(filler))
	if got := g.answer(`return #require("native").source("fill") .. " " .. tostring(require("native").source("none"))`); !strings.Contains(got, want) {
		t.Errorf("%s in %s", want, got)
	}
}
