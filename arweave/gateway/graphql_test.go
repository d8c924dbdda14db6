package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// The queries below ask what the clients and units of ao ask, in the forms they
// use: aliases, directives, fragments, literals, objects where lists are due,
// and variables that are null or missing.

func TestAskers(t *testing.T) {
	w := open(t, gateway.Options{GenesisHeight: 1_600_000})
	owner, scheduler := wallet(t, 1), wallet(t, 2)
	module := sign(t, owner, dataitem.Draft{Tags: tags("Data-Protocol", "ao", "Type", "Module", "Module-Format", "wasm64",
		"Input-Encoding", "JSON-1", "Output-Encoding", "JSON-1", "Content-Type", "application/wasm", "Name", "m"), Data: []byte("\x00asm")})
	location := sign(t, scheduler, dataitem.Draft{Tags: tags("Data-Protocol", "ao", "Type", "Scheduler-Location", "Url", "http://127.0.0.1:4003", "Time-To-Live", "1000")})
	target := dataitem.AddressOf([]byte("target"))
	anchor := []byte("0123456789abcdef0123456789abcdef")
	process := sign(t, owner, dataitem.Draft{Target: target[:], Anchor: anchor, Tags: tags("Data-Protocol", "ao", "Variant", "ao.TN.1",
		"Type", "Process", "Name", "n", "Scheduler", location.OwnerAddress().String()), Data: []byte(" ")})
	w.put(module, location, process)
	w.clock.advance(2 * time.Minute)
	var checkpoints []string
	for _, nonce := range []string{"3", "7"} {
		c := sign(t, owner, dataitem.Draft{Tags: tags("Data-Protocol", "ao", "Type", "Checkpoint", "Process", process.ID().String(), "Nonce", nonce, "Timestamp", "17"+nonce)})
		w.put(c)
		checkpoints = append(checkpoints, c.ID().String())
	}
	owned := owner.Owner()
	address := dataitem.AddressOf(owned).String()

	for _, asker := range []struct {
		name      string
		query     string
		variables map[string]any
		ids       []string
		holds     string // part of the answer's text
	}{
		{
			"aoconnect", `query GetTransactions ($transactionIds: [ID!]!) { transactions(ids: $transactionIds) { edges { node { owner { address } tags { name value } block { id height timestamp } id } } } }`,
			map[string]any{"transactionIds": []string{module.ID().String()}}, []string{module.ID().String()},
			`"height":1600000,"timestamp":1700000000`,
		},
		{
			"scheduler-utils, process", `query ($ids: [ID!]!) { transactions(ids: $ids) { pageInfo { hasNextPage } edges { cursor node { id anchor signature recipient owner { address key } fee { winston ar } quantity { winston ar } data { size type } tags { name value } block { id timestamp height previous } parent { id } } } } }`,
			map[string]any{"ids": []string{process.ID().String()}}, []string{process.ID().String()},
			`"anchor":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY","signature":"`,
		},
		{
			"scheduler-utils, tags", `query ($ids: [ID!]!, $protocol: String!) { transactions(ids: $ids, tags: [{ name: "Data-Protocol", values: [$protocol] }]) { edges { node { id tags { name value } } } } }`,
			map[string]any{"ids": []string{process.ID().String()}, "protocol": "ao"}, []string{process.ID().String()}, "",
		},
		{
			"scheduler-utils, location", `query GetSchedulerLocation ($owner: String!) { transactions (owners: [$owner] sort: HEIGHT_DESC first: 1 tags: [ { name: "Data-Protocol", values: ["ao"] } { name: "Type", values: ["Scheduler-Location"] } ]) { edges { node { id tags { name value } } } } }`,
			map[string]any{"owner": location.OwnerAddress().String()}, []string{location.ID().String()}, `{"name":"Url","value":"http://127.0.0.1:4003"}`,
		},
		{
			"messenger, locations", `query ($after: String) { transactions(first: 100, after: $after, tags: [{ name: "Type", values: ["Scheduler-Location"] }, { name: "Data-Protocol", values: ["ao"] }]) { pageInfo { hasNextPage } edges { cursor node { id owner { address } tags { name value } block { id height timestamp } } } } }`,
			map[string]any{"after": nil}, []string{location.ID().String()}, `"hasNextPage":false`,
		},
		{
			"compute unit, processes", `query GetProcesses ($processIds: [ID!]!, $skipTags: Boolean!, $skipSignature: Boolean!, $skipAnchor: Boolean!) { transactions(ids: $processIds) { edges { node { id signature @skip(if: $skipSignature) anchor @skip(if: $skipAnchor) owner { address key } tags @skip(if: $skipTags) { name value } recipient } } } }`,
			map[string]any{"processIds": []string{process.ID().String()}, "skipTags": true, "skipSignature": false, "skipAnchor": false}, []string{process.ID().String()},
			`"recipient":"` + target.String() + `"`,
		},
		{
			"compute unit, checkpoints", `query GetAoProcessCheckpoints ($owners: [String!]!, $processId: String!, $limit: Int!) { transactions(tags: [{ name: "Process", values: [$processId] }, { name: "Type", values: ["Checkpoint"] }, { name: "Data-Protocol", values: ["ao"] }], owners: $owners, first: $limit, sort: HEIGHT_DESC) { edges { node { id owner { address } tags { name value } } } } }`,
			map[string]any{"owners": []string{address}, "processId": process.ID().String(), "limit": 50}, []string{checkpoints[1], checkpoints[0]}, "",
		},
		{
			"compute unit, one checkpoint", `query ($processId: String!, $nonce: String!, $timestamp: String!) { transactions(tags: [{ name: "Process", values: [$processId] }, { name: "Nonce", values: [$nonce] }, { name: "Timestamp", values: [$timestamp] }, { name: "Type", values: ["Checkpoint"] }, { name: "Data-Protocol", values: ["ao"] }], first: 1, sort: HEIGHT_DESC) { edges { node { id } } } }`,
			map[string]any{"processId": process.ID().String(), "nonce": "3", "timestamp": "173"}, checkpoints[:1], "",
		},
		{
			"scheduler unit", fmt.Sprintf(`query { transactions(ids: [%q]) { edges { node { id signature anchor owner { address key } tags { name value } recipient } } } }`, process.ID()),
			nil, []string{process.ID().String()}, "",
		},
		{
			"aos, by name", `query ($owners: [String!]!) { transactions( first: 100, owners: $owners, tags: [ { name: "Data-Protocol", values: ["ao"] }, { name: "Type", values: ["Process"]}, { name: "Name", values: ["n"]} ] ) { edges { node { id tags { name value } } } } }`,
			map[string]any{"owners": []string{address, ""}}, []string{process.ID().String()}, "",
		},
		{
			"aos, module", `query { transactions(sort: HEIGHT_DESC, first: 100, tags: [{name: "Type", values: ["Module"]}, {name: "Name", values: ["m"]}]) { edges { node { ...fields } } } } fragment fields on Transaction { id owner { address } block { timestamp } }`,
			nil, []string{module.ID().String()}, "",
		},
		{
			"WeaveDrive", `query { transactions(owners: [` + fmt.Sprintf("%q", address) + `], block: {min: 0, max: 1600000}, tags: [{ name: "Type", values: ["Module", "Attestation"] }]) { edges { node { id tags { name value } } } } }`,
			nil, []string{module.ID().String()}, "",
		},
		{
			"HyperBEAM, an object for the list", fmt.Sprintf(`query { transactions(owners: [%q], tags: { name: "Type", values: ["Scheduler-Location"] }, first: 1) { edges { node { id anchor signature recipient owner { key } fee { winston } quantity { winston } tags { name value } data { size } } } } }`, location.OwnerAddress()),
			nil, []string{location.ID().String()}, `"size":"0"`,
		},
		{
			"every argument null", `query ($n: Int, $s: SortOrder, $l: [ID!], $t: [TagFilter!], $b: BlockFilter, $o: [String!]) { found: transactions(first: $n, sort: $s, ids: $l, tags: $t, block: $b, owners: $o, recipients: null, bundledIn: null, after: null) { edges { node { id } } } transactions(first: 1, sort: HEIGHT_ASC) { edges { node { id } } } }`,
			map[string]any{"n": nil, "s": nil, "l": nil, "t": nil, "b": nil, "o": nil}, []string{module.ID().String()}, checkpoints[1],
		},
	} {
		t.Run(asker.name, func(t *testing.T) {
			var raw json.RawMessage
			w.query(asker.query, asker.variables, &raw)
			var got edges
			if err := json.Unmarshal(raw, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(asker.ids, got.ids()); diff != "" {
				t.Errorf("%s\n%s", diff, raw)
			}
			if !strings.Contains(string(raw), asker.holds) {
				t.Errorf("%s is not in %s", asker.holds, raw)
			}
		})
	}
}

// corpus is a gateway with 60 items over six blocks.
func corpus(t *testing.T) (*world, []*dataitem.Item) {
	w := open(t, gateway.Options{})
	var items []*dataitem.Item
	for i := range 60 {
		target := dataitem.AddressOf([]byte{byte(i % 4)})
		it := sign(t, wallet(t, byte(1+i%3)), dataitem.Draft{Target: target[:], Tags: tags(
			"Number", itoa(i), "Even", fmt.Sprint(i%2 == 0), "Fifth", itoa(i%5), "Case", "Value", "Two", "a", "Two", "b"+itoa(i%2))})
		w.put(it)
		items = append(items, it)
		if i%10 == 9 {
			w.clock.advance(2 * time.Minute)
		}
	}
	return w, items
}

func TestFilters(t *testing.T) {
	w, items := corpus(t)
	id := func(i int) string { return items[i].ID().String() }
	owner := func(i int) string { return items[i].OwnerAddress().String() }
	recipient := func(i int) string { return items[i].TargetID().String() }
	where := func(keep func(i int) bool) []string {
		ids := []string{}
		for i := 59; i >= 0; i-- {
			if keep(i) {
				ids = append(ids, id(i))
			}
		}
		return ids
	}
	for arguments, want := range map[string][]string{
		`tags:[{name:"Even",values:["true"]}]`:                                              where(func(i int) bool { return i%2 == 0 }),
		`tags:[{name:"Even",values:["true"]},{name:"Fifth",values:["1","3"]}]`:              where(func(i int) bool { return i%2 == 0 && (i%5 == 1 || i%5 == 3) }),
		`tags:[{name:"Even",values:["true","false"]},{name:"Fifth",values:["4","4"]}]`:      where(func(i int) bool { return i%5 == 4 }),
		`tags:[{name:"Even",values:["true"],op:EQ},{name:"Fifth",values:["1","2"],op:NEQ}]`: where(func(i int) bool { return i%2 == 0 && i%5 != 1 && i%5 != 2 }),
		`tags:[{name:"Two",values:["b1"]},{name:"Two",values:["a"]}]`:                       where(func(i int) bool { return i%2 == 1 }),
		`tags:[{name:"case",values:["Value"]}]`:                                             {},
		`tags:[{name:"Case",values:["value"]}]`:                                             {},
		`tags:[{name:"Even",values:[]}]`:                                                    {},
		`tags:[{name:"Eventrue",values:[""]}]`:                                              {},
		fmt.Sprintf(`owners:[%q]`, owner(1)):                                                where(func(i int) bool { return i%3 == 1 }),
		fmt.Sprintf(`owners:[%q,%q,"nobody",""]`, owner(1), owner(2)):                       where(func(i int) bool { return i%3 != 0 }),
		`owners:[""]`: {},
		`owners:[]`:   where(func(int) bool { return true }),
		fmt.Sprintf(`recipients:[%q], owners:[%q]`, recipient(3), owner(0)):              where(func(i int) bool { return i%4 == 3 && i%3 == 0 }),
		fmt.Sprintf(`ids:[%q,%q,%q]`, id(7), id(50), id(7)):                              {id(50), id(7)},
		fmt.Sprintf(`ids:[%q,%q], tags:[{name:"Even",values:["false"]}]`, id(7), id(50)): {id(7)},
		`ids:["garbage"]`: {},
		fmt.Sprintf(`ids:[%q]`, dataitem.AddressOf([]byte("unknown"))): {},
		`block:{min:3}`:              where(func(i int) bool { return i >= 20 }),
		`block:{max:2}`:              where(func(i int) bool { return i < 20 }),
		`block:{min:2,max:3}`:        where(func(i int) bool { return i >= 10 && i < 30 }),
		`block:{min:0,max:0}`:        {},
		`block:{min:7,max:9}`:        {},
		`block:{min:-5,max:1000000}`: where(func(int) bool { return true }),
		`block:{min:2,max:3},tags:[{name:"Fifth",values:["0"]}]`: where(func(i int) bool { return i >= 10 && i < 30 && i%5 == 0 }),
		`first:0`:                               {},
		`first:3`:                               {id(59), id(58), id(57)},
		`first:3,sort:INGESTED_AT_ASC`:          {id(0), id(1), id(2)},
		`first:2,sort:INGESTED_AT_DESC`:         {id(59), id(58)},
		`first:3,sort:HEIGHT_ASC,block:{min:4}`: {id(30), id(31), id(32)},
		fmt.Sprintf(`bundledIn:[%q]`, id(0)):    {},
		`first:2,tags:{name:"Fifth",values:"2"},sort:HEIGHT_ASC`: {id(2), id(7)},
	} {
		if !strings.Contains(arguments, "first") {
			arguments += ",first:1000"
		}
		var got edges
		w.query("{transactions("+arguments+"){edges{node{id}}}}", nil, &got)
		if diff := cmp.Diff(want, got.ids()); diff != "" {
			t.Errorf("%s: %s", arguments, diff)
		}
	}
	var ten edges
	w.query("{transactions{pageInfo{hasNextPage} edges{node{id}}}}", nil, &ten)
	if len(ten.ids()) != 10 || !ten.Transactions.PageInfo.HasNextPage {
		t.Errorf("without first: %d, %v", len(ten.ids()), ten.Transactions.PageInfo)
	}
}

func TestPagesHoldEveryItemOnce(t *testing.T) {
	w, items := corpus(t)
	for _, sort := range []string{"HEIGHT_ASC", "HEIGHT_DESC"} {
		for _, size := range []int{1, 7, 20, 59, 60, 100} {
			var seen []string
			after := ""
			for {
				var page edges
				w.query(`query($n:Int,$after:String,$sort:SortOrder){transactions(first:$n,after:$after,sort:$sort){pageInfo{hasNextPage} edges{cursor node{id}}}}`,
					map[string]any{"n": size, "after": after, "sort": sort}, &page)
				seen = append(seen, page.ids()...)
				if !page.Transactions.PageInfo.HasNextPage {
					break
				}
				after = page.Transactions.Edges[len(page.Transactions.Edges)-1].Cursor
				if after == "" || len(seen) > len(items) {
					t.Fatalf("%s by %d: %d seen, cursor %q", sort, size, len(seen), after)
				}
			}
			var want []string
			for _, it := range items {
				want = append(want, it.ID().String())
			}
			if sort == "HEIGHT_DESC" {
				slices.Reverse(want)
			}
			if diff := cmp.Diff(want, seen); diff != "" {
				t.Errorf("%s by %d: %s", sort, size, diff)
			}
		}
	}
}

func TestBlocksQuery(t *testing.T) {
	w := open(t, gateway.Options{GenesisHeight: 500, BlockIntervalMS: 1000})
	w.clock.advance(99 * time.Second)
	type blocks struct {
		Blocks struct {
			PageInfo struct{ HasNextPage bool }
			Edges    []struct {
				Cursor string
				Node   struct {
					ID, Previous      string
					Height, Timestamp int64
				}
			}
		}
	}
	heights := func(b blocks) (list []int64) {
		for _, edge := range b.Blocks.Edges {
			list = append(list, edge.Node.Height)
		}
		return list
	}
	ask := func(arguments string) (b blocks) {
		w.query("{blocks"+arguments+"{pageInfo{hasNextPage} edges{cursor node{id height timestamp previous}}}}", nil, &b)
		return b
	}
	// The reference compute unit pages by height, without cursors.
	var walked []int64
	for from := 510; ; {
		page := ask(fmt.Sprintf("(height:{min:%d}, first:40, sort:HEIGHT_ASC)", from))
		walked = append(walked, heights(page)...)
		if !page.Blocks.PageInfo.HasNextPage {
			break
		}
		from = int(walked[len(walked)-1]) + 1
	}
	if len(walked) != 90 || walked[0] != 510 || walked[89] != 599 {
		t.Errorf("walked %v", walked)
	}
	page := ask("(first:3)")
	if diff := cmp.Diff([]int64{599, 598, 597}, heights(page)); diff != "" {
		t.Error(diff)
	}
	first, second := page.Blocks.Edges[0].Node, page.Blocks.Edges[1].Node
	if first.Previous != second.ID || first.Timestamp != second.Timestamp+1 || len(first.ID) != 64 {
		t.Errorf("%+v does not follow %+v", first, second)
	}
	next := ask(fmt.Sprintf("(first:2, after:%q)", page.Blocks.Edges[2].Cursor))
	if diff := cmp.Diff([]int64{596, 595}, heights(next)); diff != "" {
		t.Error(diff)
	}
	byID := ask(fmt.Sprintf("(ids:[%q,%q,\"x\"])", second.ID, first.ID))
	if diff := cmp.Diff([]int64{599, 598}, heights(byID)); diff != "" {
		t.Error(diff)
	}
	if got := heights(ask("(height:{min:600})")); got != nil {
		t.Errorf("blocks of the future: %v", got)
	}
	var one struct{ Block struct{ Height int } }
	w.query(fmt.Sprintf("{block(id:%q){height}}", second.ID), nil, &one)
	if one.Block.Height != 598 {
		t.Errorf("block by id: %+v", one)
	}
}

func TestSingleTransactionAndIntrospection(t *testing.T) {
	w := open(t, gateway.Options{})
	it := sign(t, wallet(t, 1), dataitem.Draft{Tags: tags("Content-Type", "text/plain"), Data: []byte("12345")})
	w.put(it)
	var got struct{ Transaction, Missing *node }
	w.query(fmt.Sprintf(`{transaction(id:%q){id data{size type}} missing:transaction(id:"nothing"){id}}`, it.ID()), nil, &got)
	if got.Transaction == nil || got.Transaction.Data.Size != "5" || *got.Transaction.Data.Type != "text/plain" || got.Missing != nil {
		t.Errorf("%+v", got)
	}
	var schema struct {
		Schema struct{ QueryType struct{ Name string } } `json:"__schema"`
	}
	w.query("{__schema{queryType{name} types{name fields{name}}}}", nil, &schema)
	if schema.Schema.QueryType.Name != "Query" {
		t.Errorf("%+v", schema)
	}
}

func TestRefusedQueries(t *testing.T) {
	w := open(t, gateway.Options{})
	post := func(body string) answer { return w.send(http.MethodPost, "/graphql", "application/json", body) }
	post(``).want(t, 400, `{"error":"not a GraphQL request`)
	post(`{"query":""}`).want(t, 400, "POST a GraphQL query")
	post(`{"query":"{nothing}"}`).want(t, 400, `"error":"Cannot query field \"nothing\"`)
	post(`{"query":"{transactions(after:\"x\"){edges{cursor}}}"}`).want(t, 400, "is not a cursor")
	post(`{"query":"{blocks(after:\"x\"){edges{cursor}}}"}`).want(t, 400, "is not a cursor")
	post(`{"query":"{transactions(sort:SIDEWAYS){edges{cursor}}}"}`).want(t, 400, "SIDEWAYS")
	many, err := json.Marshal(map[string]any{"query": "query($o:[String!]){transactions(owners:$o){edges{cursor}}}",
		"variables": map[string]any{"o": slices.Repeat([]string{dataitem.AddressOf(nil).String()}, 1001)}})
	if err != nil {
		t.Fatal(err)
	}
	post(string(many)).want(t, 400, "at most 1000 are allowed")
	post(`{"query":"`+strings.Repeat("{transactions", 1<<20)+`"}`).want(t, 413, "larger than the limit")
	post(`{"query":"`+strings.Repeat("#", 100_000)+`"}`).want(t, 400, "")
	w.get("/graphql").want(t, 400, "POST a GraphQL query")
	w.get("/graphql?query={transactions{edges{cursor}}}").want(t, 200, `"edges":[]`)
}

func TestPendingItems(t *testing.T) {
	w := open(t, gateway.Options{PendingBlocks: 1})
	old := sign(t, wallet(t, 1), dataitem.Draft{Data: []byte("old")})
	w.put(old)
	w.clock.advance(2 * time.Minute)
	fresh := sign(t, wallet(t, 1), dataitem.Draft{Data: []byte("new")})
	w.put(fresh)
	all := func(arguments string) []string {
		var got edges
		w.query("{transactions"+arguments+"{edges{node{id block{height}}}}}", nil, &got)
		var list []string
		for _, edge := range got.Transactions.Edges {
			state := "pending"
			if edge.Node.Block != nil {
				state = fmt.Sprint(edge.Node.Block.Height)
			}
			list = append(list, edge.Node.ID+" "+state)
		}
		return list
	}
	o, f := old.ID().String(), fresh.ID().String()
	if diff := cmp.Diff([]string{f + " pending", o + " 2"}, all("")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{o + " 2", f + " pending"}, all("(sort:HEIGHT_ASC)")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{o + " 2"}, all("(block:{min:0})")); diff != "" {
		t.Error(diff)
	}
	w.get("/tx/"+f+"/status").want(t, 202, "Pending")
	w.get("/raw/"+f).want(t, 200, "new")
	w.clock.advance(2 * time.Minute)
	w.get("/tx/"+f+"/status").want(t, 200, `"block_height":3`)
	if record, err := w.g.Lookup(context.Background(), fresh.ID()); err != nil || record.Height != 3 {
		t.Errorf("%+v, %v", record, err)
	}
}
