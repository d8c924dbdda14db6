package wasm

// Reservation is address space for a memory that grows in place. It lives
// outside the Go heap: pages that were never written take no memory, the
// collector does not count them, and growing copies nothing.
type Reservation struct {
	space     []byte
	committed int
}

// Reserve takes address space for up to max bytes, of which none is usable yet.
func Reserve(max uint64) (*Reservation, error) {
	space, err := reserve(max)
	if err != nil {
		return nil, err
	}
	return &Reservation{space: space}, nil
}

// Commit makes the first n bytes usable, keeping what they hold, and returns
// them; nil when the reservation is smaller. It never makes less usable.
func (r *Reservation) Commit(n uint64) []byte {
	if n > uint64(len(r.space)) {
		return nil
	}
	if int(n) > r.committed {
		if err := commit(r.space, r.committed, int(n)); err != nil {
			return nil
		}
		r.committed = int(n)
	}
	return r.space[:n:n]
}

// Touched marks the pages of 4 KiB that were ever written to or read: all others
// hold zeros. It is nil when the system does not tell.
func (r *Reservation) Touched() []bool { return touched(r.space[:r.committed]) }

// Max is the number of bytes reserved.
func (r *Reservation) Max() uint64 { return uint64(len(r.space)) }

// Free gives the address space back; every view of it is invalid after.
func (r *Reservation) Free() {
	if r.space != nil {
		release(r.space)
		r.space, r.committed = nil, 0
	}
}
