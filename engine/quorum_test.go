package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// authoritySeed is the first of the keys that sign pushes.
const authoritySeed = 100

func (b *bench) authority(i int) string {
	b.Helper()
	return dataitem.AddressOf(logtest.Signer(b, byte(authoritySeed+i)).Owner()).String()
}

// spawnWithQuorum has k of n authorities, which are named in one list.
func (b *bench) spawnWithQuorum(k, n int) ao.ID {
	b.Helper()
	var names []string
	for i := range n {
		names = append(names, b.authority(i))
	}
	return b.spawn(dataitem.Tag{Name: ao.TagAuthority, Value: strings.Join(names, ", ")},
		dataitem.Tag{Name: ao.TagAuthorityQuorum, Value: fmt.Sprintf("%d/%d", k, n)})
}

// deliver signs a push with an authority's key and appends it.
func (b *bench) deliver(process ao.ID, authority int, data string, tags ...dataitem.Tag) ao.ID {
	b.Helper()
	tags = append(tags, dataitem.Tag{Name: ao.TagFromProcess, Value: ao.ID{8}.String()})
	item := logtest.MessageItem(b, logtest.Signer(b, byte(authoritySeed+authority)), process, data, tags...)
	if _, _, err := b.log.Append(b.Context(), aolog.Proposal{Item: item}); err != nil {
		b.Fatal(err)
	}
	return item.ID()
}

// want checks what results put out.
func (b *bench) want(process ao.ID, outputs map[ao.ID]string) {
	b.Helper()
	for id, want := range outputs {
		if got := b.output(process, id); got != want {
			b.Errorf("%s gives %s, want %s", id, got, want)
		}
	}
}

func TestAProcessGetsAPushWithTheDeliveryThatCompletesItsQuorum(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawnWithQuorum(2, 3)
	root := func(n byte) dataitem.Tag { return dataitem.Tag{Name: ao.TagPushedFor, Value: ao.ID{n}.String()} }
	first := b.deliver(process, 2, "add a", root(1))
	again := b.deliver(process, 2, "add a", root(2), dataitem.Tag{Name: "Later", Value: "1"}) // another push, by its tag
	stranger := b.deliver(process, 7, "add a")
	second := b.deliver(process, 0, "add a", root(3))
	third := b.deliver(process, 1, "add a")
	user := b.send(process, "add user")
	const half = `{"data":"not given to the process: 1 of the 2 authorities that it takes have delivered this push"}`
	b.want(process, map[ao.ID]string{
		first: half, again: half,
		stranger: `{"data":"not given to the process: who signed it is none of the process's 3 authorities"}`,
		second:   `",a"`,
		third:    `{"data":"not given to the process: the process got the same push at nonce 4"}`,
		user:     `",a,user"`,
	})
	if result := b.result(process, first).Result; result.HasEffects() || result.Error != nil {
		t.Errorf("a push without a quorum gave %s", result.JSON())
	}
	if withheld := b.Status().WithheldTotal; withheld != 4 {
		t.Errorf("%d were withheld", withheld)
	}
	waiting, err := b.WaitingPushes(process, ao.Authorities{Addresses: []string{"x", "y", "z"}}, ao.ID{}, 10)
	if err != nil || len(waiting) != 1 || waiting[0].Nonce != 2 || cmp.Diff([]string{"z"}, waiting[0].By) != "" {
		t.Errorf("waiting: %+v, %v", waiting, err)
	}
}

func TestWithoutAQuorumTheProcessDecides(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn(dataitem.Tag{Name: ao.TagAuthority, Value: b.authority(0)})
	b.want(process, map[ao.ID]string{b.deliver(process, 0, "add a"): `",a"`})
	b.want(process, map[ao.ID]string{b.deliver(process, 5, "add b"): `",a,b"`})
}

func TestTheProcessItselfIsNoPush(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn(
		dataitem.Tag{Name: ao.TagAuthority, Value: b.authority(0)}, dataitem.Tag{Name: ao.TagAuthorityQuorum, Value: "1/1"},
		dataitem.Tag{Name: ao.TagFromProcess, Value: ao.ID{8}.String()})
	b.want(process, map[ao.ID]string{process: `""`})
	b.want(process, map[ao.ID]string{b.deliver(process, 0, "add a"): `",a"`})
}

// TestAPushThatFailsHasHadItsTurn: its quorum is not asked for again.
func TestAPushThatFailsHasHadItsTurn(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawnWithQuorum(1, 2)
	if failed := b.result(process, b.deliver(process, 0, "error a")).Result; failed.Error == nil {
		t.Errorf("it gave %s", failed.JSON())
	}
	b.want(process, map[ao.ID]string{b.deliver(process, 1, "error a"): `{"data":"not given to the process: the process got the same push at nonce 1"}`})
}

// assigned gives what bare assignments name.
type assigned map[ao.ID]TxMeta

func (a assigned) Item(_ context.Context, id ao.ID, withData bool) (TxMeta, error) {
	tx, ok := a[id]
	if !ok || withData && tx.Data == nil {
		return TxMeta{}, ao.Errorf(ao.CodeNotFound, "%s is not there", id)
	}
	return tx, nil
}

// TestAssignedPushesNeedTheirQuorumToo: or an assignment would be a way around it.
func TestAssignedPushesNeedTheirQuorumToo(t *testing.T) {
	from := dataitem.Tags{{Name: ao.TagFromProcess, Value: ao.ID{8}.String()}}
	owner := func(i int) []byte { return logtest.Signer(t, byte(authoritySeed+i)).Owner() }
	items := assigned{
		{1}: {Owner: "one", OwnerKey: owner(0), Tags: from, Data: []byte("add a")},
		{2}: {Owner: "stranger", OwnerKey: owner(9), Tags: from, Data: []byte("add a")},
		{3}: {Owner: "two", OwnerKey: owner(1), Tags: from, Data: []byte("add a")},
		{4}: {Owner: "user", OwnerKey: owner(9), Data: []byte("add user")},
		{5}: {Owner: "one", OwnerKey: owner(0), Tags: from, BaseLayer: true},
	}
	b := newBench(t, func(o *Options) { o.Items = items })
	process := b.spawnWithQuorum(2, 2)
	var last ao.ID
	for i := range 5 {
		last = ao.ID{byte(i + 1)}
		if _, _, err := b.log.Append(t.Context(), aolog.Proposal{Process: process, Message: last}); err != nil {
			t.Fatal(err)
		}
	}
	stranger := `{"data":"not given to the process: who signed it is none of the process's 2 authorities"}`
	b.want(process, map[ao.ID]string{
		{1}: `{"data":"not given to the process: 1 of the 2 authorities that it takes have delivered this push"}`,
		{2}: stranger, {3}: `",a"`, {4}: `",a,user"`, {5}: stranger,
	})
}

// upToHead gives the results of processes.
func (b *bench) upToHead(processes []ao.ID) (all []string) {
	b.Helper()
	for _, process := range processes {
		head, err := b.log.Head(b.Context(), process)
		if err != nil {
			b.Fatal(err)
		}
		for nonce := range head.Nonce + 1 {
			evaluation, err := b.ResultAt(b.Context(), process, nonce)
			if err != nil {
				b.Fatal(err)
			}
			all = append(all, string(evaluation.Result.JSON()))
		}
	}
	return all
}

// TestOneAuthorityCountsOnce: a log knows a push again that comes twice from one
// owner, but histories made elsewhere may have both.
func TestOneAuthorityCountsOnce(t *testing.T) {
	a := ao.Authorities{Quorum: 2}
	owners := [][]byte{}
	for i := range 3 {
		owner := logtest.Signer(t, byte(authoritySeed+i)).Owner()
		owners = append(owners, owner)
		a.Addresses = append(a.Addresses, dataitem.AddressOf(owner).String())
	}
	var now tally
	for nonce, step := range []struct {
		owner   int
		changed bool
		why     string
	}{{1, true, "1 of the 2"}, {1, false, "1 of the 2"}, {1, false, "1 of the 2"}, {0, true, ""}, {0, false, "at nonce 3"}, {2, false, "at nonce 3"}} {
		after, changed, why := now.count(a, owners[step.owner], uint64(nonce))
		if changed != step.changed || !strings.Contains(why, step.why) || step.why == "" && why != "" {
			t.Errorf("step %d: changed %v, %q", nonce, changed, why)
		}
		now = after
	}
}

// TestQuorumsAreTheSameInEveryReplay draws deliveries, and compares the results
// with what a count by hand gives, with those after a restart from an older copy
// of the store, from nothing and from snapshots, and with a replay beside it.
func TestQuorumsAreTheSameInEveryReplay(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			b := newBench(t, func(o *Options) {
				if seed%2 == 1 {
					// Every turn ends with a snapshot and an eviction.
					o.Workers, o.HotBytesMax, o.SnapshotWorthMS, o.SnapshotAfterMS, o.Now = 1, 1, 1, 1, slowClock(time.Millisecond)
				}
			})
			const n = 4
			k := 1 + random.IntN(n)
			processes := []ao.ID{b.spawnWithQuorum(k, n), b.spawnWithQuorum(k, n)}
			heard := map[string]map[int]bool{}
			words := map[ao.ID]string{}
			for _, process := range processes {
				words[process] = ",user"
				b.want(process, map[ao.ID]string{b.send(process, "add user"): `",user"`})
			}
			var older string
			for i := range 120 {
				process := processes[random.IntN(2)]
				authority, push := random.IntN(n+2), random.IntN(12)
				if i == 60 {
					older = t.TempDir()
					b.close()
					if err := b.db.Close(); err != nil {
						t.Fatal(err)
					}
					copyDir(t, b.dir, older)
					b.db = openDB(t, b.dir)
					b.open()
				}
				id := b.deliver(process, authority, fmt.Sprintf("add %d", push))
				key := fmt.Sprint(process, push)
				if heard[key] == nil {
					heard[key] = map[int]bool{}
				}
				before := len(heard[key])
				if authority < n {
					heard[key][authority] = true
				}
				if before == k-1 && len(heard[key]) == k {
					words[process] += fmt.Sprintf(",%d", push)
					b.want(process, map[ao.ID]string{id: `"` + words[process] + `"`})
				}
			}
			want := b.upToHead(processes)
			for _, process := range processes {
				if !strings.Contains(strings.Join(want, "\n"), words[process]) {
					t.Errorf("no result has %s", words[process])
				}
				err := b.Replay(t.Context(), process, []string{"test", "test"}, func(r Replay) error {
					if r.Divergence != nil {
						t.Errorf("the replay differs: %+v", r.Divergence)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
			for _, dir := range []string{b.dir, older, t.TempDir()} {
				b.close()
				if err := b.db.Close(); err != nil {
					t.Fatal(err)
				}
				b.db = openDB(t, dir)
				b.open()
				if diff := cmp.Diff(want, b.upToHead(processes)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", dir, diff)
				}
			}
			if status := b.Status(); status.DivergencesTotal != 0 {
				t.Errorf("%+v", status)
			}
		})
	}
}

func TestWaitingPushesAreListedInPages(t *testing.T) {
	b := newBench(t, nil)
	process, other := b.spawnWithQuorum(2, 2), b.spawnWithQuorum(2, 2)
	var last ao.ID
	for i := range 5 {
		last = b.deliver(process, 1, fmt.Sprintf("add %d", i))
	}
	b.result(process, last)
	b.result(other, b.deliver(other, 0, "add x"))
	a := ao.Authorities{Addresses: []string{"one", "two"}}
	nonces := map[uint64]bool{}
	var after ao.ID
	for _, size := range []int{2, 2, 1} {
		page, err := b.WaitingPushes(process, a, after, 2)
		if err != nil || len(page) != size {
			t.Fatalf("%+v, %v", page, err)
		}
		for _, waiting := range page {
			nonces[waiting.Nonce], after = true, waiting.Key
		}
	}
	if len(nonces) != 5 {
		t.Errorf("listed %v", nonces)
	}
}
