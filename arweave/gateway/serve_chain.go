package gateway

import (
	"context"
	"math/big"
	"net/http"
	"strconv"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
)

// networkName is what /info answers: it must not look like mainnet.
const networkName = "wallaby.localnet"

// blockTxsMax bounds the list of transactions in a block's JSON.
const blockTxsMax = 1000

// Info describes the gateway as a node describes itself.
func (g *Gateway) Info() arweave.Info {
	height := g.chain.height()
	block, _ := g.chain.block(height)
	return arweave.Info{
		Network: networkName, Version: 5, Release: 1, Height: height, Current: block.ID,
		Blocks: height - g.chain.genesis() + 1, Timestamp: block.Timestamp,
	}
}

func (g *Gateway) getInfo(w http.ResponseWriter, _ *http.Request) error {
	// The reference messenger asks the root of its gateway before it spawns and
	// gives up on an answer that has no type.
	w.Header().Set("Type", "Info")
	return writeJSON(w, http.StatusOK, g.Info())
}

func (g *Gateway) getHeight(w http.ResponseWriter, _ *http.Request) error {
	return writeText(w, http.StatusOK, strconv.FormatUint(g.chain.height(), 10))
}

func (g *Gateway) getAnchor(w http.ResponseWriter, _ *http.Request) error {
	block, _ := g.chain.block(g.chain.height())
	return writeText(w, http.StatusOK, block.ID)
}

// getPrice takes /price/{bytes}. Storing is free.
func (g *Gateway) getPrice(w http.ResponseWriter, _ *http.Request, text string) error {
	if _, err := strconv.ParseUint(text, 10, 63); err != nil {
		return ao.Errorf(ao.CodeInvalid, "%q is not a number of bytes", clip(text))
	}
	return writeText(w, http.StatusOK, "0")
}

// getPriceFor takes a node's /price/{bytes}/{target} and a bundler's
// /price/{token}/{bytes}.
func (g *Gateway) getPriceFor(w http.ResponseWriter, r *http.Request, first, second string) error {
	if _, err := strconv.ParseUint(first, 10, 63); err != nil {
		first = second
	}
	return g.getPrice(w, r, first)
}

// mineMax bounds one request to move the height on.
const mineMax = 1_000_000

func (g *Gateway) getMine(w http.ResponseWriter, r *http.Request, text string) error {
	blocks, err := strconv.ParseUint(text, 10, 63)
	if err != nil || blocks == 0 || blocks > mineMax {
		return ao.Errorf(ao.CodeInvalid, "blocks to mine must be 1 to %d, not %q", mineMax, clip(text))
	}
	if err := g.mine(r.Context(), blocks); err != nil {
		return err
	}
	return g.getInfo(w, r)
}

func (g *Gateway) getBalance(w http.ResponseWriter, _ *http.Request, text string) error {
	address, err := ao.ParseID(text)
	if err != nil {
		return ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	var held *big.Int
	err = g.view(func(txn *badger.Txn) (err error) {
		held, err = balance(txn, address)
		return err
	})
	if err != nil {
		return err
	}
	return writeText(w, http.StatusOK, held.String())
}

func (g *Gateway) getLastTx(w http.ResponseWriter, _ *http.Request, text string) error {
	address, err := ao.ParseID(text)
	if err != nil {
		return ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	last := ""
	err = g.view(func(txn *badger.Txn) error {
		value, err := get(txn, lastTxKey(address))
		if len(value) == 32 {
			last = ao.ID(value).String()
		}
		return err
	})
	if err != nil {
		return err
	}
	return writeText(w, http.StatusOK, last)
}

// getMint gives a wallet tokens out of nothing, as arlocal does.
func (g *Gateway) getMint(w http.ResponseWriter, r *http.Request, text, amount string) error {
	address, err := ao.ParseID(text)
	if err != nil {
		return ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	winston, ok := new(big.Int).SetString(amount, 10)
	if !ok || winston.Sign() < 0 || len(amount) > 32 {
		return ao.Errorf(ao.CodeInvalid, "%q is not an amount of winston", clip(amount))
	}
	held, err := g.mint(r.Context(), address, winston)
	if err != nil {
		return err
	}
	return writeText(w, http.StatusOK, held.String())
}

// blockJSON has those fields of a node's block that a chain made by arithmetic
// can have.
type blockJSON struct {
	Nonce         string   `json:"nonce"`
	PreviousBlock string   `json:"previous_block"`
	Timestamp     int64    `json:"timestamp"`
	Height        uint64   `json:"height"`
	Hash          string   `json:"hash"`
	IndepHash     string   `json:"indep_hash"`
	Txs           []string `json:"txs"`
	TxRoot        string   `json:"tx_root"`
	RewardAddr    string   `json:"reward_addr"`
	Tags          []string `json:"tags"`
	BlockSize     string   `json:"block_size"`
}

func (g *Gateway) getCurrentBlock(w http.ResponseWriter, r *http.Request) error {
	return g.writeBlock(r.Context(), w, g.chain.height())
}

func (g *Gateway) getBlockByHeight(w http.ResponseWriter, r *http.Request, text string) error {
	height, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return ao.Errorf(ao.CodeInvalid, "%q is not a height", clip(text))
	}
	return g.writeBlock(r.Context(), w, height)
}

func (g *Gateway) getBlockByHash(w http.ResponseWriter, r *http.Request, text string) error {
	height, ok := g.chain.heightOf(text)
	if !ok {
		return ao.Errorf(ao.CodeNotFound, "no block has the id %s", clip(text))
	}
	return g.writeBlock(r.Context(), w, height)
}

func (g *Gateway) writeBlock(ctx context.Context, w http.ResponseWriter, height uint64) error {
	block, ok := g.chain.block(height)
	if !ok {
		return ao.Errorf(ao.CodeNotFound, "no block has the height %d: the chain goes from %d to %d", height, g.chain.genesis(), g.chain.height())
	}
	b := blockJSON{
		PreviousBlock: block.Previous, Timestamp: block.Timestamp, Height: height, Hash: block.ID, IndepHash: block.ID,
		Txs: []string{}, RewardAddr: "unclaimed", Tags: []string{}, BlockSize: "0",
	}
	err := g.blockContents(ctx, height, &b)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, b)
}

// blockContents lists the base-layer transactions of a block.
func (g *Gateway) blockContents(ctx context.Context, height uint64, b *blockJSON) error {
	return g.view(func(txn *badger.Txn) error {
		from, ok, err := firstSequence(txn, height)
		if err != nil || !ok {
			return err
		}
		list := openPostings(txn, []byte{keyTx}, false)
		defer list.close()
		size := uint64(0)
		for ctx.Err() == nil && len(b.Txs) < blockTxsMax {
			sequence, ok := list.seek(from)
			if !ok {
				break
			}
			record, err := recordAt(txn, sequence)
			if err != nil {
				return err
			}
			if record.Height != height {
				break
			}
			size += record.DataSize
			b.Txs, from = append(b.Txs, record.ID.String()), sequence+1
		}
		b.BlockSize = strconv.FormatUint(size, 10)
		return ctx.Err()
	})
}
