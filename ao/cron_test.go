package ao

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/dataitem"
)

func TestCronTagsBelongToTheIntervalBeforeThem(t *testing.T) {
	got, err := ParseCrons(dataitem.Tags{
		{Name: "Name", Value: "x"},
		{Name: "Cron-Interval", Value: "5-minutes"},
		{Name: "Cron-Tag-Foo", Value: "Bar"},
		{Name: "Action", Value: "y"},
		{Name: "Cron-Tag-Fizz", Value: "Buzz"},
		{Name: "Cron-Tag-", Value: "no name"},
		{Name: "Cron-Interval", Value: "10-blocks"},
		{Name: "Cron-Tag-Foo", Value: "Baz"},
		{Name: "Cron-Interval", Value: "1-hour"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Cron{
		{Interval: "5-minutes", Every: 300, Tags: dataitem.Tags{{Name: "Foo", Value: "Bar"}, {Name: "Fizz", Value: "Buzz"}}},
		{Interval: "10-blocks", Every: 10, Blocks: true, Tags: dataitem.Tags{{Name: "Foo", Value: "Baz"}}},
		{Interval: "1-hour", Every: 3600},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, err = ParseCrons(dataitem.Tags{{Name: "Cron-Tag-Foo", Value: "x"}, {Name: "Cron-Interval", Value: "1-minute"}})
	if CodeOf(err) != CodeInvalid || !strings.Contains(err.Error(), "Unmatched Cron-Tag with no preceding Cron-Interval: Cron-Tag-Foo") {
		t.Errorf("error is %v", err)
	}
}

func TestIntervalsAreReadAsTheReferenceReadsThem(t *testing.T) {
	const never, refused = 0, -1
	for interval, want := range map[string]int64{
		"10-seconds": 10, "1-second": 1, "1-s": 1, "90-secs": 90, "1500-ms": 1, "2000-milliseconds": 2,
		"10-minutes": 600, "1-m": 60, "3-mins": 180, "2-hours": 7200, "1-HR": 3600, "1-day": 86400, "2-d": 172800,
		"1-week": 604800, "1-year": 31557600, "1.5-seconds": 1, ".5-minutes": 30, " 5 - minutes ": 300,
		"60000":   60, // milliseconds
		"1-month": never, "5-months": never, "x-seconds": never, "": never, "-5-seconds": never, "5-fortnights": never,
		"1-2-seconds": never, strings.Repeat("1", 101) + "-s": never,
		"0-seconds": refused, "999-ms": refused, "0.5-seconds": refused, "500": refused,
	} {
		crons, err := ParseCrons(dataitem.Tags{{Name: "Cron-Interval", Value: interval}})
		switch {
		case want == refused:
			if CodeOf(err) != CodeInvalid || !strings.Contains(err.Error(), "time-based cron cannot be less than 1 second") {
				t.Errorf("%q gives %+v, %v", interval, crons, err)
			}
		case err != nil || len(crons) != 1 || crons[0].Every != want || crons[0].Blocks || crons[0].Interval != interval:
			t.Errorf("%q gives %+v, %v, want %d s", interval, crons, err, want)
		}
	}
	for interval, want := range map[string]int64{"1-block": 1, "10-blocks": 10, "5x-blocks": 5, "0-blocks": never, "x-blocks": never} {
		if crons, err := ParseCrons(dataitem.Tags{{Name: "Cron-Interval", Value: interval}}); err != nil || crons[0].Every != want || !crons[0].Blocks {
			t.Errorf("%q gives %+v, %v, want %d blocks", interval, crons, err, want)
		}
	}
}

func FuzzParseCrons(f *testing.F) {
	for _, interval := range []string{"10-seconds", "1.5 - Minutes", "60000", "5-blocks", "1-month", "-", "9999999999999999999-years"} {
		f.Add("Cron-Tag-Action", interval)
	}
	f.Fuzz(func(t *testing.T, name, interval string) {
		crons, err := ParseCrons(dataitem.Tags{{Name: TagCronInterval, Value: interval}, {Name: name, Value: interval}})
		if err != nil {
			if CodeOf(err) != CodeInvalid {
				t.Errorf("the error is %v", err)
			}
			return
		}
		for _, cron := range crons {
			if cron.Every < 0 || cron.Interval != interval || len(cron.Tags) > 1 {
				t.Errorf("%q gives %+v", interval, crons)
			}
		}
	})
}
