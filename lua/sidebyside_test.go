package lua_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/lua"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

// official starts the aos module that everybody runs, or skips the test.
func official(t testing.TB) *guest {
	t.Helper()
	b, err := os.ReadFile("../testdata/modules/aos2_0_6.wasm")
	if err != nil {
		t.Skipf("SKIPPED: the official aos module is not there: run make modules (%v)", err)
	}
	return startAs(t, "wasm64-unknown-emscripten-draft_2024_02_15", b)
}

func startAs(t testing.TB, format string, module []byte) *guest {
	t.Helper()
	driver, err := wazero.NewDriver(wazero.Options{CacheDir: cacheDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := driver.Load(t.Context(), vm.Source{Format: format, Bytes: module})
	if err != nil {
		t.Fatal(err)
	}
	process, err := loaded.New(t.Context(), vm.Config{MemoryLimitBytes: 256 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.Close(); err != nil {
			t.Error(err)
		}
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
	})
	return &guest{t: t, process: process, env: []byte(`{}`)}
}

// Ids and addresses of the processes here.
const (
	owner = "OWNERxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	self  = "PROCESSxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	user  = "USERxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	other = "OTHERxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	mu    = "AUTHORITYxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
)

// sent is a message to the process. By is who signed it, From from whom it is.
type sent struct {
	From, By, Action, Data string
	Tags                   []string // names and values in turn
}

func tagList(pairs ...string) (tags []map[string]string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		tags = append(tags, map[string]string{"name": pairs[i], "value": pairs[i+1]})
	}
	return tags
}

// spawn gives a guest the process itself, as a compute unit does.
func (g *guest) spawn() string {
	tags := tagList("Data-Protocol", "ao", "Variant", "ao.TN.1", "Type", "Process", "Name", "shop", "Authority", mu, "Module", "MODULE")
	g.env, _ = json.Marshal(map[string]any{
		"Process": map[string]any{"Id": self, "Owner": owner, "Tags": tags}, "Module": map[string]any{"Id": "MODULE", "Owner": owner, "Tags": tagList()},
	})
	b, _ := json.Marshal(map[string]any{
		"Id": self, "Target": self, "Owner": owner, "From": owner, "Data": "", "Tags": tags, "Timestamp": 1_700_000_000_000, "Block-Height": 1, "Cron": false,
	})
	return g.answer(string(b))
}

func (g *guest) send(number int, m sent) string {
	if m.By == "" {
		m.By = m.From
	}
	tags := tagList("Data-Protocol", "ao", "Variant", "ao.TN.1", "Type", "Message")
	if m.Action != "" {
		tags = append(tags, tagList("Action", m.Action)...)
	}
	message := map[string]any{
		"Id": fmt.Sprintf("MESSAGE%036d", number), "Target": self, "Owner": m.By, "From": m.From, "Data": m.Data, "Timestamp": 1_700_000_000_000 + number,
		"Block-Height": 1 + number, "Cron": false, "Tags": append(tags, tagList(m.Tags...)...),
	}
	if m.By != m.From {
		message["Forwarded-By"] = m.By
	}
	b, _ := json.Marshal(message)
	return g.answer(string(b))
}

// eval is a message of the owner's with code.
func eval(code string) sent { return sent{From: owner, Action: "Eval", Data: code} }

// sideBySide are messages that the official module and ours get; see comparable for
// what of the answers must be equal.
var sideBySide = map[string][]sent{
	"expressions": {
		eval("1 + 1"), eval("return 'text'"), eval("return 7 // 2"), eval("2^53"), eval("return nil"), eval("return true"),
		eval("return {1, 2, 3}"), eval("return {a = 1}"), eval("return {a = {b = {}}}"), eval("return {'x', {y = 1}}"), eval("return tostring(nil)"),
		eval("x = 5"), eval("x * 2"), eval("local a = 1\nreturn a + x"),
	},
	"printing": {
		eval("print('hi')"), eval("print('a')"), eval("print({1, 2})"), eval("print('one') print('two') return 'three'"),
	},
	"who it is": {
		eval("return Owner"), eval("return Name"), eval("return ao.id"), eval("return #Inbox"), eval("return ao.env.Process.Id"),
		eval("return ao.authorities[1]"), eval("return #ao.authorities"), eval("return ao.env.Process.Tags.Name"),
	},
	"sending": {
		eval("Send({Target = 'T', Data = 'd'}) return 1"), eval("Send({Target = 'T', Action = 'Hello'}) return 1"),
		eval("ao.send({Target = 'T', Tags = {{name = 'A', value = 'b'}, {name = 'C', value = 'd'}}}) return 1"),
		eval("ao.send({Target = 'T', Tags = {Number = '5'}}) return 1"), eval("Send({Target = 'A'}) Send({Target = 'B', X = 'y'}) return 1"),
		eval("return Send({Target = 'T'}).output"),
	},
	"spawning and assigning": {
		eval("Spawn('MODULE', {Data = 'x', Tags = {N = '1'}}) return 1"), eval("ao.spawn('OTHER', {Tags = {}}) return 1"),
		eval("ao.assign({Processes = {'p', 'q'}, Message = 'm'}) return 1"), eval("Assign({Processes = {'p'}, Message = 'm', Exclude = {'Data'}}) return 1"),
	},
	"handlers by action": {
		eval("Handlers.add('ping', 'Ping', function(m) m.reply({Action = 'Pong', Data = m.Data .. '!'}) end) return 1"),
		{From: user, Action: "Ping", Data: "one"}, {From: user, Action: "Ping", Data: "two", Tags: []string{"Reference", "7"}},
		{From: other, By: mu, Action: "Ping", Data: "pushed", Tags: []string{"From-Process", other, "Reference", "3"}}, {From: user, Action: "Pong", Data: "no"},
		eval("return #Inbox"), eval("Handlers.remove('ping') return 1"), {From: user, Action: "Ping", Data: "gone"}, eval("return Inbox[#Inbox].Data"),
	},
	"handlers of every kind": {
		eval("Seen = {} Handlers.add('f', function(m) return m.Kind == 'f' end, function(m) table.insert(Seen, 'f') end) return 1"),
		eval("Handlers.add('t', {Kind = 't', Action = 'Go'}, function(m) table.insert(Seen, 't') end) return 1"),
		eval("Handlers.add('any', {Kind = '_', Any = '_'}, function(m) table.insert(Seen, 'any') end) return 1"),
		eval("Handlers.add('match', {Kind = '^m%d+$'}, function(m) table.insert(Seen, 'match') end) return 1"),
		eval("Handlers.add('call', {Kind = function(v) return v == 'call' end}, function(m) table.insert(Seen, 'call') end) return 1"),
		eval("Handlers.add('or', {Kind = {'one', 'other'}}, function(m) table.insert(Seen, 'or') end) return 1"),
		eval("Handlers.prepend('first', function(m) return m.Kind and 'continue' or false end, function(m) table.insert(Seen, '1') end) return 1"),
		{From: user, Tags: []string{"Kind", "f"}}, {From: user, Action: "Go", Tags: []string{"Kind", "t"}}, {From: user, Tags: []string{"Kind", "x", "Any", "y"}},
		{From: user, Tags: []string{"Kind", "m12"}}, {From: user, Tags: []string{"Kind", "call"}}, {From: user, Tags: []string{"Kind", "other"}},
		{From: user, Tags: []string{"Kind", "nothing"}}, eval("return table.concat(Seen, ' ')"), eval("return #Handlers.list"),
	},
	"handlers that end": {
		eval("Count = 0 Handlers.once('once', 'Tick', function() Count = Count + 1 end) return 1"),
		{From: user, Action: "Tick"}, {From: user, Action: "Tick"}, eval("return Count"),
		eval("Handlers.add('some', 'Tock', function() Count = Count + 10 end, 2) return 1"),
		{From: user, Action: "Tock"}, {From: user, Action: "Tock"}, {From: user, Action: "Tock"}, eval("return Count"),
	},
	"order of handlers": {
		eval("Order = '' local function note(x) return function() Order = Order .. x end end Handlers.add('b', 'Go', note('b')) Handlers.prepend('a', function(m) return m.Action == 'Go' and 'continue' or 0 end, note('a')) return 1"),
		eval("Handlers.before('b').add('c', function(m) return m.Action == 'Go' and 1 or 0 end, function() Order = Order .. 'c' end) return 1"),
		{From: user, Action: "Go"}, eval("return Order"), eval("Handlers.add('b', 'Go', function() Order = Order .. 'B' end) return 1"), {From: user, Action: "Go"}, eval("return Order"),
	},
	"helpers of handlers": {
		eval("Handlers.add('tag', Handlers.utils.hasMatchingTag('Kind', 'k'), Handlers.utils.reply('by tag')) return 1"),
		eval("Handlers.add('data', Handlers.utils.hasMatchingData('secret'), Handlers.utils.reply({Data = 'by data', Extra = 'e'})) return 1"),
		{From: user, Tags: []string{"Kind", "k"}}, {From: user, Data: "secret"}, {From: user, Data: "other"},
	},
	"waiting for an answer": {
		eval("local m = Send({Target = '" + other + "', Action = 'Ask'}).receive() Answer = m.Data return 'late'"),
		{From: user, Action: "Answer", Data: "wrong", Tags: []string{"X-Reference", "1"}}, eval("return tostring(Answer)"),
		{From: other, By: mu, Data: "right", Tags: []string{"X-Reference", "1", "From-Process", other}}, eval("return tostring(Answer)"),
		{From: other, By: mu, Data: "again", Tags: []string{"X-Reference", "1", "From-Process", other}}, eval("return tostring(Answer)"),
	},
	"waiting in a handler": {
		eval("Handlers.add('two', 'Begin', function(m) local n = Receive({Action = 'Next'}) m.reply({Data = m.Data .. n.Data}) end) return 1"),
		{From: user, Action: "Begin", Data: "a", Tags: []string{"Reference", "4"}}, {From: other, Action: "Next", Data: "b"}, {From: other, Action: "Next", Data: "c"},
	},
	"passing on": {
		eval("Handlers.add('fwd', 'Fwd', function(m) m.forward('" + other + "', {Action = 'Passed'}) end) return 1"),
		{From: user, Action: "Fwd", Data: "d", Tags: []string{"Reference", "9", "Extra", "e"}},
	},
	"what nobody takes": {
		{From: user, Action: "Unknown"}, {From: user, Data: "words"}, {From: user, Data: "more than twenty letters of data"}, eval("return Inbox[2].Action"),
		eval("return Inbox[3].Data .. Inbox[3].From"), eval("return #Inbox"),
	},
	"who may": {
		{From: user, Action: "Eval", Data: "Owner = 'me'"}, eval("return Owner"), {From: other, By: user, Data: "not trusted", Tags: []string{"From-Process", other}}, eval("return #Inbox"),
		eval("Owner = '" + user + "' return 1"), eval("return 1"), {From: user, Action: "Eval", Data: "return 'mine'"},
	},
	"chance": {
		eval("return math.random()"), eval("return math.random(6)"), eval("return math.random(-5, 5)"), eval("return math.random(1, 2, 3)"),
		eval("local all = {} for i = 1, 700 do all[i] = math.random(1000000) end return table.concat(all, ' ')"),
		eval("local c = require('.chance') c.seed(42) return c.random() .. ' ' .. c.integer(1, 100) .. ' ' .. math.random(10)"),
		eval("return math.type(math.random(3))"), eval("return tostring(pcall(math.random, 0))"), eval("return tostring(pcall(require('.chance').integer, 5, 1))"),
	},
	"json": {
		eval("return require('json').encode({1, 2, {a = 'x'}})"), eval("return require('json').encode({})"), eval("return require('json').encode('a\\n\"b\\\\')"),
		eval("return require('json').decode('{\"a\":[1,2.5,\"x\",true,null]}').a[3]"), eval("return math.type(require('json').decode('[1]')[1])"),
		eval("return require('json').decode('\"\\\\u20ac\\\\ud83d\\\\ude00\"')"), eval("return require('json').encode({a = {b = {1.5}}})"),
		eval("return tostring(pcall(require('json').decode, '{'))"), eval("return tostring(pcall(require('json').encode, {[1] = 1, a = 2}))"),
	},
	"modules of the library": {
		eval("return require('.stringify').format({1, 'a', {x = true}})"), eval("return tostring(require('.stringify').isSimpleArray({1, 'a'}))"),
		eval("return tostring(require('.stringify').isSimpleArray({1, {}}))"), eval("return tostring(require('.stringify').isSimpleArray({a = 1}))"),
		eval("return require('.base64').encode('hello world')"), eval("return require('.base64').decode('aGVsbG8gd29ybGQ=')"),
		eval("local c = require('.crypto') return c.digest.sha2_256(c.utils.stream.fromString('abc')).asHex()"), eval("return require('.crypto').digest.sha2_512('abc').asHex()"),
		eval("return require('.crypto').digest.keccak256('abc').asHex()"), eval("return require('.crypto').digest.sha3_256('abc').asHex()"),
		eval("return table.concat(require('.utils').map(function(x) return x * 2 end, {1, 2}), ' ')"),
		eval("return #require('.utils').filter(function(x) return x > 1 end, {1, 2, 3})"),
		eval("return require('.utils').reduce(function(a, x) return a + x end, 0, {1, 2, 3})"), eval("return tostring(require('.utils').includes(2, {1, 2}))"),
		eval("return require('.utils').find(function(x) return x > 1 end, {1, 2, 3})"), eval("return require('.utils').concat({1}, {2})[2]"),
		eval("return tostring(require('.utils').propEq('a', 'x', {a = 'x'}))"), eval("return require('.utils').reverse({1, 2, 3})[1]"),
		eval("return require('.pretty').tprint({a = 1})"), eval("return require('.utils').map(function(x) return x + 1 end)({1})[1]"),
	},
	"digests": {
		eval("C, S = require('.crypto'), require('.crypto').utils.stream Texts = {} for _, n in ipairs({1, 55, 56, 63, 64, 65, 70, 72, 73, 111, 112, 127, 129, 300}) do Texts[#Texts + 1] = ('Wall' .. n):rep(n):sub(1, n) end return #Texts"),
		eval("local all = {} for i, t in ipairs(Texts) do all[i] = C.digest.md5(S.fromString(t)).asHex() end return table.concat(all, ' ')"),
		eval("local all = {} for i, t in ipairs(Texts) do all[i] = C.digest.sha1(S.fromString(t)).asHex() end return table.concat(all, ' ')"),
		eval("local all = {} for i, t in ipairs(Texts) do all[i] = C.digest.sha3_512(t).asHex() .. C.digest.keccak512(t).asHex() end return table.concat(all, ' ')"),
		eval("local all = {} for i, t in ipairs(Texts) do all[i] = C.digest.blake2b(t).asHex() .. C.digest.blake2b(t, 20).asHex() .. C.digest.blake2b(t, 32, 'a key').asHex() end return table.concat(all, ' ')"),
		eval("return table.concat(C.digest.sha1(S.fromString('abc')).asBytes(), ' ') .. C.utils.hex.stringToHex(C.digest.md5(S.fromString('abc')).asString())"),
		eval("return C.mac.createHmac(S.fromString('what is said'), C.utils.array.fromString('key')).asHex()"),
		eval("return C.mac.createHmac(S.fromString('what is said'), C.utils.array.fromString(('k'):rep(40)), 'sha256').asHex()"),
		eval("return C.kdf.pbkdf2(C.utils.array.fromString('password'), C.utils.array.fromString('salt'), 3, 50).asHex()"),
		eval("return C.kdf.pbkdf2(C.utils.array.fromString('password'), C.utils.array.fromString('salt'), 2, 32, 'sha256').asHex()"),
		eval("local all = {} for i, t in ipairs(Texts) do all[i] = C.digest.md2(S.fromString(t)).asHex() .. C.digest.md4(S.fromString(t)).asHex() end return table.concat(all, ' ')"),
		eval("local all = {} for _, mode in ipairs({'CBC', 'ECB', 'CFB', 'OFB', 'CTR', 'XYZ'}) do for _, bits in ipairs({128, 192, 256}) do for _, n in ipairs({0, 1, 15, 16, 17, 40}) do all[#all + 1] = C.cipher.aes.encrypt(('text'):rep(10):sub(1, n), ('k3y!'):rep(8):sub(1, bits // 8), ('I'):rep(16), mode, bits).asHex() end end end return table.concat(all, ' ')"),
		eval("local all = {} for _, mode in ipairs({'CBC', 'ECB', 'CFB', 'OFB', 'CTR'}) do for _, n in ipairs({16, 32, 48}) do all[#all + 1] = C.utils.hex.stringToHex(C.cipher.aes.decrypt(('0123456789abcdef'):rep(6):sub(1, 2 * n), ('k3y!'):rep(8), ('I'):rep(16), mode).asString()) end end return table.concat(all, ' ')"),
		eval("return C.cipher.aes.encrypt('as it comes', ('k3y!'):rep(4)).asHex() .. #C.cipher.aes.encrypt('as it comes', ('k3y!'):rep(4)).asBytes()"),
		eval("local i = C.cipher.issac return i.encrypt('a secret text', 'key').asHex() .. i.decrypt(i.encrypt('a secret text', 'key').asString(), 'key') .. i.random(1, 1000, 'seed') .. ' ' .. i.getRandom() .. ' ' .. i.getRandomChar()"),
		eval("C.cipher.issac.seedIsaac('again', true) local sum = 0 for i = 1, 2000 do sum = (sum * 31 + C.cipher.issac.getRandom()) % 1000003 end return sum .. ' ' .. C.random() .. ' ' .. C.random(1, 6)"),
		eval("local all, m = {}, C.cipher.morus for i, t in ipairs(Texts) do all[i] = m.encrypt(('k'):rep(16 + i % 2 * 16), ('v'):rep(16), t, Texts[15 - i]).asHex() end return table.concat(all, ' ')"),
		eval("local m = C.cipher.morus local e = m.encrypt(('k'):rep(32), ('v'):rep(16), Texts[9], 'ad').asString() return m.decrypt(('k'):rep(32), ('v'):rep(16), e, 2) .. tostring(m.decrypt(('k'):rep(32), ('v'):rep(16), e, 1))"),
		eval("local all, n = {}, C.cipher.norx for i, t in ipairs(Texts) do all[i] = n.encrypt(('k'):rep(32), ('n'):rep(32), t, Texts[15 - i], Texts[i % 14 + 1]).asHex() end return table.concat(all, ' ')"),
		eval("local all, n = {}, C.cipher.norx for i, t in ipairs(Texts) do all[i] = n.decrypt(('k'):rep(32), ('n'):rep(32), n.encrypt(('k'):rep(32), ('n'):rep(32), t, 'h').asString(), 'h') end return table.concat(all, ' ') .. tostring(n.decrypt(('k'):rep(32), ('n'):rep(32), ('x'):rep(40)))"),
		eval("return tostring(pcall(C.mac.createHmac, S.fromString(''), {1}, 'md9'))"),
		eval("return S.toHex(S.fromHex('00ffA0')) .. S.toString(S.fromArray({104, 105})) .. #S.toArray(S.fromString('four'))"),
		eval("local a = C.utils.array return a.toHex(a.XOR(a.fromHex('0ff0'), {255, 1})) .. a.toString(a.concat({72}, a.truncate({73, 74}, 1))) .. a.size(a.copy({1, 2})) .. a.toString(a.fromStream(a.toStream({65})))"),
	},
	"big integers": {
		eval("B = require('.bint')(256) return tostring(B('123456789012345678901234567890') + B(1))"), eval("return tostring(B(2) - B('1000000000000000000000'))"),
		eval("return tostring(B('99999999999999999999') * B('-88888888888888888888'))"), eval("return tostring(B('100000000000000000000000') // B('7'))"),
		eval("return tostring(B('100000000000000000000000') % B('12345678901'))"), eval("return tostring(B(-7) // B(2)) .. ' ' .. tostring(B(-7) % B(2))"),
		eval("return tostring(B(7) // B(-2)) .. ' ' .. tostring(B(7) % B(-2))"), eval("return tostring(B.ipow(2, 200))"),
		eval("return tostring(B.__lt(0, B('5'))) .. tostring(B.__le(B(5), B(5))) .. tostring(B('10') == B(10)) .. tostring(B(3) > B('20'))"),
		eval("return tostring(B.iszero(B('0'))) .. tostring(B.isneg(-B(1))) .. tostring(B.ispos(B(0))) .. tostring(B.isodd(B(3)))"),
		eval("return tostring(B.zero() + '12' + 3)"), eval("return B.tonumber(B('42')) + 1"), eval("return math.type(B.tonumber(B('42')))"), eval("return tostring(B.tointeger(B('9007199254740993')))"),
		eval("return tostring(pcall(B, 'no number')) .. tostring((B.fromstring('x'))) .. tostring(B.isbint(B(1))) .. tostring(B.isbint(1))"),
		eval("return B.tobase(B(255), 16) .. ' ' .. tostring(B.frombase('ff', 16))"), eval("return tostring(B.max(B(1), B(2))) .. tostring(B.min(B(1), B(2))) .. tostring(B.abs(B(-3)))"),
		eval("return tostring(pcall(function() return B(1) // B(0) end))"), eval("return tostring(B.new(12)) .. tostring(B(-0)) .. tostring(-B(0))"),
	},
	"loading more": {
		eval("package.loaded['.mine'] = (function() return {twice = function(x) return x * 2 end} end)() return 1"), eval("return require('.mine').twice(21)"),
		eval("return tostring(pcall(require, '.nothing'))"),
	},
	"failing": {
		eval("error('boom')"), eval("x ="), eval("return nothing.at.all"), eval("Handlers.add('bad', 'Bad', function() error('in a handler') end) return 1"),
		{From: user, Action: "Bad"}, eval("Kept = 1 return Kept"),
	},
	"time": {eval("return os.time()"), eval("return type(os.clock())"), eval("return os.date('!%Y', 0)")},
}

// volatile is what differs by who made the module, and by nothing that counts.
var volatile = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`(function|table|thread): 0x[0-9a-f]+`), "$1"},
	{regexp.MustCompile(`\x1b\[[0-9]+m`), ""},
}

// comparable is an answer without the prompt, which names the version, and with tags in
// order of their names: the official module puts a table's fields in the order of a
// hash. Of an error only what the code itself said counts: both name other files.
func comparable(t *testing.T, answer string) any {
	t.Helper()
	var response map[string]any
	if err := json.Unmarshal([]byte(answer), &response); err != nil {
		t.Fatalf("%v in %s", err, answer)
	}
	if text, failed := response["Error"].(string); failed {
		for _, said := range []string{"boom", "in a handler", "unexpected symbol near <eof>", "attempt to index a nil value (global 'nothing')"} {
			if strings.Contains(text, said) {
				return map[string]any{"Error": said}
			}
		}
		return map[string]any{"Error": text}
	}
	same := map[string]any{"Output": ""}
	if output, ok := response["Output"].(map[string]any); ok {
		text := fmt.Sprint(output["data"])
		for _, v := range volatile {
			text = v.pattern.ReplaceAllString(text, v.instead)
		}
		same["Output"] = text
		same["print"] = output["print"] == true
	}
	for _, list := range []string{"Messages", "Spawns", "Assignments"} {
		items, _ := response[list].([]any)
		for _, item := range items {
			fields, _ := item.(map[string]any)
			tags, _ := fields["Tags"].([]any)
			slices.SortStableFunc(tags, func(a, b any) int {
				return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
			})
		}
		same[list] = items
	}
	return same
}

// TestProcessesBehaveAsOnAos gives the same messages to the official aos module and to
// ours.
func TestProcessesBehaveAsOnAos(t *testing.T) {
	module, err := lua.Module(runtime(t), lua.Files{"process": []byte("-- nothing of its own\n")})
	if err != nil {
		t.Fatal(err)
	}
	for name, messages := range sideBySide {
		t.Run(name, func(t *testing.T) {
			theirs, ours := official(t), startAs(t, lua.Format, module)
			theirs.spawn()
			ours.spawn()
			for i, message := range messages {
				want, got := comparable(t, theirs.send(i+1, message)), comparable(t, ours.send(i+1, message))
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("message %d, %+v (-aos +ours):\n%s", i+1, message, d)
				}
			}
		})
	}
}
