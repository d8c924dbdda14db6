package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/history"
	"github.com/wallaby-ao/wallaby/internal/procs"
	"github.com/wallaby-ao/wallaby/log"
)

// verifyRounds is how often the file and the bare signatures are checked in turns: a
// machine's speed drifts, and the best of each is compared.
const verifyRounds = 3

// Verify makes a history file of so many messages, user and scheduler signing with
// RSA-4096, and checks it, beside what all cores do when they check signatures and
// nothing else.
func Verify(ctx context.Context, messages int, progress func(string)) ([]Row, error) {
	progress(fmt.Sprintf("signing a history of %d messages", messages))
	file, items, err := signedHistory(ctx, messages)
	if err != nil {
		return nil, err
	}
	progress(fmt.Sprintf("verifying %d messages", messages))
	var best, limit float64
	var signatures uint64
	for range verifyRounds {
		bare, err := verifyBare(ctx, items, messages)
		if err != nil {
			return nil, err
		}
		limit = max(limit, bare)
		started := time.Now()
		report, err := history.Verify(ctx, bytes.NewReader(file), history.VerifyOptions{})
		took := time.Since(started).Seconds()
		if err != nil {
			return nil, err
		}
		if len(report.Findings) > 0 {
			return nil, fmt.Errorf("the history that was made has a finding: %+v", report.Findings[0])
		}
		signatures = report.Signatures
		best = max(best, float64(report.Signatures)/took)
	}
	name := fmt.Sprintf("verify, %d messages, RSA-4096", messages)
	return []Row{
		Higher(name, "signatures (target 0.9)", "1/s", best, "signatures alone, all cores", limit),
		{Case: name, Metric: "messages", Unit: "1/s", Value: best * float64(messages+1) / float64(signatures)},
	}, nil
}

// signedHistory makes the file, and gives a sample of the items in it.
func signedHistory(ctx context.Context, messages int) (file []byte, sample []*dataitem.Item, err error) {
	user, err := newQuickSigner(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	scheduler, err := newQuickSigner(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	address := dataitem.AddressOf(scheduler.Owner()).String()
	spawn, err := dataitem.Create(processDraft(ao.ID{1}.String(), address, address, "verify"), user)
	if err != nil {
		return nil, nil, err
	}
	items := make([]*dataitem.Item, messages+1)
	items[0] = spawn
	err = eachOf(ctx, procs.Cores(), messages, func(_ context.Context, i int) (err error) {
		items[i+1], err = dataitem.Create(evalDraft(spawn.ID(), uint64(i)), user)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	var out bytes.Buffer
	writer, err := history.NewWriter(&out, history.Header{Process: spawn.ID(), Source: history.Origin{Kind: "file"}})
	if err != nil {
		return nil, nil, err
	}
	var head log.Head
	for i, item := range items {
		proposal := log.Proposal{Process: spawn.ID(), Message: item.ID()}
		if i == 0 {
			proposal.Message = ao.ID{}
		}
		next := log.Sequencer{}.Step(head, i > 0, proposal, firstMS+int64(i), 1)
		entry, err := log.SignEntry(next, item, [32]byte{}, scheduler)
		if err == nil {
			err = writer.Write(history.EntryRecord(entry))
		}
		if err != nil {
			return nil, nil, err
		}
		head = log.HeadOf(entry)
	}
	if err := writer.Close(); err != nil {
		return nil, nil, err
	}
	return out.Bytes(), items[:min(len(items), sampleItems)], nil
}

// firstMS is when the history begins.
const firstMS = 1_700_000_000_000

const (
	// sampleItems are checked over and over for the limit.
	sampleItems = 512
	// bareTimeMax is how long that goes on, or as long as the file may take.
	bareTimeMax = 3 * time.Second
)

// verifyBare checks signatures on all cores and gives how many a second.
func verifyBare(ctx context.Context, items []*dataitem.Item, messages int) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, min(bareTimeMax, time.Duration(messages)*time.Millisecond))
	defer cancel()
	var count atomic.Int64
	var wrong error
	var once sync.Once
	var wg sync.WaitGroup
	started := time.Now()
	for worker := range procs.Cores() {
		wg.Go(func() {
			for i := worker; ctx.Err() == nil; i++ {
				if err := items[i%len(items)].Verify(); err != nil {
					once.Do(func() { wrong = err })
					return
				}
				count.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(count.Load()) / time.Since(started).Seconds(), wrong
}
