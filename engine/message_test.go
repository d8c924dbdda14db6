package engine

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

func TestJSONTextIsJavaScripts(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"plain <&> ü ✓ 😀", `"plain <&> ü ✓ 😀"`},
		{"\"\\/\b\f\n\r\t\x00\x1f\x7f", `"\"\\/\b\f\n\r\t\u0000\u001f` + "\x7f" + `"`},
		{"\u2028\u2029", "\"\u2028\u2029\""},
		// One replacement for each maximal part of a sequence that went wrong.
		{"a\x80b\xffc", "\"a\uFFFDb\uFFFDc\""},
		{"\xe2\x9c", "\"\uFFFD\""},
		{"\xe2\x9cx", "\"\uFFFDx\""},
		{"\xe0\x80\x80", "\"\uFFFD\uFFFD\uFFFD\""},
		{"\xed\xa0\x80", "\"\uFFFD\uFFFD\uFFFD\""},
		{"\xf0\x9f\x98", "\"\uFFFD\""},
		{"\xf0\x9f\x98\"", "\"\uFFFD\\\"\""},
		{"\xf4\x90\x80\x80", "\"\uFFFD\uFFFD\uFFFD\uFFFD\""},
		{"\xc0\xaf", "\"\uFFFD\uFFFD\""},
		{"\uFFFD", "\"\uFFFD\""},
	} {
		if diff := cmp.Diff(test.want, string(appendJSONText(nil, test.text))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.text, diff)
		}
		if got := appendJSONText(nil, []byte(test.text)); string(got) != test.want {
			t.Errorf("as bytes %q gives %s", test.text, got)
		}
	}
}

func FuzzJSONText(f *testing.F) {
	f.Add([]byte("a\"\\\n\x00\xff✓"))
	f.Add([]byte("\xf0\x9f\x98\xed\xa0\x80"))
	f.Fuzz(func(t *testing.T, b []byte) {
		text := appendJSONText(nil, b)
		var back string
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%q becomes %s: %v", b, text, err)
		}
		if utf8.Valid(b) && back != string(b) || back != dataitem.Text(b) {
			t.Errorf("%q becomes %s, which is %q", b, text, back)
		}
	})
}

// item makes a signed item with the given parts.
func item(t *testing.T, draft dataitem.Draft) *dataitem.Item {
	t.Helper()
	it, err := dataitem.Create(draft, logtest.Signer(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	return it
}

func TestMessageBytes(t *testing.T) {
	process := ao.ID{3}
	place := ao.Assignment{ID: ao.ID{4}, Process: process, Epoch: 0, Nonce: 12, HashChain: ao.ID{5}, BlockHeight: 1587000, TimestampMS: 1735689600123}
	const tail = `"Epoch":0,"Nonce":12,"Timestamp":1735689600123,"Block-Height":1587000,"Hash-Chain":"BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","Cron":false,"Read-Only":false}`
	for _, test := range []struct {
		name  string
		draft dataitem.Draft
		want  string
	}{
		{
			"user's message",
			dataitem.Draft{Target: process[:], Data: []byte("hi <\xff>"), Tags: dataitem.Tags{{Name: "Action", Value: "Ping"}, {Name: "From", Value: "x"}, {Name: "Owner", Value: "y"}, {Name: "from", Value: "kept"}}},
			`{"Id":"ID","Signature":"SIG","Data":"hi <` + "\uFFFD" + `>","Owner":"ME","Target":"` + process.String() + `","Anchor":null,"From":"ME","Tags":[{"name":"Action","value":"Ping"},{"name":"from","value":"kept"}],` + tail,
		},
		{
			"pushed message",
			dataitem.Draft{Target: process[:], Anchor: []byte("00000000000000000000000000000012"), Data: []byte("d"), Tags: dataitem.Tags{{Name: ao.TagFromProcess, Value: "P"}, {Name: ao.TagFromProcess, Value: "Q"}}},
			`{"Id":"ID","Signature":"SIG","Data":"d","Owner":"ME","Target":"` + process.String() + `","Anchor":"00000000000000000000000000000012","From":"P","Forwarded-By":"ME","Tags":[{"name":"From-Process","value":"P"},{"name":"From-Process","value":"Q"}],` + tail,
		},
		{
			"anchor that is no text",
			dataitem.Draft{Target: process[:], Anchor: bytes.Repeat([]byte{0xff}, 32)},
			`{"Id":"ID","Signature":"SIG","Data":"","Owner":"ME","Target":"` + process.String() + `","Anchor":null,"From":"ME","Tags":[],` + tail,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			it := item(t, test.draft)
			entry := aolog.Entry{Assignment: place, ItemBytes: it.Bytes()}
			entry.Message = it.ID()
			want := strings.NewReplacer(`"ID"`, `"`+it.ID().String()+`"`, `"ME"`, `"`+it.Address()+`"`,
				`"SIG"`, `"`+base64.RawURLEncoding.EncodeToString(it.Signature)+`"`).Replace(test.want)
			if diff := cmp.Diff(want, string(appendItemMessage(nil, entry, it))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestProcessWithBinaryDataHasNone(t *testing.T) {
	it := item(t, dataitem.Draft{Data: []byte{0xff}})
	entry := aolog.Entry{Assignment: ao.Assignment{Process: it.ID()}, ItemBytes: it.Bytes()}
	if got := string(appendItemMessage(nil, entry, it)); !strings.Contains(got, `"Data":null,`) {
		t.Errorf("message is %s", got)
	}
}

func TestBareMessageBytes(t *testing.T) {
	tx := TxMeta{ID: ao.ID{1}, Signature: []byte{1}, Owner: "own", Target: "to", Anchor: "anc", Tags: dataitem.Tags{{Name: "Owner", Value: "x"}}, Data: []byte("data")}
	entry := aolog.Entry{Assignment: ao.Assignment{Process: ao.ID{3}, Message: ao.ID{1}, Nonce: 2, TimestampMS: 5}}
	const tail = `"Epoch":0,"Nonce":2,"Timestamp":5,"Block-Height":0,"Hash-Chain":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","Cron":false,"Read-Only":false}`
	id := ao.ID{1}.String()
	want := `{"Id":"` + id + `","Signature":"AQ","Data":"data","Owner":"own","Target":"to","Anchor":"anc","From":"own","Tags":[{"name":"Owner","value":"x"}],` + tail
	if diff := cmp.Diff(want, string(appendBareMessage(nil, entry, tx))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	entry.Exclude = []string{"Data", "Tags", "Signature", "Anchor"}
	want = `{"Id":"` + id + `","Owner":"own","Target":"to","From":"own",` + tail
	if diff := cmp.Diff(want, string(appendBareMessage(nil, entry, tx))); diff != "" {
		t.Errorf("with exclusions (-want +got):\n%s", diff)
	}
}

func TestEnvBytes(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	var output string
	decode(t, b.result(process, b.send(process, "time")).Result.Output, &output)
	_, env, _ := strings.Cut(output, "\n")
	entry, err := b.log.Read(t.Context(), process, 0)
	if err != nil {
		t.Fatal(err)
	}
	it, err := entry.Item()
	if err != nil {
		t.Fatal(err)
	}
	tags := func(tags dataitem.Tags) string { return string(appendJSONTags(nil, tags)) }
	want := `{"Process":{"Id":"` + process.String() + `","Owner":"` + it.Address() + `","Tags":` + tags(it.Tags) +
		`},"Module":{"Id":"` + ao.ID{1}.String() + `","Owner":"module-owner","Tags":` + tags(testTags) + `}}`
	if diff := cmp.Diff(want, env); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecodeResponse(t *testing.T) {
	for _, test := range []struct{ response, want string }{
		{`{}`, `{"Messages":[],"Assignments":[],"Spawns":[],"Output":"","GasUsed":7}`},
		{`null`, `{"Messages":[],"Assignments":[],"Spawns":[],"Output":"","GasUsed":7}`},
		{`"text"`, `{"Messages":[],"Assignments":[],"Spawns":[],"Output":"","GasUsed":7}`},
		{`{"Output":12.50}`, `{"Messages":[],"Assignments":[],"Spawns":[],"Output":"12.5","GasUsed":7}`},
		{`{"Output":-0}`, `{"Messages":[],"Assignments":[],"Spawns":[],"Output":"0","GasUsed":7}`},
		{`{"Output":1e21}`, `{"Messages":[],"Assignments":[],"Spawns":[],"Output":"1e+21","GasUsed":7}`},
		{`{"Output":null,"Messages":{},"Spawns":null}`, `{"Messages":[],"Assignments":[],"Spawns":[],"Output":"","GasUsed":7}`},
		{`{"Output":{"z":1,"a":2},"messages":[1]}`, `{"Messages":[],"Assignments":[],"Spawns":[],"Output":{"z":1,"a":2},"GasUsed":7}`},
		{`{"Error":"","Output":"x"}`, `{"Messages":[],"Assignments":[],"Spawns":[],"Output":"x","GasUsed":7}`},
		{`{"Error":{"a":1},"Messages":[{"b":1}]}`, `{"Messages":[{"b":1}],"Assignments":[],"Spawns":[],"Output":"","GasUsed":7,"Error":{"a":1}}`},
		{"{\"Output\":\"\xe2\x9c\"}", "{\"Messages\":[],\"Assignments\":[],\"Spawns\":[],\"Output\":\"\uFFFD\",\"GasUsed\":7}"},
	} {
		got, err := decodeResponse([]byte(test.response), 7)
		if err != nil {
			t.Errorf("%s: %v", test.response, err)
		}
		if diff := cmp.Diff(test.want, string(got.result.JSON())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.response, diff)
		}
	}
	for _, bad := range []string{"", "{", `{"Output":}`, "x"} {
		if _, err := decodeResponse([]byte(bad), 7); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestMemoryLimitText(t *testing.T) {
	for text, want := range map[string]uint64{
		"500-mb": 500 << 20, "1-gb": 1 << 30, "16384-mb": 16 << 30, "536870912-b": 512 << 20, "1.5-kb": 1536, "2-TB": 2 << 40, "77": 77,
	} {
		if got, ok := parseMemoryLimit(text); !ok || got != want {
			t.Errorf("%s is %d, %v", text, got, ok)
		}
	}
	for _, bad := range []string{"", "mb", "1--gb", "x-mb", "1-pb", "-", "NaN-mb", "1e300-gb", "Inf"} {
		if got, ok := parseMemoryLimit(bad); ok {
			t.Errorf("%q is %d", bad, got)
		}
	}
}
