package settlement

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Options say what is settled, where and how.
type Options struct {
	Log   aolog.Log
	Store Store
	// To takes items, or transactions if there is a Wallet.
	To *arweave.Client
	// Wallet pays for bundles of the node's own: an Arweave (RSA) key. nil: To is a
	// bundler.
	Wallet dataitem.Signer
	// From is where what was uploaded is looked for; default To.
	From *Archive
	// Depth is how many blocks deep something must lie to count as settled; default
	// 18.
	Depth uint64
	// Leads reports whether this node uploads a group; default always.
	Leads func(group uint32) bool
	// Ask gives the state of a group that another node uploads.
	Ask func(ctx context.Context, group uint32) (State, error)
	// Items gives what is settled beside the log, by id: see Settler.Enqueue.
	Items func(ctx context.Context, id ao.ID) (*dataitem.Item, error)
	// Module gives the id of a process's module if Items has it: without it nobody
	// could replay the process. Default: modules are not settled.
	Module func(process *dataitem.Item) (id ao.ID, ok bool)
	Timing Timing
	Now    func() time.Time // default time.Now
	// Fatal is told of a log or store that cannot be read or written.
	Fatal  func(error)
	Logger zerolog.Logger
}

// Timing says how patient a settler is. Zero values mean the defaults.
type Timing struct {
	Linger   time.Duration // a shipment waits for more entries: 100 ms, or a minute for a bundle of the node's own
	Retry    time.Duration // before the second attempt, then twice as long each time: 1 s
	RetryMax time.Duration // 32 s
	Attempt  time.Duration // one request may take this long, and a second more for each 64 KiB: 30 s
	Confirm  time.Duration // between looking for what was uploaded: 30 s
	Lost     time.Duration // after that, what is not to be found is uploaded again: 30 min
	Poll     time.Duration // between looking who leads: 500 ms
}

func (t Timing) withDefaults(bundles bool) Timing {
	set := func(d *time.Duration, standard time.Duration) {
		if *d == 0 {
			*d = standard
		}
	}
	if bundles {
		set(&t.Linger, time.Minute)
	}
	set(&t.Linger, 100*time.Millisecond)
	set(&t.Retry, time.Second)
	set(&t.RetryMax, 32*time.Second)
	set(&t.Attempt, 30*time.Second)
	set(&t.Confirm, 30*time.Second)
	set(&t.Lost, 30*time.Minute)
	set(&t.Poll, 500*time.Millisecond)
	return t
}

func (o Options) withDefaults() (Options, error) {
	switch {
	case o.Log == nil || o.Store == nil || o.To == nil:
		return o, errors.New("settlement options: Log, Store or To is missing")
	case o.Wallet != nil && o.Wallet.SignatureType() != dataitem.Arweave:
		return o, fmt.Errorf("the wallet that pays for settlement is of type %s: transactions need an Arweave (RSA) key", o.Wallet.SignatureType())
	}
	if o.From == nil {
		o.From = NewArchive(o.To)
	}
	if o.Depth == 0 {
		o.Depth = 18
	}
	if o.Leads == nil {
		o.Leads = func(uint32) bool { return true }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Fatal == nil {
		o.Fatal = func(error) {}
	}
	o.Timing = o.Timing.withDefaults(o.Wallet != nil)
	return o, nil
}

// Settler settles a log in the background until it is closed.
type Settler struct {
	options Options
	carrier carrier
	lanes   []*lane
	extras  *extras
	counts  counts
	cancel  context.CancelFunc
	wait    sync.WaitGroup
}

// counts count since the settler was opened.
type counts struct{ retries, refused, again, wrong atomic.Uint64 }

// Open starts a settler where it left off.
func Open(options Options) (*Settler, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Settler{options: options}
	attempt := attempts{options.Timing, &s.counts.retries}
	if options.Wallet != nil {
		s.carrier = &layer1{client: options.To, wallet: options.Wallet, attempts: attempt}
	} else {
		s.carrier = &bundler{client: options.To, attempts: attempt}
	}
	for _, group := range options.Log.Groups() {
		l := &lane{settler: s, group: group}
		if err := load(options.Store, stateKey(group), &l.state); err != nil {
			return nil, err
		}
		if err := load(options.Store, censusKey(group), &l.committed); err != nil {
			return nil, err
		}
		s.lanes = append(s.lanes, l)
	}
	s.extras = &extras{settler: s, woken: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	for _, l := range s.lanes {
		s.wait.Go(func() { s.report(ctx, l.run(ctx)) })
		s.wait.Go(func() { s.report(ctx, l.count(ctx)) })
	}
	s.wait.Go(func() { s.report(ctx, s.extras.run(ctx)) })
	return s, nil
}

// report passes on what a settler cannot go on with.
func (s *Settler) report(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil || errors.Is(err, aolog.ErrClosed) {
		return
	}
	s.options.Fatal(fmt.Errorf("settlement: %w", err))
}

// Close stops uploading. What was not finished is taken up at the next start.
func (s *Settler) Close() error {
	s.cancel()
	s.wait.Wait()
	return nil
}

// State gives how far a group is, for a node that follows this one.
func (s *Settler) State(group uint32) (State, bool) {
	for _, l := range s.lanes {
		if l.group == group {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.state.clone(), true
		}
	}
	return State{}, false
}

// Status is how far settlement is, over all groups. Entries are places in logs:
// each is an assignment and, mostly, its item.
type Status struct {
	To        string `json:"to"`
	Bundles   bool   `json:"bundles"`   // of the node's own, as layer-1 transactions
	Committed uint64 `json:"committed"` // entries that the log has
	Uploaded  uint64 `json:"uploaded"`
	Confirmed uint64 `json:"confirmed"` // found again, deep enough
	// WaitingMS is the time of the oldest message that is not uploaded; 0: none.
	WaitingMS int64 `json:"waiting"`
	Extras    int   `json:"extras"` // modules and checkpoints that are not confirmed
	// Refused are items that To does not take, counted with Again and Wrong since the
	// start.
	Refused uint64 `json:"refused"`
	Retries uint64 `json:"retries"`         // attempts after the first
	Again   uint64 `json:"again"`           // shipments that were lost and uploaded again
	Wrong   uint64 `json:"wrong"`           // items that were found with other bytes
	Error   string `json:"error,omitempty"` // why the newest attempt failed
}

// Status sums up the groups.
func (s *Settler) Status() Status {
	status := Status{
		To: s.options.To.BaseURL, Bundles: s.options.Wallet != nil, Extras: s.extras.open(),
		Refused: s.counts.refused.Load(), Retries: s.counts.retries.Load(), Again: s.counts.again.Load(), Wrong: s.counts.wrong.Load(),
	}
	for _, l := range s.lanes {
		l.mu.Lock()
		status.Committed += max(l.committed.Entries, l.state.Uploaded.Entries)
		status.Uploaded += l.state.Uploaded.Entries
		status.Confirmed += l.state.Confirmed.Entries
		if l.waitingMS > 0 && (status.WaitingMS == 0 || l.waitingMS < status.WaitingMS) {
			status.WaitingMS = l.waitingMS
		}
		status.Error = cmp.Or(status.Error, l.upFailure, l.atFailure)
		l.mu.Unlock()
	}
	status.Error = cmp.Or(status.Error, s.extras.problem())
	return status
}
