package log

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/wallaby-ao/wallaby/internal/fsx"
	"github.com/wallaby-ao/wallaby/internal/fsx/fsxtest"
)

const testDir = "/log"

// openTestLedger opens a ledger with small segments, so that a short test
// crosses several.
func openTestLedger(filesystem fsx.FS) (*Ledger, error) {
	return OpenLedger(LedgerOptions{Dir: testDir, FS: filesystem, SegmentBytes: segmentHeaderBytes + 8<<10})
}

func mustOpen(t *testing.T, filesystem fsx.FS) *Ledger {
	t.Helper()
	l, err := openTestLedger(filesystem)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func testPayload(group uint32, index uint64) []byte {
	random := rand.New(rand.NewSource(int64(group)<<32 | int64(index)))
	b := make([]byte, random.Intn(700))
	random.Read(b)
	return b
}

func testRecord(group uint32, index uint64) Record {
	return Record{Kind: RecordRaft, Group: group, Term: 1, Index: index, Payload: testPayload(group, index)}
}

func appendRecords(t *testing.T, l *Ledger, from, to uint64) {
	t.Helper()
	for index := from; index <= to; index++ {
		if err := l.Append(testRecord(0, index)); err != nil {
			t.Fatalf("append %d: %v", index, err)
		}
	}
}

// checkRecords reads all records of a group up to last. An error means that one
// is missing, wrong or damaged; a wrong one is never excused as damage.
func checkRecords(l *Ledger, group uint32, last uint64) error {
	if _, got := l.Bounds(group); got < last {
		return fmt.Errorf("group %d ends at %d, before %d", group, got, last)
	}
	for index := uint64(1); index <= last; index++ {
		r, _, err := l.Record(group, index)
		if err != nil {
			return err
		}
		if r.Index != index || r.Group != group || r.Term != 1 || !bytes.Equal(r.Payload, testPayload(group, index)) {
			return fmt.Errorf("record %d of group %d is not what was written", index, group)
		}
	}
	return nil
}

// isNamed reports whether an error says what is damaged and in which file.
func isNamed(err error) bool {
	return errors.Is(err, ErrCorrupt) && strings.Contains(err.Error(), testDir+"/")
}

// filledDisk gives a closed ledger of n records on several segments.
func filledDisk(t *testing.T, n uint64) *fsxtest.Disk {
	t.Helper()
	disk := fsxtest.NewDisk()
	l := mustOpen(t, disk)
	appendRecords(t, l, 1, n)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return disk
}

func TestLedgerKeepsRecordsOfManyGroups(t *testing.T) {
	disk := fsxtest.NewDisk()
	l := mustOpen(t, disk)
	const groups, each = 4, 60
	var wait sync.WaitGroup
	for group := range uint32(groups) {
		wait.Go(func() {
			for index := uint64(1); index <= each; index += 2 {
				if err := l.Append(testRecord(group, index), testRecord(group, index+1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	for range 2 {
		for group := range uint32(groups) {
			if err := checkRecords(l, group, each); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = mustOpen(t, disk)
	}
	if len(disk.Under(testDir)) < 4 {
		t.Errorf("only %v: the test does not cross segments", disk.Under(testDir))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(testRecord(0, each+1)); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
}

func TestTruncatedRecordsAreReplaced(t *testing.T) {
	disk := fsxtest.NewDisk()
	l := mustOpen(t, disk)
	appendRecords(t, l, 1, 20)
	if err := l.Append(Record{Kind: RecordTruncate, Index: 11}); err != nil {
		t.Fatal(err)
	}
	if _, last := l.Bounds(0); last != 10 {
		t.Fatalf("the log ends at %d, want 10", last)
	}
	other := Record{Kind: RecordRaft, Term: 2, Index: 11, Payload: []byte("another")}
	if err := l.Append(other); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r, _, err := l.Record(0, 11)
		if err != nil || r.Term != 2 || string(r.Payload) != "another" {
			t.Fatalf("record 11: %+v, %v", r, err)
		}
		if _, _, err := l.Record(0, 12); !errors.Is(err, ErrEntryUnknown) {
			t.Fatalf("record 12 is still there: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = mustOpen(t, disk)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAppendRefusesWhatWouldReadAsLoss(t *testing.T) {
	l := mustOpen(t, fsxtest.NewDisk())
	appendRecords(t, l, 1, 3)
	for name, r := range map[string]Record{
		"a gap":              testRecord(0, 5),
		"a seal":             {Kind: RecordSeal},
		"a kind from nobody": {Kind: 9, Index: 4},
		"a giant":            {Kind: RecordRaft, Index: 4, Payload: make([]byte, PayloadBytesMax+1)},
	} {
		if err := l.Append(r); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	appendRecords(t, l, 4, 5)
	if err := errors.Join(checkRecords(l, 0, 5), l.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestAnyFailedWriteStopsTheLedgerForGood(t *testing.T) {
	const records = 40
	for fault := 1; ; fault++ {
		disk := fsxtest.NewDisk()
		var mu sync.Mutex
		count, failed := 0, fsxtest.Op{}
		disk.Fault = func(op fsxtest.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if count++; count != fault {
				return nil
			}
			failed = op
			return syscall.EIO
		}
		var fatal []error
		l, err := OpenLedger(LedgerOptions{Dir: testDir, FS: disk, SegmentBytes: segmentHeaderBytes + 8<<10, Fatal: func(err error) { fatal = append(fatal, err) }})
		if err != nil {
			if !errors.Is(err, syscall.EIO) {
				t.Fatalf("fault %d (%v): open: %v", fault, failed, err)
			}
			continue
		}
		acked := uint64(0)
		for index := uint64(1); index <= records; index++ {
			err := l.Append(testRecord(0, index))
			if err == nil && index == acked+1 {
				acked = index
				continue
			}
			if !errors.Is(err, syscall.EIO) {
				t.Fatalf("fault %d (%v): record %d after a failure: %v", fault, failed, index, err)
			}
		}
		closeErr := l.Close()
		if failed == (fsxtest.Op{}) {
			if acked != records || closeErr != nil || len(fatal) != 0 {
				t.Fatalf("without a fault: %d acknowledged, %v, %v", acked, closeErr, fatal)
			}
			if fault < records {
				t.Fatalf("only %d faults were tried", fault)
			}
			return
		}
		if len(fatal) != 1 || !errors.Is(fatal[0], syscall.EIO) || !errors.Is(closeErr, syscall.EIO) {
			t.Fatalf("fault %d (%v): the owner was told %v, close gave %v", fault, failed, fatal, closeErr)
		}
		for seed := range int64(4) {
			image := disk.PowerCut(rand.New(rand.NewSource(seed)))
			reopened, err := openTestLedger(image)
			if err != nil {
				t.Fatalf("fault %d (%v), cut %d: reopen: %v", fault, failed, seed, err)
			}
			if err := errors.Join(checkRecords(reopened, 0, acked), reopened.Close()); err != nil {
				t.Fatalf("fault %d (%v), cut %d: %d were acknowledged: %v", fault, failed, seed, acked, err)
			}
		}
	}
}
