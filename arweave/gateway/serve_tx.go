package gateway

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
)

// finalConfirmations is from how many blocks on a bundler calls an item final.
const finalConfirmations = 18

// getTx serves a transaction's JSON without data. Items are shown in the same
// form, as far as they have its fields.
func (g *Gateway) getTx(w http.ResponseWriter, r *http.Request, text string) error {
	record, err := g.find(r, text)
	if err != nil {
		return err
	}
	if !g.confirmed(&record) {
		return writeText(w, http.StatusAccepted, "Pending")
	}
	return writeJSON(w, http.StatusOK, asTx(&record))
}

func asTx(r *Record) *arweave.Tx {
	if r.Tx != nil {
		return r.Tx
	}
	tx := &arweave.Tx{
		ID: r.ID, LastTx: r.Anchor, Owner: r.OwnerKey, Tags: r.Tags, DataSize: r.DataSize, Signature: r.Signature,
	}
	if !r.Target.IsZero() {
		tx.Target = r.Target[:]
	}
	return tx
}

// getTxField serves one field of getTx as text, tags as JSON, and under data the
// data itself in base64url, as a node does.
func (g *Gateway) getTxField(w http.ResponseWriter, r *http.Request, text, field string) error {
	record, err := g.find(r, text)
	if err != nil {
		return err
	}
	if field == "data" {
		if limit := g.options.BodyBytesMax; record.DataSize > uint64(limit) {
			return ao.Errorf(ao.CodeTooLarge, "the data has %d bytes, more than %d: GET /%s or /chunk/{offset}", record.DataSize, limit, record.ID)
		}
		data, err := g.readAll(&record)
		if err != nil {
			return err
		}
		return writeText(w, http.StatusOK, base64.RawURLEncoding.EncodeToString(data))
	}
	b, err := json.Marshal(asTx(&record))
	if err != nil {
		return err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return err
	}
	value, ok := fields[field]
	if !ok {
		return ao.Errorf(ao.CodeInvalid, "a transaction has no field %q", clip(field))
	}
	if field == "tags" {
		return writeJSON(w, http.StatusOK, value)
	}
	var plain string
	if json.Unmarshal(value, &plain) != nil {
		plain = string(value)
	}
	return writeText(w, http.StatusOK, plain)
}

// txStatus has the fields of a node's answer, and those of a bundler's for
// items.
type txStatus struct {
	BlockHeight   uint64 `json:"block_height"`
	BlockHash     string `json:"block_indep_hash"`
	Confirmations uint64 `json:"number_of_confirmations"`
	Status        string `json:"status,omitempty"`
	BundleID      string `json:"bundleId,omitempty"`
}

func (g *Gateway) getTxStatus(w http.ResponseWriter, r *http.Request, text string) error {
	record, err := g.find(r, text)
	if err != nil {
		return err
	}
	block, ok := g.chain.block(record.Height)
	if !ok {
		return writeText(w, http.StatusAccepted, "Pending")
	}
	status := txStatus{BlockHeight: block.Height, BlockHash: block.ID, Confirmations: g.chain.height() - block.Height + 1}
	if record.Tx == nil {
		status.Status, status.BundleID = "CONFIRMED", idText(record.BundledIn)
		if status.Confirmations >= finalConfirmations {
			status.Status = "FINALIZED"
		}
	}
	return writeJSON(w, http.StatusOK, status)
}

func (g *Gateway) getTxOffset(w http.ResponseWriter, r *http.Request, text string) error {
	record, err := g.find(r, text)
	if err != nil {
		return err
	}
	end, ok, err := g.weaveOffset(record.ID)
	if err != nil {
		return err
	}
	if !ok {
		return ao.Errorf(ao.CodeNotFound, "%s has no data of its own on the weave", record.ID)
	}
	return writeJSON(w, http.StatusOK, struct {
		Size   string `json:"size"`
		Offset string `json:"offset"`
	}{strconv.FormatUint(record.DataSize, 10), strconv.FormatUint(end, 10)})
}

func (g *Gateway) getChunk(w http.ResponseWriter, _ *http.Request, text string) error {
	offset, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return ao.Errorf(ao.CodeInvalid, "offset %q is not a decimal number", clip(text))
	}
	chunk, err := g.chunkAt(offset)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		Chunk    string `json:"chunk"`
		DataPath string `json:"data_path"`
		TxPath   string `json:"tx_path"`
		Packing  string `json:"packing"`
	}{Chunk: base64.RawURLEncoding.EncodeToString(chunk.data), DataPath: base64.RawURLEncoding.EncodeToString(chunk.proof), Packing: "unpacked"})
}
