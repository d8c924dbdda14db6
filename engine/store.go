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

// uint64At gives the number at key, or 0 when there is none.
func (s *store) uint64At(key []byte) (uint64, error) {
	value, err := s.get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("stored number at %x has %d bytes, not 8", key, len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

// next gives the first nonce of a process without an evaluation.
func (s *store) next(process ao.ID) (uint64, error) {
	return s.uint64At(idKey(keyProgress, process))
}

func (s *store) record(process ao.ID, nonce uint64) (record, error) {
	value, err := s.get(nonceKey(keyRecord, process, nonce))
	if err != nil {
		return record{}, err
	}
	return decodeRecord(value)
}

// firstPlaces gives the nonces of the first evaluations of those messages among
// entries, from nonce next on, that the store knows.
func (s *store) firstPlaces(process ao.ID, next uint64, entries []aolog.Entry) (map[ao.ID]uint64, error) {
	places := map[ao.ID]uint64{}
	err := s.db.View(func(txn *badger.Txn) error {
		for _, entry := range entries {
			if entry.Nonce < next {
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

// evaluations calls fn for evaluations without an Error with first <= nonce <
// end, until fn gives false.
func (s *store) evaluations(ctx context.Context, process ao.ID, first, end uint64, descending bool, fn func(Evaluation) bool) error {
	return s.db.View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: idKey(keyRecord, process), Reverse: descending})
		defer iterator.Close()
		start := first
		if descending {
			start = end - 1
		}
		for iterator.Seek(nonceKey(keyRecord, process, start)); iterator.Valid(); iterator.Next() {
			item := iterator.Item()
			_, nonce := splitNonceKey(item.Key())
			if nonce < first || nonce >= end {
				return nil
			}
			if item.UserMeta()&flagError != 0 {
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
			evaluation, err := stored.evaluation(process, nonce)
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
