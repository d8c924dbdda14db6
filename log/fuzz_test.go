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
)

// FuzzDecodeEntry holds that whatever decodes encodes to the same bytes, and
// that all else is named as damage. The checksum is made right, because few
// random bytes would get past it.
func FuzzDecodeEntry(f *testing.F) {
	memory := logtest.NewMemory(logtest.Signer(f, 1), time.Now)
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
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 12 {
			b = bytes.Clone(b)
			length := min(uint64(binary.LittleEndian.Uint32(b)), uint64(len(b)-4))
			binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:max(8, length+4)], castagnoli))
		}
		entry, size, err := log.DecodeEntry(b)
		if err != nil {
			if !errors.Is(err, log.ErrCorrupt) {
				t.Fatalf("not named as damage: %v", err)
			}
			return
		}
		if again := log.AppendEntry(nil, entry); !bytes.Equal(again, b[:size]) {
			t.Fatal("the bytes changed")
		}
	})
}
