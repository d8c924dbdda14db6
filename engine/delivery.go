package engine

import (
	"encoding/binary"
	"errors"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
)

// delivery says how a done effect was delivered. It stands in the store beside
// the outbox record, which would otherwise be written again with all of them for
// each of thousands of effects.
type delivery struct {
	attempts int
	timeMS   int64
	node     string
	ids      []ao.ID
}

// deliveryVersion is the user meta of a stored delivery: attempts (4), time (8),
// length of node (1), node, ids. Meta 0 stands for ids alone.
const (
	deliveryVersion     byte = 1
	deliveryHeaderBytes      = 4 + 8 + 1
)

func deliveryOf(effect Effect) *delivery {
	return &delivery{effect.Attempts, effect.TimeMS, effect.Node, effect.Delivered}
}

// entry is the delivery as it is stored.
func (d *delivery) entry(key EffectKey) *badger.Entry {
	node := d.node[:min(len(d.node), 255)]
	b := binary.BigEndian.AppendUint32(nil, uint32(d.attempts))
	b = binary.BigEndian.AppendUint64(b, uint64(d.timeMS))
	b = append(append(b, byte(len(node))), node...)
	for _, id := range d.ids {
		b = append(b, id[:]...)
	}
	return badger.NewEntry(deliveryKey(key), b).WithMeta(deliveryVersion)
}

var errDelivery = errors.New("stored delivery is malformed")

func decodeDelivery(version byte, b []byte) (d delivery, err error) {
	if version == deliveryVersion {
		if len(b) < deliveryHeaderBytes || len(b) < deliveryHeaderBytes+int(b[12]) {
			return d, errDelivery
		}
		end := deliveryHeaderBytes + int(b[12])
		d.attempts, d.timeMS = int(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint64(b[4:]))
		d.node, b = string(b[deliveryHeaderBytes:end]), b[end:]
	}
	size := len(ao.ID{})
	if version > deliveryVersion || len(b)%size != 0 {
		return d, errDelivery
	}
	for ; len(b) > 0; b = b[size:] {
		d.ids = append(d.ids, ao.ID(b[:size]))
	}
	return d, nil
}

// tell gives a done effect what is known of it.
func (d delivery) tell(effect *Effect) {
	effect.Attempts, effect.TimeMS, effect.Node, effect.Delivered = d.attempts, d.timeMS, d.node, d.ids
}

// delivery reads how an effect was delivered; nothing when that is not known.
func (s *store) delivery(key EffectKey) (d delivery, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(deliveryKey(key))
		if err != nil {
			return err
		}
		return item.Value(func(b []byte) error {
			d, err = decodeDelivery(item.UserMeta(), b)
			return err
		})
	})
	if isMissing(err) {
		return delivery{}, nil
	}
	return d, err
}
