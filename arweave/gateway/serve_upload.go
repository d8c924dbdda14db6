package gateway

import (
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
)

const (
	receiptVersion = "0.2.0"
	// deadlineBlocks is within how many blocks a receipt promises settlement.
	deadlineBlocks = 200
	itemMediaType  = "application/octet-stream"
)

// postTxOrItem tells by the media type whether a body is a data item or a
// transaction, as arweave.net and bundlers share this path.
func (g *Gateway) postTxOrItem(w http.ResponseWriter, r *http.Request) error {
	if mediaType(r) == itemMediaType {
		return g.postItem(w, r)
	}
	return g.postTx(w, r)
}

func mediaType(r *http.Request) string {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind
}

// postItem is the bundler's upload of one signed item.
func (g *Gateway) postItem(w http.ResponseWriter, r *http.Request) error {
	if kind := mediaType(r); kind != itemMediaType {
		return ao.Errorf(ao.CodeInvalid, "Content-Type must be %s, not %q", itemMediaType, clip(kind))
	}
	body, release, err := g.bodies.read(r, g.options.BodyBytesMax)
	if err != nil {
		return err
	}
	defer release()
	it, err := dataitem.Parse(body)
	if err != nil {
		return ao.Errorf(ao.CodeInvalid, "not a data item: %w", err)
	}
	stored, err := g.PutItem(r.Context(), it)
	if err != nil {
		return err
	}
	receipt, err := g.receipt(it.ID())
	if err != nil {
		return err
	}
	status := http.StatusOK
	if !stored {
		status = http.StatusAccepted
	}
	return writeJSON(w, status, receipt)
}

// receipt promises that an item is kept.
func (g *Gateway) receipt(id ao.ID) (arweave.Receipt, error) {
	receipt := arweave.Receipt{
		ID:             id,
		TimestampMS:    g.options.Now().UnixMilli(),
		Winc:           "0",
		Version:        receiptVersion,
		DeadlineHeight: g.chain.height() + deadlineBlocks,
	}
	signer := g.options.Signer
	if signer == nil {
		return receipt, nil
	}
	message := receipt.SigningMessage()
	signature, err := signer.Sign(message[:])
	if err != nil {
		return receipt, err
	}
	address := dataitem.AddressOf(signer.Owner()).String()
	receipt.DataCaches, receipt.FastFinalityIndexes = []string{address}, []string{address}
	receipt.Owner = address
	receipt.Public = base64.RawURLEncoding.EncodeToString(signer.Owner())
	receipt.Signature = base64.RawURLEncoding.EncodeToString(signature)
	return receipt, nil
}

// postTx takes a base-layer transaction in JSON.
func (g *Gateway) postTx(w http.ResponseWriter, r *http.Request) error {
	body, release, err := g.bodies.read(r, g.options.BodyBytesMax)
	if err != nil {
		return err
	}
	defer release()
	tx, err := arweave.ParseTx(body)
	if err != nil {
		return ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	stored, err := g.PutTx(r.Context(), tx)
	if err != nil {
		return err
	}
	if !stored {
		return writeText(w, http.StatusAlreadyReported, "Transaction already processed.")
	}
	return writeText(w, http.StatusOK, "OK")
}

// chunkBodyMax is a chunk with its longest proof in base64, with room for the
// other fields.
const chunkBodyMax = 1 << 20

func (g *Gateway) postChunk(w http.ResponseWriter, r *http.Request) error {
	body, release, err := g.bodies.read(r, chunkBodyMax)
	if err != nil {
		return err
	}
	defer release()
	u, err := parseUpload(body)
	if err != nil {
		return err
	}
	if err := g.putChunk(r.Context(), u); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct{}{})
}

// parseUpload reads a chunk's JSON. The texts of its errors are the codes that
// uploaders know.
func parseUpload(body []byte) (u upload, err error) {
	var wire arweave.ChunkUpload
	if err := json.Unmarshal(body, &wire); err != nil {
		return u, &ao.Error{Code: ao.CodeInvalid, Message: "invalid_json", Cause: err}
	}
	if u.size, err = strconv.ParseUint(wire.DataSize, 10, 63); err != nil {
		return u, ao.Errorf(ao.CodeInvalid, "data_size %.24q is not a decimal number", wire.DataSize)
	}
	if u.offset, err = strconv.ParseUint(wire.Offset, 10, 63); err != nil {
		return u, ao.Errorf(ao.CodeInvalid, "offset %.24q is not a decimal number", wire.Offset)
	}
	for _, field := range []struct {
		name, text string
		into       *[]byte
	}{{"data_root", wire.DataRoot, &u.root}, {"data_path", wire.DataPath, &u.proof}, {"chunk", wire.Chunk, &u.chunk}} {
		if *field.into, err = base64.RawURLEncoding.DecodeString(field.text); err != nil {
			return u, ao.Errorf(ao.CodeInvalid, "%s is not base64url: %w", field.name, err)
		}
	}
	if len(u.chunk) > arweave.ChunkBytesMax {
		return u, ao.Errorf(ao.CodeInvalid, "chunk_too_big")
	}
	return u, nil
}
