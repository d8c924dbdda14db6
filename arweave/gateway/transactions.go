package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// PutTx verifies a base-layer transaction and stores it; stored is false when
// it was there already. Without its data it waits for chunks.
func (g *Gateway) PutTx(ctx context.Context, tx *arweave.Tx) (stored bool, err error) {
	if tx.DataSize > g.options.DataBytesMax {
		return false, ao.Errorf(ao.CodeTooLarge, "the data has %d bytes, at most %d are accepted", tx.DataSize, g.options.DataBytesMax)
	}
	if err := tx.Verify(); err != nil {
		return false, ao.Errorf(ao.CodeInvalid, "transaction %s: %w", tx.ID, err)
	}
	existing, err := g.lookupStored(tx.ID)
	if err != nil {
		return false, err
	}
	if existing != nil && existing.kind == kindItem {
		return false, ao.Errorf(ao.CodeConflict, "%s is a data item", tx.ID)
	}
	if existing == nil || existing.kind == kindPin {
		p, err := g.prepareTx(tx)
		if err != nil {
			return false, err
		}
		if err := g.write(ctx, p); err != nil {
			return false, err
		}
		stored = p.isNew
	}
	if tx.DataSize == 0 {
		return stored, nil
	}
	if len(tx.Data) > 0 {
		return stored, g.putInlineData(ctx, tx)
	}
	// Another transaction may have brought the same data.
	file := chunkFile(tx.DataRoot, tx.DataSize)
	done, _, err := g.uploaded(file, tx.DataSize)
	if err != nil || !done {
		return stored, err
	}
	return stored, g.completed(ctx, file)
}

func (g *Gateway) prepareTx(tx *arweave.Tx) (*put, error) {
	bare := *tx
	bare.Data = nil
	header, err := json.Marshal(&bare)
	if err != nil {
		return nil, fmt.Errorf("store transaction %s: %w", tx.ID, err)
	}
	p := &put{
		id: tx.ID, owner: tx.Address(), recipient: tx.TargetID(), tags: tx.Tags,
		stored:   storedRecord{kind: kindTx, dataSize: tx.DataSize, header: header},
		alsoKeys: 6,
	}
	if tx.DataSize > 0 {
		p.stored.at = location{kind: inChunks, file: chunkFile(tx.DataRoot, tx.DataSize)}
	}
	p.also = func(txn *badger.Txn, p *put) error { return g.settleTx(txn, tx, p) }
	return p, nil
}

// settleTx moves the tokens and gives the data its place in the weave.
func (g *Gateway) settleTx(txn *badger.Txn, tx *arweave.Tx, p *put) error {
	if err := transfer(txn, tx); err != nil {
		return err
	}
	address := tx.Address()
	if err := txn.Set(lastTxKey(address), tx.ID[:]); err != nil || tx.DataSize == 0 {
		return err
	}
	last := g.weaveEnd + tx.DataSize
	g.weaveEnd = last
	err := errors.Join(
		txn.Set(weaveKey(last), tx.ID[:]),
		txn.Set(weaveOfKey(tx.ID), numberKey(nil, last)),
		txn.Set(rootKey(p.stored.at.file, tx.ID), nil))
	if tx.IsBundle() {
		err = errors.Join(err, txn.Set(unbundleKey(tx.ID), nil))
	}
	return err
}

// transfer moves a transaction's quantity. No fee is taken.
func transfer(txn *badger.Txn, tx *arweave.Tx) error {
	quantity, ok := new(big.Int).SetString(tx.Quantity, 10)
	if !ok || quantity.Sign() <= 0 {
		return nil
	}
	from, err := balance(txn, tx.Address())
	if err != nil {
		return err
	}
	if from.Cmp(quantity) < 0 {
		return ao.Errorf(ao.CodeInvalid, "transaction %s: the wallet %s holds %s winston and sends %s: GET /mint/{address}/{winston} funds it",
			tx.ID, tx.Address(), from, quantity)
	}
	to, err := balance(txn, tx.TargetID())
	if err != nil {
		return err
	}
	return errors.Join(
		txn.Set(balanceKey(tx.Address()), []byte(from.Sub(from, quantity).String())),
		txn.Set(balanceKey(tx.TargetID()), []byte(to.Add(to, quantity).String())))
}

func balance(txn *badger.Txn, address dataitem.ID) (*big.Int, error) {
	value, err := get(txn, balanceKey(address))
	if err != nil || value == nil {
		return new(big.Int), err
	}
	amount, ok := new(big.Int).SetString(string(value), 10)
	if !ok {
		return nil, fmt.Errorf("%w: balance of %s", ErrDamaged, address)
	}
	return amount, nil
}

// mint gives an address tokens and says what it holds then.
func (g *Gateway) mint(ctx context.Context, address dataitem.ID, winston *big.Int) (*big.Int, error) {
	var held *big.Int
	err := g.commit.do(ctx, 1, 64, func(txn *badger.Txn) (err error) {
		if held, err = balance(txn, address); err != nil {
			return err
		}
		return txn.Set(balanceKey(address), []byte(held.Add(held, winston).String()))
	})
	return held, err
}

// chunkFile names the file of data that is known by its root. The size is part
// of it because a root alone would let a transaction lie about the size of
// another one's data.
func chunkFile(root []byte, size uint64) dataitem.ID {
	h := sha256.New()
	h.Write([]byte("data"))
	h.Write(root)
	h.Write(numberKey(nil, size))
	return dataitem.ID(h.Sum(nil))
}
