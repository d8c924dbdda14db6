package log_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/log/memory"
)

// FuzzDecodeFrame holds that an entry that decodes encodes to the same bytes, a
// control to one that decodes to the same, and that all else is named as damage. The checksum is made right, because few
// random bytes would get past it.
func FuzzDecodeFrame(f *testing.F) {
	memory := memory.New(logtest.Signer(f, 1), time.Now)
	process := logtest.ProcessItem(f, logtest.Signer(f, 9), "seed")
	for _, item := range []*dataitem.Item{process, logtest.MessageItem(f, logtest.Signer(f, 9), process.ID(), "x")} {
		entry, _, err := memory.Append(f.Context(), log.Proposal{Item: item})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(log.AppendEntry(nil, entry))
		entry.ItemBytes = nil
		f.Add(log.AppendEntry(nil, entry))
	}
	f.Add(log.AppendControl(nil, log.Control{Seal: &log.Seal{Head: log.Head{Process: process.ID(), Nonce: 1}, Mode: log.Solo, To: 301}}))
	f.Add(log.AppendControl(nil, log.Control{Attested: &log.Attested{Process: process.ID(), Nonce: 1, Items: [][]byte{{1, 2}}}}))
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 12 {
			b = bytes.Clone(b)
			length := min(uint64(binary.LittleEndian.Uint32(b)), uint64(len(b)-4))
			binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:max(8, length+4)], castagnoli))
		}
		frame, err := log.DecodeFrame(b)
		if err != nil {
			if !errors.Is(err, log.ErrCorrupt) {
				t.Fatalf("not named as damage: %v", err)
			}
			return
		}
		if frame.Control == nil {
			if again := log.AppendEntry(nil, frame.Entry); !bytes.Equal(again, b[:frame.Size]) {
				t.Fatal("the bytes changed")
			}
			return
		}
		again, err := log.DecodeFrame(log.AppendControl(nil, *frame.Control))
		if err != nil || again.Control == nil {
			t.Fatalf("a control does not decode again: %v", err)
		}
	})
}
