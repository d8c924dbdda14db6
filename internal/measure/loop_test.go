package measure

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestOnlyTheWindowCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := Loop{Clients: 2, WarmUp: time.Second, Window: 1900 * time.Millisecond}
		r, err := loop.Run(t.Context(), func(context.Context, int) error {
			time.Sleep(300 * time.Millisecond)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		// Answers come at 0.3 s, 0.6 s and so on: each client has six between
		// 1 s and 2.9 s.
		if r.Count != 12 || r.Seconds != 1.9 || r.MedianMS != 300 || r.Percentile99MS != 300 || r.PerSecond != 12/1.9 {
			t.Errorf("result %+v", r)
		}
	})
}

func TestALoopEndsWhenTheWorkIsSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		r, err := Loop{Clients: 3, Window: time.Hour}.Run(t.Context(), func(context.Context, int) error {
			if asked.Add(1) > 30 {
				return ErrSpent
			}
			time.Sleep(time.Second)
			return nil
		})
		// Those that are answered in the same moment may count or not.
		if err != nil || r.Count < 27 || r.Count > 30 || r.Seconds != 10 {
			t.Errorf("result %+v, %v", r, err)
		}
	})
}

func TestAFailedRequestEndsALoop(t *testing.T) {
	broken := errors.New("broken")
	_, err := Loop{Clients: 3, Window: time.Hour}.Run(t.Context(), func(_ context.Context, client int) error {
		if client == 1 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("the loop ended with %v", err)
	}
}

func TestAWindowLastsUntilSomethingWasAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := Loop{Clients: 1, Window: time.Second}.Run(t.Context(), func(context.Context, int) error {
			time.Sleep(time.Minute)
			return nil
		})
		if err != nil || r.Count != 1 || r.Seconds != 60 {
			t.Errorf("result %+v, %v", r, err)
		}
	})
}

func TestALoopWithoutAnswersSaysSo(t *testing.T) {
	_, err := Loop{Clients: 1, Window: time.Hour}.Run(t.Context(), func(context.Context, int) error { return ErrSpent })
	if err == nil {
		t.Error("a loop that nobody answered has a result")
	}
}

func TestUsage(t *testing.T) {
	before := now()
	for sum := byte(0); now().cpu == before.cpu; sum++ {
		_ = bytes.Repeat([]byte{sum}, 1<<16)
	}
	text := "rchar: 11\nwchar: 12\nread_bytes: 13\nwrite_bytes: 40960\ncancelled_write_bytes: 14\n"
	if n := writtenIn(text); n != 40960 {
		t.Errorf("written %d bytes", n)
	}
}
