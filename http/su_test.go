package http

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

func TestSchedulerSaysWhoItIs(t *testing.T) {
	u := newUnits(t, nil)
	u.get(u.su.URL+"/").is(t, http.StatusOK, `{"timestamp":"1700000000000","address":"`+address+`"}`)
	u.get(u.su.URL+"/?process-id=x").is(t, http.StatusOK, `{"timestamp":"1700000000000","address":"`+address+`"}`)
	u.get(u.su.URL+"/timestamp").is(t, http.StatusOK, `{"timestamp":"1700000000000","block_height":"000001587000"}`)
	u.get(u.su.URL+"/health").is(t, http.StatusOK, "")
}

func TestEntriesHaveTheReferencesShape(t *testing.T) {
	u := newUnits(t, nil)
	module := ao.ID{3}
	process := create(t, dataitem.Draft{Data: []byte{0xff, 'x'}, Tags: protocolTags(ao.TypeProcess,
		dataitem.Tag{Name: ao.TagModule, Value: module.String()}, dataitem.Tag{Name: ao.TagScheduler, Value: "s"})})
	posted := u.do(http.MethodPost, u.su.URL, process.Bytes())
	posted.is(t, http.StatusOK, `{"timestamp":1700000000001,"id":"`+process.ID().String()+`"}`)
	pid := process.ID()
	message := create(t, dataitem.Draft{
		Target: pid[:], Anchor: []byte("00000000000000000000000000000042"), Data: []byte{'<', 0xff, '&'}, Tags: protocolTags(ao.TypeMessage),
	})
	u.do(http.MethodPost, u.su.URL+"/", message.Bytes()).is(t, http.StatusOK, `{"timestamp":1700000000002,"id":"`+message.ID().String()+`"}`)

	entry, err := u.log.Read(t.Context(), pid, 1)
	if err != nil {
		t.Fatal(err)
	}
	assignment, err := dataitem.Parse(entry.AssignmentBytes)
	if err != nil {
		t.Fatal(err)
	}
	base64url := base64.RawURLEncoding.EncodeToString
	owner := func(item *dataitem.Item) string {
		return `{"address":"` + item.OwnerAddress().String() + `","key":"` + base64url(item.Owner) + `"}`
	}
	var tags []string
	for _, tag := range assignment.Tags {
		tags = append(tags, fmt.Sprintf(`{"name":%q,"value":%q}`, tag.Name, tag.Value))
	}
	want := `{"message":{"id":"` + message.ID().String() + `","owner":` + owner(message) + `,"data":"<` + "\ufffd" + `&",` +
		`"tags":[{"name":"Data-Protocol","value":"ao"},{"name":"Type","value":"Message"}],"signature":"` + base64url(message.Signature) +
		`","anchor":"00000000000000000000000000000042","target":"` + pid.String() + `"},"assignment":{"id":"` + entry.ID.String() +
		`","owner":` + owner(assignment) + `,"tags":[` + strings.Join(tags, ",") + `],"signature":"` + base64url(assignment.Signature) +
		`","anchor":null,"target":""}}`
	for _, path := range []string{
		"/" + message.ID().String(), "/" + entry.ID.String(), "/" + pid.String() + "/latest",
		"/" + message.ID().String() + "?process-id=" + pid.String(), "//" + message.ID().String(),
	} {
		u.get(u.su.URL+path).is(t, http.StatusOK, want)
	}
	shown := decode[connect.MessageJSON](t, u.get(u.su.URL+"/"+message.ID().String()+"?show-anchor"))
	if shown.Assignment.Anchor == nil || *shown.Assignment.Anchor != base64url(assignment.Anchor) {
		t.Errorf("show-anchor gives %v", shown.Assignment.Anchor)
	}
	list := u.get(u.su.URL + "/" + pid.String() + "?process-id=" + pid.String() + "&from-nonce=0")
	list.is(t, http.StatusOK, `{"page_info":{"has_next_page":false},"edges":[{"node":`+want+`,"cursor":"1"}]}`)

	u.get(u.su.URL+"/processes/"+pid.String()).is(t, http.StatusOK, `{"process_id":"`+pid.String()+`","block":"000000000000","owner":`+owner(process)+
		`,"tags":[{"name":"Data-Protocol","value":"ao"},{"name":"Type","value":"Process"},{"name":"Module","value":"`+module.String()+
		`"},{"name":"Scheduler","value":"s"}],"timestamp":1700000000001,"data":null,"anchor":null,"signature":"`+base64url(process.Signature)+`","target":null}`)
	first := decode[connect.ListJSON](t, u.get(u.su.URL+"/"+pid.String()+"?limit=1"))
	if edge := first.Edges[0].Node.Message; !first.PageInfo.HasNextPage || edge.ID != pid.String() || edge.Target != nil || edge.Data != nil {
		t.Errorf("the first edge is %+v", edge)
	}
}

func TestLatestOfAFreshProcessIsTheProcess(t *testing.T) {
	u := newUnits(t, nil)
	process := logtest.Spawn(t, u.log, "fresh")
	latest := decode[connect.MessageJSON](t, u.get(u.su.URL+"/"+process.String()+"/latest"))
	if latest.Message == nil || latest.Message.ID != process.String() {
		t.Errorf("latest is %+v", latest.Message)
	}
}

func TestPagesOfTheLog(t *testing.T) {
	u := newUnits(t, nil)
	process := logtest.Spawn(t, u.log, "paged")
	times := []int64{}
	for _, item := range logtest.Messages(t, logtest.Signer(t, 9), process, 9) {
		times = append(times, logtest.Append(t, u.log, item).TimestampMS)
	}
	at := func(nonce int) string { return strconv.FormatInt(times[nonce-1], 10) }
	for query, want := range map[string]struct {
		from, to int
		more     bool
	}{
		"":                                    {0, 9, false},
		"?limit=4":                            {0, 3, true},
		"?limit=10":                           {0, 9, false},
		"?limit=99999":                        {0, 9, false},
		"?from-nonce=-1&limit=2":              {0, 1, true},
		"?from-nonce=2&limit=3":               {3, 5, true},
		"?from-nonce=2&to-nonce=5":            {3, 5, false},
		"?to-nonce=2":                         {0, 2, false},
		"?from-nonce=9":                       {1, 0, false},
		"?from-nonce=undefined&to-nonce=null": {0, 9, false},
		"?from=" + at(3):                      {4, 9, false},
		"?from=" + at(3) + "&to=" + at(5):     {4, 5, false},
		"?to=" + at(2):                        {0, 2, false},
		"?to=" + at(2) + "&limit=2":           {0, 1, true},
		"?to=5":                               {1, 0, false},
		"?from=0":                             {0, 9, false},
		"?from=" + at(9):                      {1, 0, false},
		"?limit=undefined":                    {0, 9, false},
	} {
		list := decode[connect.ListJSON](t, u.get(u.su.URL+"/"+process.String()+query))
		var got []int
		for _, edge := range list.Edges {
			nonce, err := strconv.Atoi(edge.Node.Assignment.Tags.Get("Nonce"))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, nonce)
			cursor := edge.Node.Assignment.Tags.Get("Timestamp")
			if strings.Contains(query, "-nonce=") && !strings.Contains(query, "undefined") {
				cursor = strconv.Itoa(nonce)
			}
			if edge.Cursor != cursor {
				t.Errorf("%s: cursor %s at nonce %d, want %s", query, edge.Cursor, nonce, cursor)
			}
		}
		var nonces []int
		for nonce := want.from; nonce <= want.to; nonce++ {
			nonces = append(nonces, nonce)
		}
		if diff := cmp.Diff(nonces, got); diff != "" || list.PageInfo.HasNextPage != want.more {
			t.Errorf("%s: more %v, nonces (-want +got):\n%s", query, list.PageInfo.HasNextPage, diff)
		}
	}
	for _, query := range []string{"limit=0", "limit=x", "from-nonce=x", "from-nonce=-2", "to-nonce=-1", "from=x", "to=x"} {
		u.get(u.su.URL+"/"+process.String()+"?"+query).refuses(t, http.StatusBadRequest, ao.CodeInvalid, query[:strings.Index(query, "=")])
	}
}

func TestRefusedItems(t *testing.T) {
	u := newUnits(t, nil)
	process := logtest.Spawn(t, u.log, "target")
	good := logtest.MessageItem(t, logtest.Signer(t, 9), process, "x").Bytes()
	corrupt := bytes.Clone(good)
	corrupt[10] ^= 1
	aptos := append(binary.LittleEndian.AppendUint16(nil, uint16(dataitem.MultiAptos)), good...)
	unknown := append(binary.LittleEndian.AppendUint16(nil, 99), good[2:]...)
	for name, c := range map[string]struct {
		body   []byte
		status int
		code   ao.Code
		text   string
	}{
		"empty":             {nil, 400, ao.CodeInvalid, "empty"},
		"corrupt signature": {corrupt, 400, ao.CodeInvalid, "signature"},
		"cut":               {good[:len(good)/2], 400, ao.CodeInvalid, "not a signed data item"},
		"one byte":          {good[:1], 400, ao.CodeInvalid, "not a signed data item"},
		"text":              {[]byte("hello"), 400, ao.CodeInvalid, "not a signed data item"},
		"unknown type":      {unknown, 400, ao.CodeInvalid, "99"},
		"multi aptos":       {aptos, 400, ao.CodeInvalid, "6"},
		"no tags":           {create(t, dataitem.Draft{Target: process[:]}).Bytes(), 400, ao.CodeInvalid, "Data-Protocol"},
		"no type":           {create(t, dataitem.Draft{Target: process[:], Tags: protocolTags("Message")[:1]}).Bytes(), 400, ao.CodeInvalid, "Type"},
		"strange type":      {create(t, dataitem.Draft{Target: process[:], Tags: protocolTags("Letter")}).Bytes(), 400, ao.CodeInvalid, "Letter"},
		"no module":         {create(t, dataitem.Draft{Tags: protocolTags(ao.TypeProcess)}).Bytes(), 400, ao.CodeInvalid, "Module"},
		"no target":         {create(t, dataitem.Draft{Tags: protocolTags(ao.TypeMessage)}).Bytes(), 400, ao.CodeInvalid, "target"},
		"link":              {create(t, dataitem.Draft{Target: process[:], Tags: protocolTags(ao.TypeMessage, dataitem.Tag{Name: "a+link", Value: "x"})}).Bytes(), 400, ao.CodeInvalid, "+link"},
		"target no process": {logtest.MessageItem(t, logtest.Signer(t, 9), ao.ID{5}, "x").Bytes(), 404, ao.CodeNotFound, "not known"},
	} {
		t.Run(name, func(t *testing.T) {
			u.do(http.MethodPost, u.su.URL, c.body).refuses(t, c.status, c.code, c.text)
			if c.body != nil {
				u.do(http.MethodPost, u.mu.URL, c.body).refuses(t, c.status, c.code, c.text)
			}
		})
	}
	if head, err := u.log.Head(t.Context(), process); err != nil || head.Nonce != 0 {
		t.Errorf("something entered the log: %+v, %v", head, err)
	}
}

func TestRefusedQuestions(t *testing.T) {
	u := newUnits(t, nil)
	process := logtest.Spawn(t, u.log, "x")
	unknown := ao.ID{5}.String()
	for path, want := range map[string]struct {
		status int
		code   ao.Code
		text   string
	}{
		"/short":                        {400, ao.CodeInvalid, "43"},
		"/" + unknown:                   {404, ao.CodeNotFound, "Message or Process not found"},
		"/" + unknown + "/latest":       {404, ao.CodeNotFound, "not known"},
		"/processes/" + unknown:         {404, ao.CodeNotFound, "not known"},
		"/processes/x":                  {400, ao.CodeInvalid, "43"},
		"/a/b/c":                        {404, ao.CodeNotFound, "there is no GET /a/b/c"},
		"/" + unknown + "?process-id=x": {400, ao.CodeInvalid, "process-id"},
	} {
		u.get(u.su.URL+path).refuses(t, want.status, want.code, want.text)
	}
	u.do(http.MethodPut, u.su.URL+"/"+process.String(), nil).refuses(t, http.StatusMethodNotAllowed, ao.CodeInvalid, "PUT is not allowed")
	_, other := u.get(u.su.URL+"/"+process.String()), logtest.Append(t, u.log, logtest.MessageItem(t, logtest.Signer(t, 9), process, "x"))
	u.get(u.su.URL+"/"+other.Message.String()+"?process-id="+unknown).refuses(t, 404, ao.CodeNotFound, "not found")
}

func TestAssignments(t *testing.T) {
	u := newUnits(t, nil)
	from, to := logtest.Spawn(t, u.log, "from"), logtest.Spawn(t, u.log, "to")
	message := logtest.Append(t, u.log, logtest.MessageItem(t, logtest.Signer(t, 9), from, "x")).Message
	shallow, deep, unknown, half, huge := ao.ID{0x11}, ao.ID{0x12}, ao.ID{0x13}, ao.ID{0x14}, ao.ID{0x15}
	u.weave[shallow], u.weave[deep] = aolog.Standing{Confirmations: 19, Whole: true}, aolog.Standing{Confirmations: 20, Whole: true}
	u.weave[half], u.weave[huge] = aolog.Standing{DataBytes: 1}, aolog.Standing{DataBytes: aolog.AssignedBytesMax + 1, Whole: true}
	query := func(process, id ao.ID, more string) string {
		return "/?process-id=" + process.String() + "&assign=" + id.String() + more
	}
	posted := decode[suPosted](t, u.do(http.MethodPost, u.su.URL+query(to, message, "&exclude=Data,%20Tags,"), nil))
	entry, err := u.log.Read(t.Context(), to, 1)
	if err != nil || entry.ID != posted.ID || entry.Message != message || cmp.Diff([]string{"Data", "Tags"}, entry.Exclude) != "" {
		t.Errorf("assigned %+v, %v", entry, err)
	}
	shape := decode[connect.MessageJSON](t, u.get(u.su.URL+"/"+posted.ID.String()))
	if shape.Message != nil || shape.Assignment.Tags.Get("Message") != message.String() {
		t.Errorf("a bare assignment shows %+v", shape)
	}
	again := u.do(http.MethodPost, u.su.URL+query(to, message, ""), nil)
	if again.header.Get("Wallaby-Duplicate") != "true" || decode[suPosted](t, again).ID != posted.ID {
		t.Errorf("assigned twice: %v %s", again.header, again.body)
	}
	decode[suPosted](t, u.do(http.MethodPost, u.su.URL+query(to, deep, "&base-layer"), nil))
	// Only assignments that say base-layer wait for confirmations.
	if a := u.do(http.MethodPost, u.mu.URL+query(to, shallow, ""), nil); a.status != http.StatusAccepted {
		t.Errorf("assigned through the messenger: %d %s", a.status, a.body)
	}
	// Nobody waits for the data of what is assigned without it.
	decode[suPosted](t, u.do(http.MethodPost, u.su.URL+query(from, half, "&exclude=Data"), nil))
	for path, want := range map[string]struct {
		status int
		code   ao.Code
		text   string
	}{
		query(to, shallow, "&base-layer="):     {422, ao.CodeUnprocessable, "has 19 of 20: try again in 1 blocks"},
		query(to, half, ""):                    {422, ao.CodeUnprocessable, "upload the rest"},
		query(to, huge, ""):                    {413, ao.CodeTooLarge, "exclude=Data"},
		query(to, unknown, ""):                 {404, ao.CodeNotFound, "Transaction not found"},
		query(to, unknown, "&base-layer"):      {404, ao.CodeNotFound, "Transaction not found"},
		query(unknown, message, ""):            {404, ao.CodeNotFound, "not known"},
		"/?assign=" + message.String():         {400, ao.CodeInvalid, "both"},
		"/?process-id=x&assign=y":              {400, ao.CodeInvalid, "process-id"},
		"/?assign=y&process-id=" + to.String(): {400, ao.CodeInvalid, "assign"},
	} {
		u.do(http.MethodPost, u.su.URL+path, nil).refuses(t, want.status, want.code, want.text)
	}
}

func TestAProcessSaysHowDeepIsSettled(t *testing.T) {
	u := newUnits(t, nil)
	for text, want := range map[string]string{"3": "has 2 of 3", "0": "", "2": "", "soon": "has 2 of 20"} {
		process := logtest.Append(t, u.log, logtest.ProcessItem(t, logtest.Signer(t, 9), text, dataitem.Tag{Name: ao.TagSettlementDepth, Value: text})).Process
		tx := ao.ID{0x11}
		u.weave[tx] = aolog.Standing{Confirmations: 2, Whole: true}
		a := u.do(http.MethodPost, u.mu.URL+"/?process-id="+process.String()+"&assign="+tx.String()+"&base-layer", nil)
		if want == "" {
			if a.status != http.StatusAccepted {
				t.Errorf("depth %s: %d %s", text, a.status, a.body)
			}
			continue
		}
		a.refuses(t, 422, ao.CodeUnprocessable, want)
	}
}

func TestTwoHundredPostsOfOneItemAreOneEntry(t *testing.T) {
	u := newUnits(t, nil)
	process := logtest.Spawn(t, u.log, "busy")
	item := logtest.MessageItem(t, logtest.Signer(t, 9), process, "once")
	var wait sync.WaitGroup
	var mu sync.Mutex
	fresh, ids := 0, map[string]bool{}
	for i := range 200 {
		wait.Go(func() {
			url, status := u.su.URL, http.StatusOK
			if i%2 == 1 {
				url, status = u.mu.URL, http.StatusAccepted
			}
			a := u.do(http.MethodPost, url, item.Bytes())
			mu.Lock()
			defer mu.Unlock()
			if a.status != status {
				t.Errorf("status %d: %s", a.status, a.body)
			}
			if a.header.Get("Wallaby-Duplicate") == "" {
				fresh++
			}
			ids[a.body[strings.Index(a.body, `"id"`):]] = true
		})
	}
	wait.Wait()
	head, err := u.log.Head(t.Context(), process)
	if err != nil || head.Nonce != 1 || fresh != 1 || len(ids) != 1 {
		t.Errorf("head %d, %d fresh answers, ids %v, %v", head.Nonce, fresh, ids, err)
	}
}
