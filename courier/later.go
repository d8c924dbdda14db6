package courier

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
)

// Later is a failure that may pass: trying again is worth it.
type Later struct {
	cause *ao.Error
	after time.Duration
}

// Laterf makes a failure that may pass; after is how long the other side asked to
// be left alone.
func Laterf(after time.Duration, format string, args ...any) error {
	return &Later{ao.Errorf(ao.CodeUnavailable, format, args...), after}
}

// Error says what failed.
func (l *Later) Error() string { return l.cause.Error() }

// Unwrap gives an error with ao.CodeUnavailable.
func (l *Later) Unwrap() error { return l.cause }

// RetryAfter is how long the other side wants to be left alone; 0: it did not
// say.
func (l *Later) RetryAfter() time.Duration { return l.after }

func isLater(err error) bool {
	_, ok := errors.AsType[*Later](err)
	return ok
}

// retryAfterMax bounds what another side can ask for.
const retryAfterMax = time.Hour

// waitOf reads a Retry-After, which is a number of seconds or a date.
func waitOf(header string, now time.Time) time.Duration {
	seconds, err := strconv.ParseInt(header, 10, 32)
	wait := time.Duration(seconds) * time.Second
	if date, dateErr := http.ParseTime(header); err != nil && dateErr == nil {
		wait = date.Sub(now)
	}
	return max(0, min(wait, retryAfterMax))
}
