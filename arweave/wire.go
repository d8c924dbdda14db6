package arweave

import (
	"strconv"

	"github.com/wallaby-ao/wallaby/dataitem"
)

// Receipt is a bundler's answer to an upload: its signed promise to keep the
// item. An unsigned receipt comes from a gateway without a wallet.
type Receipt struct {
	ID                  dataitem.ID `json:"id"`
	TimestampMS         int64       `json:"timestamp"`
	Winc                string      `json:"winc"`
	Version             string      `json:"version"`
	DeadlineHeight      uint64      `json:"deadlineHeight"`
	DataCaches          []string    `json:"dataCaches"`
	FastFinalityIndexes []string    `json:"fastFinalityIndexes"`
	Public              string      `json:"public,omitempty"`
	Signature           string      `json:"signature,omitempty"`
	Owner               string      `json:"owner,omitempty"`
}

// SigningMessage is what the bundler signs.
func (r Receipt) SigningMessage() [48]byte {
	return dataitem.DeepHashList(
		dataitem.DeepHashBlob([]byte("Bundlr")),
		dataitem.DeepHashBlob([]byte(r.Version)),
		dataitem.DeepHashBlob([]byte(r.ID.String())),
		dataitem.DeepHashBlob(strconv.AppendUint(nil, r.DeadlineHeight, 10)),
		dataitem.DeepHashBlob(strconv.AppendInt(nil, r.TimestampMS, 10)),
	)
}

// Info is how a node describes itself.
type Info struct {
	Network          string `json:"network"`
	Version          int    `json:"version"`
	Release          int    `json:"release"`
	Height           uint64 `json:"height"`
	Current          string `json:"current"`
	Blocks           uint64 `json:"blocks"`
	Peers            int    `json:"peers"`
	QueueLength      int    `json:"queue_length"`
	NodeStateLatency int    `json:"node_state_latency"`
	// Timestamp of the current block in seconds; this gateway's own addition.
	Timestamp int64 `json:"timestamp,omitempty"`
}

// ChunkUpload is the body of POST /chunk; numbers are decimal text and bytes
// are base64url.
type ChunkUpload struct {
	DataRoot string `json:"data_root"`
	DataSize string `json:"data_size"`
	DataPath string `json:"data_path"`
	Offset   string `json:"offset"`
	Chunk    string `json:"chunk"`
}
