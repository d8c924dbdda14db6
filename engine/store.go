package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// store keeps evaluations and how far the engine has come.
type store struct {
	db *badger.DB
}

// get gives a copy of the value at key, or badger.ErrKeyNotFound.
func (s *store) get(key []byte) (value []byte, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(key)
		if err != nil {
			return err
		}
		value, err = item.ValueCopy(nil)
		return err
	})
	return value, err
}

func (s *store) has(key []byte) (bool, error) {
	err := s.db.View(func(txn *badger.Txn) error {
		_, err := txn.Get(key)
		return err
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return false, nil
	}
	return err == nil, err
}

// next gives the first place of a process that may come and has no evaluation.
func (s *store) next(process ao.ID) (place, error) {
	next, _, err := s.progress(process)
	return next, err
}

// progress also says whether that was stored before there were crons.
func (s *store) progress(process ao.ID) (next place, cronless bool, err error) {
	value, err := s.get(idKey(keyProgress, process))
	switch {
	case errors.Is(err, badger.ErrKeyNotFound):
		return next, false, nil
	case err != nil:
		return next, false, err
	}
	next, err = decodeProgress(value)
	return next, len(value) == cronlessProgressBytes, err
}

const (
	progressBytes         = 8 + 8
	cronlessProgressBytes = 8
)

func encodeProgress(next place) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, next.nonce), next.tick)
}

// decodeProgress also reads a nonce alone: every message before it is evaluated, and
// no tick.
func decodeProgress(b []byte) (next place, err error) {
	switch len(b) {
	case progressBytes:
		return place{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}, nil
	case cronlessProgressBytes:
		if nonce := binary.BigEndian.Uint64(b); nonce > 0 {
			return place{nonce - 1, 1}, nil
		}
		return place{}, nil
	}
	return place{}, fmt.Errorf("stored progress has %d bytes, not %d", len(b), progressBytes)
}

func (s *store) record(process ao.ID, at place) (record, error) {
	value, err := s.get(placeKey(keyRecord, process, at))
	if err != nil {
		return record{}, err
	}
	return decodeRecord(value)
}

// firstPlaces gives the nonces of the first evaluations of those messages among
// entries, from a place on, that the store knows.
func (s *store) firstPlaces(process ao.ID, next place, entries []aolog.Entry) (map[ao.ID]uint64, error) {
	places := map[ao.ID]uint64{}
	err := s.db.View(func(txn *badger.Txn) error {
		for _, entry := range entries {
			if (place{nonce: entry.Nonce}).less(next) {
				continue
			}
			message := messageID(entry)
			item, err := txn.Get(idsKey(keyMessage, process, message))
			if isMissing(err) {
				continue
			}
			if err != nil {
				return err
			}
			err = item.Value(func(value []byte) error {
				if len(value) != 8 {
					return errRecord
				}
				places[message] = binary.BigEndian.Uint64(value)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return places, err
}

// last gives the last evaluated place of a process before another one; false for
// none.
func (s *store) last(process ao.ID, before place) (at place, found bool, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		prefix := idKey(keyRecord, process)
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: true})
		defer iterator.Close()
		for iterator.Seek(placeKey(keyRecord, process, before)); iterator.Valid(); iterator.Next() {
			if _, at = splitPlaceKey(iterator.Item().Key()); at.less(before) {
				found = true
				return nil
			}
		}
		return nil
	})
	return at, found, err
}

// evaluations calls fn for evaluations without an Error with first <= place < end,
// those of crons alone if that is wanted, until fn gives false.
func (s *store) evaluations(ctx context.Context, process ao.ID, first, end place, query ResultsQuery, fn func(Evaluation) bool) error {
	return s.db.View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: idKey(keyRecord, process), Reverse: query.Descending})
		defer iterator.Close()
		start := first
		if query.Descending {
			start = end
		}
		for iterator.Seek(placeKey(keyRecord, process, start)); iterator.Valid(); iterator.Next() {
			item := iterator.Item()
			_, at := splitPlaceKey(item.Key())
			if query.Descending && at == end {
				continue
			}
			if at.less(first) || !at.less(end) {
				return nil
			}
			if item.UserMeta()&flagError != 0 && !query.Errors || query.Crons && at.tick == 0 {
				if err := ctx.Err(); err != nil {
					return err
				}
				continue
			}
			value, err := item.ValueCopy(nil)
			if err != nil {
				return err
			}
			stored, err := decodeRecord(value)
			if err != nil {
				return err
			}
			evaluation, err := stored.evaluation(process, at)
			if err != nil {
				return err
			}
			if !fn(evaluation) {
				return nil
			}
		}
		return nil
	})
}

// position gives where following a group left off.
func (s *store) position(group uint32) (aolog.Position, error) {
	value, err := s.get(groupKey(group))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return aolog.Position{}, nil
	}
	if err != nil {
		return aolog.Position{}, err
	}
	if len(value) != 12 {
		return aolog.Position{}, fmt.Errorf("stored position of group %d has %d bytes, not 12", group, len(value))
	}
	return aolog.Position{
		Index:  binary.BigEndian.Uint64(value),
		Offset: binary.BigEndian.Uint32(value[8:]),
	}, nil
}

// keepPositions writes marks for processes that are behind, then positions.
// The marks come first: a position without them would lose work.
func (s *store) keepPositions(lagging []ao.ID, positions map[uint32]aolog.Position) error {
	batch := s.db.NewWriteBatch()
	defer batch.Cancel()
	for _, process := range lagging {
		if err := batch.Set(idKey(keyLag, process), nil); err != nil {
			return err
		}
	}
	if err := batch.Flush(); err != nil {
		return err
	}
	return s.db.Update(func(txn *badger.Txn) error {
		for group, position := range positions {
			value := binary.BigEndian.AppendUint64(nil, position.Index)
			value = binary.BigEndian.AppendUint32(value, position.Offset)
			if err := txn.Set(groupKey(group), value); err != nil {
				return err
			}
		}
		return nil
	})
}

// lagging lists processes marked as behind, after the given one.
func (s *store) lagging(after ao.ID, limit int) (processes []ao.ID, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(keyLag)})
		defer iterator.Close()
		for iterator.Seek(append(idKey(keyLag, after), 0)); iterator.Valid() && len(processes) < limit; iterator.Next() {
			processes = append(processes, ao.ID(iterator.Item().Key()[len(keyLag):]))
		}
		return nil
	})
	return processes, err
}
