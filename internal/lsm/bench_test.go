package lsm

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
)

// BenchmarkPut puts keys as a log's index does: of a thousand processes, two ids
// and a place each.
func BenchmarkPut(b *testing.B) {
	s, err := Open(Options{Dir: b.TempDir(), Fatal: func(err error) { b.Error(err) }})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	place := make([]byte, 24)
	b.ReportAllocs()
	i := uint64(0)
	var k []byte
	for b.Loop() {
		i++
		process := sha256.Sum256([]byte{byte(i), byte(i >> 8 & 3)})
		id := sha256.Sum256(binary.BigEndian.AppendUint64(nil, i))
		other := sha256.Sum256(id[:])
		value := binary.BigEndian.AppendUint64(process[:], i)
		if err := s.Put(func(set func(k, v []byte)) {
			k = binary.BigEndian.AppendUint64(append(append(k[:0], 'E'), process[:]...), i/1024)
			set(k, place)
			set(append(append(k[:0], 'L'), id[:]...), value)
			set(append(append(k[:0], 'L'), other[:]...), value)
			set(append(append(k[:0], 'H'), process[:]...), place)
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := s.Flush(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(s.mu.tables.tables)), "tables")
}

// BenchmarkGetAbsent looks up ids that are not there, as a log does for each new
// message.
func BenchmarkGetAbsent(b *testing.B) {
	s, err := Open(Options{Dir: b.TempDir(), Fatal: func(err error) { b.Error(err) }})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for i := range uint64(1_000_000) {
		id := sha256.Sum256(binary.BigEndian.AppendUint64(nil, i))
		if err := s.Put(func(set func(k, v []byte)) { set(append([]byte{'L'}, id[:]...), id[:]) }); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Flush(); err != nil {
		b.Fatal(err)
	}
	i := uint64(1_000_000)
	b.ReportAllocs()
	for b.Loop() {
		i++
		id := sha256.Sum256(binary.BigEndian.AppendUint64(nil, i))
		if _, ok, err := s.Get(append([]byte{'L'}, id[:]...)); ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
