package log

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wallaby-ao/wallaby/internal/fsx/fsxtest"
)

// tailDisk gives the image of a ledger with n records, what takes its tips back to
// before the last one, and the last one's place.
func tailDisk(t *testing.T, n uint64) (disk *fsxtest.Disk, takeBack func(*fsxtest.Disk), path string, from, to int64) {
	t.Helper()
	disk = fsxtest.NewDisk()
	l := mustOpen(t, disk)
	appendRecords(t, l, 1, n-1)
	before := disk.Clone()
	appendRecords(t, l, n, n)
	at, _ := l.Locate(0, n)
	from = at.Offset - recordHeaderBytes
	to = from + paddedBytes(len(testPayload(0, n)))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	path = l.SegmentPath(at)
	takeBack = func(image *fsxtest.Disk) {
		image.SetBytes(testDir+"/"+tipFileName, slices.Clone(before.Bytes(testDir+"/"+tipFileName)))
		copy(image.Bytes(path)[tipSlotBytes:segmentHeaderBytes], before.Bytes(path)[tipSlotBytes:segmentHeaderBytes])
	}
	return disk, takeBack, path, from, to
}

// cutEnd is where the last byte of a record lies that is not padding of zeros.
func cutEnd(b []byte, from, to int64) int64 {
	for to > from && b[to-1] == 0 {
		to--
	}
	return to
}

func TestLastRecordCutAtEveryByte(t *testing.T) {
	const records = 64
	disk, takeBack, path, from, to := tailDisk(t, records)
	end := cutEnd(disk.Bytes(path), from, to)
	for _, acknowledged := range []bool{true, false} {
		for _, shorten := range []bool{true, false} {
			for cut := from; cut < end; cut++ {
				image := disk.Clone()
				if shorten {
					image.SetBytes(path, image.Bytes(path)[:cut])
				} else {
					clear(image.Bytes(path)[cut:to])
				}
				if !acknowledged {
					takeBack(image)
				}
				l, err := openTestLedger(image)
				if acknowledged {
					if !isNamed(err) || !strings.Contains(err.Error(), path) {
						t.Fatalf("an acknowledged record cut at byte %d: %v", cut-from, err)
					}
					continue
				}
				if err != nil {
					t.Fatalf("a record that nobody was told of, cut at byte %d: %v", cut-from, err)
				}
				if _, last := l.Bounds(0); last != records-1 {
					t.Fatalf("cut at byte %d: the log ends at %d", cut-from, last)
				}
				appendRecords(t, l, records, records+3)
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				l = mustOpen(t, image)
				if err := checkRecords(l, 0, records+3); err != nil {
					t.Fatalf("cut at byte %d, then written on: %v", cut-from, err)
				}
				l.Close()
			}
		}
	}
}

// TestFlippedBitsAreNeverSilent flips bits all over every file: the ledger must
// refuse to open and name the file, or name the record when it is read, or be
// whole.
func TestFlippedBitsAreNeverSilent(t *testing.T) {
	// Every 97th bit hits each bit of a byte in turn.
	const records, stride, flipsMin = 80, 97, 3000
	disk := filledDisk(t, records)
	flips, refused, named, whole := 0, 0, 0, 0
	for _, path := range disk.Under(testDir) {
		for bit := flips % 7; bit < len(disk.Bytes(path))*8; bit += stride {
			flips++
			disk.Flip(path, bit)
			image := disk.Clone()
			disk.Flip(path, bit)
			l, err := openTestLedger(image)
			if err != nil {
				if !isNamed(err) {
					t.Fatalf("bit %d of %s: the refusal names nothing: %v", bit, path, err)
				}
				refused++
				continue
			}
			err = checkRecords(l, 0, records)
			switch {
			case err == nil:
				whole++
			case isNamed(err) && strings.Contains(err.Error(), path):
				named++
			default:
				t.Fatalf("bit %d of %s: %v", bit, path, err)
			}
			l.Close()
		}
	}
	t.Logf("%d flips: %d refused at open, %d named when read, %d in bytes that nothing depends on or that are there twice", flips, refused, named, whole)
	if refused == 0 || named == 0 || flips < flipsMin {
		t.Error("the test did not reach all it is for")
	}
}

func TestZeroedBlocksAreNeverSilent(t *testing.T) {
	const records, block = 80, 512
	disk := filledDisk(t, records)
	for _, path := range disk.Under(testDir) {
		for at := 0; at < len(disk.Bytes(path)); at += block {
			image := disk.Clone()
			b := image.Bytes(path)
			clear(b[at:min(at+block, len(b))])
			l, err := openTestLedger(image)
			if err == nil {
				err = checkRecords(l, 0, records)
				l.Close()
			}
			if err != nil && !isNamed(err) {
				t.Fatalf("block at %d of %s: %v", at, path, err)
			}
		}
	}
}

func TestMissingAndForeignFilesAreNamed(t *testing.T) {
	disk := filledDisk(t, 80)
	other := filledDisk(t, 80)
	appendMore := mustOpen(t, other)
	appendRecords(t, appendMore, 81, 90)
	if err := appendMore.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range disk.Under(testDir) {
		image := disk.Clone()
		image.Remove(path)
		if _, err := openTestLedger(image); !isNamed(err) && !strings.Contains(fmt.Sprint(err), testDir) {
			t.Errorf("without %s: %v", path, err)
		}
	}
	// A newer tip beside older segments is what a restored backup looks like.
	image := disk.Clone()
	image.SetBytes(testDir+"/"+tipFileName, slices.Clone(other.Bytes(testDir+"/"+tipFileName)))
	if _, err := openTestLedger(image); !isNamed(err) {
		t.Errorf("segments older than their tip: %v", err)
	}
	// A ledger of other content, with records at the same places.
	foreign := fsxtest.NewDisk()
	l := mustOpen(t, foreign)
	for index := uint64(1); index <= 80; index++ {
		r := testRecord(0, index)
		r.Term = 7
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range disk.Under(testDir) {
		image := disk.Clone()
		image.SetBytes(path, slices.Clone(foreign.Bytes(path)))
		l, err := openTestLedger(image)
		if err == nil {
			err = checkRecords(l, 0, 80)
			l.Close()
		}
		if err == nil {
			t.Errorf("%s of another ledger was taken", path)
		}
	}
}

// TestPowerCutsLoseNothingAcknowledged cuts the power at random moments of a
// ledger under load, leaving any part of what was not flushed.
func TestPowerCutsLoseNothingAcknowledged(t *testing.T) {
	const cuts, groups = 150, 3
	for seed := range int64(cuts) {
		random := rand.New(rand.NewSource(seed))
		disk := fsxtest.NewDisk()
		var (
			ops   atomic.Int64
			after = 1 + random.Int63n(400)
			acked [groups]atomic.Uint64
			known [groups]uint64
			image *fsxtest.Disk
			once  sync.Once
		)
		disk.Fault = func(fsxtest.Op) error {
			if ops.Add(1) >= after {
				once.Do(func() {
					for group := range known {
						known[group] = acked[group].Load()
					}
					image = disk.PowerCut(random)
				})
			}
			return nil
		}
		l := mustOpen(t, disk)
		var wait sync.WaitGroup
		for group := range uint32(groups) {
			wait.Go(func() {
				for index := uint64(1); index <= 60; index++ {
					if err := l.Append(testRecord(group, index)); err != nil {
						t.Error(err)
						return
					}
					acked[group].Store(index)
				}
			})
		}
		wait.Wait()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if image == nil {
			continue
		}
		reopened, err := openTestLedger(image)
		if err != nil {
			t.Fatalf("cut %d after %d changes, %v acknowledged: %v", seed, after, known, err)
		}
		for group, last := range known {
			if err := checkRecords(reopened, uint32(group), last); err != nil {
				t.Fatalf("cut %d after %d changes: %v", seed, after, err)
			}
		}
		reopened.Close()
	}
}
