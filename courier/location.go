package courier

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// location is where a scheduler answers, until it has to be looked up again.
type location struct {
	base  string // without a slash at the end
	until time.Time
}

// A scheduler says itself how long its location holds, within these bounds.
const (
	holdsMin = 10 * time.Second
	holdsMax = 24 * time.Hour
)

// Knows reports whether a scheduler of somebody else has said where it answers.
func (c *Courier) Knows(ctx context.Context, scheduler string) (bool, error) {
	if c.Own(scheduler) {
		return false, nil
	}
	if _, err := ao.ParseID(scheduler); err != nil {
		return false, nil
	}
	at, err := c.locate(ctx, scheduler)
	return at != "", err
}

// locate gives a scheduler's URL, or "" when it has published none.
func (c *Courier) locate(ctx context.Context, scheduler string) (string, error) {
	c.mu.Lock()
	held, known := c.mu.locations[scheduler]
	c.mu.Unlock()
	if known && c.options.Now().Before(held.until) {
		return held.base, nil
	}
	owner, err := ao.ParseID(scheduler)
	if err != nil {
		return "", ao.Errorf(ao.CodeUnprocessable, "scheduler %q has no address that a gateway could look up: %w", scheduler, err)
	}
	// Anybody can put an old location of a scheduler into this node's gateway,
	// so what others have is asked for first.
	ask := func(s Source) (dataitem.Tags, bool, error) { return s.Location(ctx, owner) }
	tags, found, err := c.upstream(ctx, ask)
	if err == nil && !found {
		tags, found, err = ask(c.options.Local)
	}
	switch {
	case known && !found:
		return held.base, nil // rather an old one than none
	case err != nil:
		return "", Laterf(0, "where scheduler %s answers cannot be found out: %w", scheduler, err)
	case !found:
		return "", nil
	}
	base, err := baseURL(lookup(tags, ao.TagURL))
	if err != nil {
		return "", Laterf(0, "scheduler %s has published no usable location: %w", scheduler, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.mu.locations) >= c.options.RememberMax {
		clear(c.mu.locations)
	}
	c.mu.locations[scheduler] = location{base, c.options.Now().Add(holds(lookup(tags, ao.TagTimeToLive)))}
	return base, nil
}

// doubt has a scheduler looked up again, after it could not be reached or did not
// want what it was given.
func (c *Courier) doubt(scheduler string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if held, known := c.mu.locations[scheduler]; known {
		held.until = time.Time{}
		c.mu.locations[scheduler] = held
	}
}

// lookup finds a tag however its name is capitalised.
func lookup(tags dataitem.Tags, name string) string {
	for _, tag := range tags {
		if strings.EqualFold(tag.Name, name) {
			return tag.Value
		}
	}
	return ""
}

func baseURL(text string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return "", err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "", fmt.Errorf("%q is no http URL of a scheduler", u.Redacted())
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/")}).String(), nil
}

func holds(timeToLive string) time.Duration {
	ms, err := strconv.ParseInt(timeToLive, 10, 64)
	if err != nil || ms < holdsMin.Milliseconds() {
		return holdsMin
	}
	return min(time.Duration(min(ms, holdsMax.Milliseconds()))*time.Millisecond, holdsMax)
}
