package lua_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/crypto/blake2b"
	sha3old "golang.org/x/crypto/sha3"

	"github.com/wallaby-ao/wallaby/lua"
)

// ours starts a process that has these files and the library.
func ours(t testing.TB, files lua.Files) *guest {
	t.Helper()
	module, err := lua.Module(runtime(t), files)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, module)
}

// answered is what a process answers.
type answered struct {
	Error  string
	Output struct {
		Data  string
		Print bool
	}
	Messages []struct {
		Target, Data string
		Tags         []struct{ Name, Value string }
	}
}

func (g *guest) read(answer string) (a answered) {
	g.t.Helper()
	if err := json.Unmarshal([]byte(answer), &a); err != nil {
		g.t.Fatalf("%v in %s", err, answer)
	}
	return a
}

// TestWhereOursDiffersOnPurpose holds docs/LUA.md's list of differences.
func TestWhereOursDiffersOnPurpose(t *testing.T) {
	g := ours(t, lua.Files{"process": []byte("-- empty\n")})
	g.spawn()
	for i, c := range []struct{ code, want string }{
		{"print('a', 1, true)", "a 1 true"},
		{"return 1, 'two'", "1\ntwo"},
		{"Handlers.add('nothing', function() end, print) return 'kept'", "kept"},
		{"return 'and goes on'", "and goes on"},
		{"return require('.crypto').digest.sha2_256('abc').asHex():sub(1, 8)", "ba7816bf"},
	} {
		if got := g.read(g.send(i+1, eval(c.code))); got.Error != "" || got.Output.Data != c.want {
			t.Errorf("%s: %+v", c.code, got)
		}
	}
	tags := g.read(g.send(9, eval("Send({Target = 'T', Tags = {Number = 5}})"))).Messages[0].Tags
	if last := tags[len(tags)-1]; last.Name != "Number" || last.Value != "5" {
		t.Errorf("a number in a tag: %+v", tags)
	}
}

// TestErrorsSayWhere has every kind of failure name the process's own file and line.
func TestErrorsSayWhere(t *testing.T) {
	g := ours(t, lua.Files{
		"process": []byte("local shop = require('shop')\n\nHandlers.add('buy', 'Buy', function(m)\n\tshop.buy(m)\nend)\n"),
		"shop":    []byte("local shop = {}\n\nfunction shop.buy(m)\n\terror('sold out: ' .. m.Data)\nend\n\nreturn shop\n"),
	})
	g.spawn()
	failed := g.read(g.send(1, sent{From: user, Action: "Buy", Data: "tea"})).Error
	for _, want := range []string{"shop.lua:4: sold out: tea", "process.lua:4: in "} {
		if !strings.Contains(failed, want) {
			t.Errorf("no %q in\n%s", want, failed)
		}
	}
	if strings.Contains(failed, "boot.lua") || strings.Contains(failed, "handlers.lua") {
		t.Errorf("the trace leads through the library:\n%s", failed)
	}
	if again := g.read(g.send(2, eval("return 'alive'"))); again.Output.Data != "alive" {
		t.Errorf("after an error: %+v", again)
	}
	broken := ours(t, lua.Files{"process": []byte("local x = = 1\n")})
	if got := broken.read(broken.spawn()).Error; !strings.Contains(got, "process.lua:1: unexpected symbol") {
		t.Errorf("a process that is no Lua: %s", got)
	}
}

// TestAProcessThatReturnsHandleAnswersItself is the style of the dev-cli's starters.
func TestAProcessThatReturnsHandleAnswersItself(t *testing.T) {
	g := ours(t, lua.Files{"process": []byte("local process = {}\nfunction process.handle(msg, ao)\n\tao.send({Target = msg.From, Data = 'got ' .. msg.Tags.Action})\n\treturn ao.result({Output = 'done'})\nend\nreturn process\n")})
	g.spawn()
	var answer struct {
		Output   string
		Messages []struct{ Data string }
	}
	if err := json.Unmarshal([]byte(g.send(1, sent{From: user, Action: "Hello"})), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Output != "done" || len(answer.Messages) != 1 || answer.Messages[0].Data != "got Hello" {
		t.Errorf("%+v", answer)
	}
}

// TestDigestsAreThoseOfGo hashes texts of every length around a block's.
func TestDigestsAreThoseOfGo(t *testing.T) {
	eval := evaluate(t)
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 55, 56, 63, 64, 65, 111, 112, 127, 128, 135, 136, 137, 271, 272, 1000} {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		keccak := sha3old.NewLegacyKeccak256()
		keccak.Write(data)
		sum256, sum512, sum3 := sha256.Sum256(data), sha512.Sum512(data), sha3.Sum256(data)
		want := fmt.Sprintf("%x %x %x %x %s %s", sum256, sum512, keccak.Sum(nil), sum3, base64.StdEncoding.EncodeToString(data), base64.RawURLEncoding.EncodeToString(data))
		got := eval(fmt.Sprintf(`local n, d = require("native"), require("native").hex_decode(%q)
			assert(n.base64_decode(n.base64_encode(d)) == d and n.base64_decode(n.base64_encode(d, true)) == d and n.hex_encode(d) == %q)
			return table.concat({n.sha256(d), n.sha512(d), n.keccak256(d), n.sha3_256(d), n.base64_encode(d), n.base64_encode(d, true)}, " ")`,
			hex.EncodeToString(data), hex.EncodeToString(data)))
		if got != want {
			t.Errorf("%d bytes:\n%s\nnot\n%s", size, got, want)
		}
	}
}

// TestTheLibrarysDigestsAreThoseOfGo hashes texts of every length around a block's, those
// among them for which the official module's digests are wrong.
func TestTheLibrarysDigestsAreThoseOfGo(t *testing.T) {
	g := ours(t, lua.Files{"process": []byte("C = require('.crypto').digest\n")})
	g.spawn()
	for i, size := range []int{0, 1, 55, 56, 63, 64, 65, 71, 72, 73, 119, 120, 127, 128, 129, 143, 144, 256, 1000} {
		data := []byte(strings.Repeat("Wallaby", size)[:size])
		keccak := sha3old.NewLegacyKeccak512()
		keccak.Write(data)
		keyed, err := blake2b.New(20, []byte("a key"))
		if err != nil {
			t.Fatal(err)
		}
		keyed.Write(data)
		want := fmt.Sprintf("%x %x %x %x %x %x", md5.Sum(data), sha1.Sum(data), sha3.Sum512(data), keccak.Sum(nil), blake2b.Sum512(data), keyed.Sum(nil))
		got := g.read(g.send(i+1, eval(fmt.Sprintf(`local t, all = %q, {}
			for i, hash in ipairs({C.md5(t), C.sha1(t), C.sha3_512(t), C.keccak512(t), C.blake2b(t), C.blake2b(t, 20, 'a key')}) do all[i] = hash.asHex() end
			return table.concat(all, ' ')`, data))))
		if got.Error != "" || got.Output.Data != want {
			t.Errorf("%d bytes:\n%s %s\nnot\n%s", size, got.Output.Data, got.Error, want)
		}
	}
}

// TestOlderDigestsAndCiphersAreTheStandards has the vectors of RFC 1319 and 1320 and of
// FIPS 197, appendix C, and brings back what each cipher made.
func TestOlderDigestsAndCiphersAreTheStandards(t *testing.T) {
	g := ours(t, lua.Files{"process": []byte("C = require('.crypto') Hex = C.utils.hex\n")})
	g.spawn()
	for i, c := range []struct{ code, want string }{
		{"return C.digest.md2('abc').asHex() .. C.digest.md4('abc').asHex()", "da853b0d3f88d99b30283a69e6ded6bb" + "a448017aaf21d8525fc10ae87aa6729d"},
		{`local key = ''
		for i = 0, 31 do key = key .. string.char(i) end
		local all = {}
		for i, bits in ipairs({128, 192, 256}) do
			all[i] = C.cipher.aes.encrypt(Hex.hexToString('00112233445566778899aabbccddeeff'), key, '', 'ECB', bits).asHex()
		end
		return table.concat(all, ' ')`, "69C4E0D86A7B0430D8CDB78070B4C55A DDA97CA4864CDFE06EAF70A0EC0D7191 8EA2B7CA516745BFEAFC49904B496089"},
		{`local all, key, iv = {}, ('key'):rep(11):sub(1, 32), ('v'):rep(16)
		for i, mode in ipairs({'CBC', 'CFB', 'OFB', 'CTR'}) do
			local hidden = C.cipher.aes.encrypt('thirty-two bytes, told to nobody', key, iv, mode, 256).asHex()
			all[i] = C.cipher.aes.decrypt(hidden, key, iv, mode, 256).asString()
		end
		return table.concat(all, ';')`, strings.Repeat("thirty-two bytes, told to nobody;", 3) + "thirty-two bytes, told to nobody"},
		{"return tostring(select(2, pcall(C.cipher.aes.encrypt, 'text', 'short'))):match('aes.*')", "aes: the key has 5 bytes, and needs 16"},
		{`local key, text = ('k'):rep(32), ('Wallaby'):rep(30)
		local morus, norx = C.cipher.morus, C.cipher.norx
		local hidden = { morus.encrypt(key, ('v'):rep(16), text, 'head').asString(), norx.encrypt(key, key, text, 'head').asString() }
		return tostring(morus.decrypt(key, ('v'):rep(16), hidden[1], 4) == text and norx.decrypt(key, key, hidden[2], 'head') == text) ..
			tostring(morus.decrypt(key, ('w'):rep(16), hidden[1], 4)) .. tostring(norx.decrypt(key, key, hidden[2], 'Head'))`, "truenilnil"},
	} {
		if got := g.read(g.send(i+1, eval(c.code))); got.Error != "" || got.Output.Data != c.want {
			t.Errorf("%s\ngave %q %s, not %q", c.code, got.Output.Data, got.Error, c.want)
		}
	}
}

// TestJSONComesBack decodes and encodes values, and compares them with Go's.
func TestJSONComesBack(t *testing.T) {
	eval := evaluate(t)
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		value := randomValue(random, 4)
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		got := eval(fmt.Sprintf(`local n = require("native") return n.json_encode(n.json_decode(n.hex_decode(%q)))`, hex.EncodeToString(text)))
		var back any
		if err := json.Unmarshal([]byte(got), &back); err != nil {
			t.Fatalf("%s became %s: %v", text, got, err)
		}
		again, err := json.Marshal(back)
		if err != nil || !bytes.Equal(again, text) {
			t.Errorf("%s became %s", text, again)
		}
	}
}

// randomValue has no empty objects, which Lua cannot tell from empty lists, and no null.
func randomValue(random *rand.Rand, depth int) any {
	switch kind := random.IntN(6); {
	case kind == 0 && depth > 0:
		list := []any{}
		for range random.IntN(4) {
			list = append(list, randomValue(random, depth-1))
		}
		return list
	case kind == 1 && depth > 0:
		object := map[string]any{"a": 1.0}
		for range random.IntN(3) {
			object[randomText(random)] = randomValue(random, depth-1)
		}
		return object
	case kind == 2:
		return float64(random.IntN(1 << 40))
	case kind == 3:
		return float64(random.IntN(1<<20)) / 1024
	case kind == 4:
		return random.IntN(2) == 0
	}
	return randomText(random)
}

func randomText(random *rand.Rand) string {
	letters := []rune("ab\"\\/\n\t\r\x01\x1f\x7fé€😀{}[]:, ")
	var text []rune
	for range random.IntN(12) {
		text = append(text, letters[random.IntN(len(letters))])
	}
	return string(text)
}

// TestJSONThatIsNoneIsRefused gives texts that would hurt.
func TestJSONThatIsNoneIsRefused(t *testing.T) {
	eval := evaluate(t)
	for text, want := range map[string]string{
		"":                            "unexpected end",
		"{":                           "expected string for key",
		"[1,]":                        "unexpected character",
		"[1 2]":                       "expected ']' or ','",
		`{"a" 1}`:                     "expected ':' after key at line 1 col 6",
		`"abc`:                        "closing quote",
		`"\x"`:                        "invalid escape",
		`"\u12g4"`:                    "invalid unicode escape",
		"01x":                         "trailing garbage",
		"-":                           "invalid number",
		"tru":                         "unexpected character 't'",
		"\n\n  !":                     "at line 3 col 3",
		strings.Repeat("[", 1_000_00): "nest too deep",
		strings.Repeat("1", 500):      "invalid number",
	} {
		got := eval(fmt.Sprintf(`local ok, problem = pcall(require("native").json_decode, require("native").hex_decode(%q)) return tostring(ok) .. " " .. tostring(problem)`, hex.EncodeToString([]byte(text))))
		if !strings.HasPrefix(got, "false ") || !strings.Contains(got, want) {
			t.Errorf("%.20q: %.200s, and should say %q", text, got, want)
		}
	}
	for code, want := range map[string]string{
		"{[1] = 1, [3] = 3}": "sparse array",
		"{[1] = 1, a = 2}":   "mixed or invalid key types",
		"{[2] = 1}":          "mixed or invalid key types",
		"{a = print}":        "unexpected type 'function'",
		"0/0":                "no number",
		"(function() local t = {} t.t = t return t end)()": "circular reference",
	} {
		got := eval(`local ok, problem = pcall(require("native").json_encode, ` + code + `) return tostring(ok) .. " " .. tostring(problem)`)
		if !strings.HasPrefix(got, "false ") || !strings.Contains(got, want) {
			t.Errorf("%s: %s, and should say %q", code, got, want)
		}
	}
}
