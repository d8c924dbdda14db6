package history

import (
	"errors"
	"fmt"
	"io"
)

// Disk is a file that can be read, cut and appended to, such as an *os.File.
type Disk interface {
	io.Reader
	io.Writer
	io.Seeker
	Truncate(size int64) error
}

// Resume opens a history file to append to it. It takes its index and end off, and
// the last entry with all that follows, since a source tells what belongs to an
// entry after the entry: Next is the nonce to ask for. A cut-off tail goes, too;
// a file with other damage is refused. had is how many entries there were.
func Resume(disk Disk) (w *Writer, had uint64, err error) {
	if _, err := disk.Seek(0, io.SeekStart); err != nil {
		return nil, 0, fmt.Errorf("read history: %w", err)
	}
	reader, err := NewReader(disk)
	if err != nil {
		return nil, 0, err
	}
	w = &Writer{w: disk, header: reader.Header()}
	before, last := *w, reader.offset // as it was before the last entry, and where that begins
	for {
		r, err := reader.Next()
		if damage, ok := errors.AsType[*Damage](err); ok && !damage.Cut {
			return nil, 0, fmt.Errorf("the file is damaged, see wallaby verify: %w", damage)
		} else if ok || errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, 0, err
		}
		if r.Kind == KindEntry || r.Kind == KindClaim {
			before, last = *w, r.Offset
		}
		w.note(r)
	}
	had = w.entries
	*w = before
	w.offset = last
	if err := disk.Truncate(last); err != nil {
		return nil, 0, fmt.Errorf("cut history: %w", err)
	}
	if _, err := disk.Seek(last, io.SeekStart); err != nil {
		return nil, 0, fmt.Errorf("append to history: %w", err)
	}
	return w, had, nil
}
