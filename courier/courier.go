package courier

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Source knows what was published: a gateway.
type Source interface {
	// Tags gives an item's tags; found is false when the source has no such item.
	Tags(ctx context.Context, id ao.ID) (tags dataitem.Tags, found bool, err error)
	// Location gives the tags of an owner's newest Scheduler-Location.
	Location(ctx context.Context, owner ao.ID) (tags dataitem.Tags, found bool, err error)
}

// Options says whom a courier asks, and through what.
type Options struct {
	// Own are the addresses of this node's scheduler, in each form they have.
	Own []string
	// Local is this node's gateway.
	Local Source
	// Upstream are gateways that the operator named, in the order in which they
	// are asked.
	Upstream []Source
	// HTTP carries items to schedulers, whose URLs anybody can publish: it must
	// check where they lead.
	HTTP *http.Client
	Now  func() time.Time // default time.Now
	// RememberMax bounds how many processes and how many schedulers are
	// remembered; default 10,000 of each.
	RememberMax int
	// PerHostMax is how many requests to one host run at once; default 8.
	// WaitingMax is how many more wait for one of those; default 256.
	PerHostMax, WaitingMax int
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	for value, standard := range map[*int]int{&o.RememberMax: 10_000, &o.PerHostMax: 8, &o.WaitingMax: 256} {
		if *value == 0 {
			*value = standard
		}
	}
	return o
}

// Courier finds schedulers and posts to them. It is safe for concurrent use.
type Courier struct {
	options Options
	hosts   hosts

	mu struct {
		sync.Mutex
		schedulers map[ao.ID]string // by process, for which it never changes
		locations  map[string]location
	}
}

// New makes a courier. Nothing has to be closed but the idle connections of
// Options.HTTP.
func New(options Options) *Courier {
	c := &Courier{options: options.withDefaults()}
	c.hosts.runningMax, c.hosts.waitingMax = c.options.PerHostMax, c.options.WaitingMax
	c.mu.schedulers, c.mu.locations = map[ao.ID]string{}, map[string]location{}
	return c
}

// Own reports whether an address is that of this node's scheduler.
func (c *Courier) Own(scheduler string) bool { return slices.Contains(c.options.Own, scheduler) }

// SchedulerOf gives the address of the scheduler that a process names, or "" when
// the id is none of a process. Processes of this node's own scheduler are
// refused, because it is this node's log that has them.
func (c *Courier) SchedulerOf(ctx context.Context, process ao.ID) (string, error) {
	c.mu.Lock()
	scheduler, known := c.mu.schedulers[process]
	c.mu.Unlock()
	if known {
		return scheduler, nil
	}
	tags, found, err := c.options.Local.Tags(ctx, process)
	if err == nil && !found {
		tags, found, err = c.upstream(ctx, func(s Source) (dataitem.Tags, bool, error) { return s.Tags(ctx, process) })
	}
	if err != nil {
		return "", Laterf(0, "what %s is cannot be found out: %w", process, err)
	}
	if !found || !tags.Contains(ao.TagType, ao.TypeProcess) {
		return "", nil
	}
	switch scheduler = tags.Get(ao.TagScheduler); {
	case scheduler == "":
		return "", ao.Errorf(ao.CodeUnprocessable, "process %s names no scheduler", process)
	case c.Own(scheduler):
		return "", ao.Errorf(ao.CodeNotFound, "process %s names this node's scheduler, which has no such process", process)
	case tags.Contains(ao.TagVariant, variantHyperBEAM):
		return "", ao.Errorf(ao.CodeUnprocessable, "process %s is one of %s, and this node speaks %s alone", process, variantHyperBEAM, ao.Variant)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.mu.schedulers) >= c.options.RememberMax {
		clear(c.mu.schedulers)
	}
	c.mu.schedulers[process] = scheduler
	return scheduler, nil
}

// variantHyperBEAM is a protocol with schedulers of other routes.
const variantHyperBEAM = "ao.N.1"

// upstream asks one gateway after the other. One that fails keeps nobody from
// asking the next, but nothing counts as unknown unless all have said so.
func (c *Courier) upstream(ctx context.Context, ask func(Source) (dataitem.Tags, bool, error)) (dataitem.Tags, bool, error) {
	if len(c.options.Upstream) == 0 {
		return nil, false, nil
	}
	leave, err := c.hosts.enter(ctx, "gateways")
	if err != nil {
		return nil, false, err
	}
	defer leave()
	var failure error
	for _, source := range c.options.Upstream {
		tags, found, err := ask(source)
		if err == nil && found {
			return tags, true, nil
		}
		switch {
		case failure == nil:
			failure = err
		case err != nil:
			failure = fmt.Errorf("%w; %w", failure, err)
		}
	}
	return nil, false, failure
}
