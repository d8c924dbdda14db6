package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
)

// readMended reads a record's whole data.
func (g *Gateway) readMended(ctx context.Context, r *Record) ([]byte, error) {
	data, damage := g.readAll(r)
	if !errors.Is(damage, ErrDamaged) || !g.mend(ctx, r, damage) {
		return data, damage
	}
	return g.readAll(r)
}

// openWhole opens data that was read through once and is whole.
func (g *Gateway) openWhole(ctx context.Context, r *Record) (*body, error) {
	for mended := false; ; mended = true {
		data, err := g.openData(r)
		if err != nil {
			return nil, err
		}
		damage := r.check(data)
		if damage == nil {
			return data, nil
		}
		if err := data.Close(); err != nil {
			return nil, err
		}
		if mended || !g.mend(ctx, r, damage) {
			return nil, damage
		}
	}
}

// mend fetches an item anew whose data the disk has changed, from where items
// are that were never put here. It reports whether it could.
func (g *Gateway) mend(ctx context.Context, r *Record, damage error) bool {
	if err := g.refetch(ctx, r); err != nil {
		g.options.Logger.Warn().Err(damage).AnErr("mending", err).Msg("data is damaged")
		return false
	}
	g.options.Logger.Warn().Err(damage).Msg("data was damaged: fetched anew")
	return true
}

// refetch writes an item's file again.
func (g *Gateway) refetch(ctx context.Context, r *Record) error {
	// A file of its own is the item's; others belong to a bundle, a transaction or
	// a pin, which nobody else gives by this id.
	if g.options.Fallback == nil || r.at.kind != inFile || r.at.file != r.ID {
		return errors.New("no other copy is known")
	}
	it, err := g.options.Fallback.Item(ctx, r.ID)
	if err != nil {
		return err
	}
	if it == nil || it.ID() != r.ID || checksum(it.Data) != r.at.sum {
		return ao.Errorf(ao.CodeNotFound, "the copy elsewhere is another one")
	}
	if err := g.files.put(r.at.file, it.Data); err != nil {
		return fmt.Errorf("write the copy: %w", err)
	}
	return nil
}
