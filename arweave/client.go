package arweave

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Client talks to a gateway, a node or a bundler. It never retries: the caller
// knows whether a request is worth it.
type Client struct {
	// BaseURL is where the paths of the interface start, with or without a
	// slash at the end.
	BaseURL string
	// HTTP sends the requests.
	HTTP *http.Client
	// AnswerBytesMax bounds one answer; default 1 GiB.
	AnswerBytesMax int64
}

const answerBytesMaxDefault = 1 << 30

// PostItem uploads a signed item to a bundler. There is no receipt when the
// bundler had the item already, which is a success.
func (c *Client) PostItem(ctx context.Context, it *dataitem.Item) (*Receipt, error) {
	status, body, err := c.send(ctx, http.MethodPost, "tx/arweave", "application/octet-stream", it.Bytes())
	if err != nil {
		return nil, fmt.Errorf("upload item %s: %w", it.ID(), err)
	}
	if status == http.StatusAccepted || status == http.StatusAlreadyReported {
		return nil, nil
	}
	receipt := new(Receipt)
	if err := json.Unmarshal(body, receipt); err != nil {
		return nil, fmt.Errorf("upload item %s: the receipt is not JSON: %w", it.ID(), err)
	}
	if receipt.ID != it.ID() {
		return nil, fmt.Errorf("upload item %s: the receipt is for %s", it.ID(), receipt.ID)
	}
	return receipt, nil
}

// PostTx sends a transaction, with its data if it has any. A transaction that
// is there already is a success.
func (c *Client) PostTx(ctx context.Context, tx *Tx) error {
	body, err := json.Marshal(tx)
	if err != nil {
		return fmt.Errorf("send transaction %s: %w", tx.ID, err)
	}
	if _, _, err := c.send(ctx, http.MethodPost, "tx", "application/json", body); err != nil {
		return fmt.Errorf("send transaction %s: %w", tx.ID, err)
	}
	return nil
}

// Upload sends a signed transaction and its data, in chunks when there is more
// than one.
func (c *Client) Upload(ctx context.Context, tx *Tx) error {
	if len(tx.Data) <= ChunkBytesMax {
		return c.PostTx(ctx, tx)
	}
	bare := *tx
	bare.Data = nil
	if err := c.PostTx(ctx, &bare); err != nil {
		return err
	}
	for _, chunk := range NewTree(tx.Data).Chunks {
		if err := c.PostChunk(ctx, tx, chunk); err != nil {
			return err
		}
	}
	return nil
}

// PostChunk sends one chunk of a transaction's data.
func (c *Client) PostChunk(ctx context.Context, tx *Tx, chunk Chunk) error {
	body, err := json.Marshal(ChunkUpload{
		DataRoot: encode(tx.DataRoot), DataSize: strconv.FormatUint(tx.DataSize, 10), DataPath: encode(chunk.Proof),
		Offset: strconv.FormatUint(chunk.End-1, 10), Chunk: encode(tx.Data[chunk.Start:chunk.End]),
	})
	if err == nil {
		_, _, err = c.send(ctx, http.MethodPost, "chunk", "application/json", body)
	}
	if err != nil {
		return fmt.Errorf("send chunk %d-%d of %s: %w", chunk.Start, chunk.End, tx.ID, err)
	}
	return nil
}

// GraphQL runs a query and decodes its data into the value that into points to.
func (c *Client) GraphQL(ctx context.Context, query string, variables map[string]any, into any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return fmt.Errorf("GraphQL: %w", err)
	}
	_, answer, err := c.send(ctx, http.MethodPost, "graphql", "application/json", body)
	if err != nil {
		return fmt.Errorf("GraphQL: %w", err)
	}
	var response struct {
		Data   json.RawMessage `json:"data"`
		Errors []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(answer, &response); err != nil {
		return fmt.Errorf("GraphQL: the answer is not JSON: %w", err)
	}
	if len(response.Errors) > 0 {
		return fmt.Errorf("GraphQL: %s", response.Errors[0].Message)
	}
	if err := json.Unmarshal(response.Data, into); err != nil {
		return fmt.Errorf("GraphQL: %w", err)
	}
	return nil
}

// Data gives the data of an item or a transaction.
func (c *Client) Data(ctx context.Context, id dataitem.ID) ([]byte, error) {
	_, body, err := c.send(ctx, http.MethodGet, "raw/"+id.String(), "", nil)
	if err != nil {
		return nil, fmt.Errorf("data of %s: %w", id, err)
	}
	return body, nil
}

// Tx gives a transaction without its data.
func (c *Client) Tx(ctx context.Context, id dataitem.ID) (*Tx, error) {
	_, body, err := c.send(ctx, http.MethodGet, "tx/"+id.String(), "", nil)
	if err != nil {
		return nil, fmt.Errorf("transaction %s: %w", id, err)
	}
	return ParseTx(body)
}

// TxStatus says in which block a transaction is.
type TxStatus struct {
	Height        uint64 `json:"block_height"`
	Block         string `json:"block_indep_hash"`
	Confirmations uint64 `json:"number_of_confirmations"`
}

// Status gives a transaction's block, or nil while it is pending.
func (c *Client) Status(ctx context.Context, id dataitem.ID) (*TxStatus, error) {
	code, body, err := c.send(ctx, http.MethodGet, "tx/"+id.String()+"/status", "", nil)
	if err != nil {
		return nil, fmt.Errorf("status of %s: %w", id, err)
	}
	if code == http.StatusAccepted {
		return nil, nil
	}
	status := new(TxStatus)
	if err := json.Unmarshal(body, status); err != nil {
		return nil, fmt.Errorf("status of %s: %w", id, err)
	}
	return status, nil
}

// Info describes the network.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var info Info
	_, body, err := c.send(ctx, http.MethodGet, "info", "", nil)
	if err == nil {
		err = json.Unmarshal(body, &info)
	}
	if err != nil {
		return info, fmt.Errorf("network info: %w", err)
	}
	return info, nil
}

// Anchor gives a recent block for a new transaction's LastTx.
func (c *Client) Anchor(ctx context.Context) ([]byte, error) {
	_, body, err := c.send(ctx, http.MethodGet, "tx_anchor", "", nil)
	if err != nil {
		return nil, fmt.Errorf("anchor: %w", err)
	}
	return decode(strings.TrimSpace(string(body)))
}

// Price is what storing some bytes costs, in winston.
func (c *Client) Price(ctx context.Context, size uint64) (string, error) {
	_, body, err := c.send(ctx, http.MethodGet, "price/"+strconv.FormatUint(size, 10), "", nil)
	if price := strings.TrimSpace(string(body)); err == nil && isAmount(price) {
		return price, nil
	}
	if err == nil {
		err = errors.New("the answer is not a number")
	}
	return "", fmt.Errorf("price of %d bytes: %w", size, err)
}

// send gives the answer of a request that succeeded. A refusal becomes an
// *ao.Error with what the other side said.
func (c *Client) send(ctx context.Context, method, path, mediaType string, body []byte) (status int, answer []byte, err error) {
	target, err := url.JoinPath(c.BaseURL, path)
	if err != nil {
		return 0, nil, fmt.Errorf("base URL %q: %w", c.BaseURL, err)
	}
	request, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if mediaType != "" {
		request.Header.Set("Content-Type", mediaType)
		request.Header.Set("Accept", "application/json")
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	limit := c.AnswerBytesMax
	if limit <= 0 {
		limit = answerBytesMaxDefault
	}
	answer, err = io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err == nil && int64(len(answer)) > limit {
		err = fmt.Errorf("the answer is larger than %d bytes", limit)
	}
	if err == nil && response.StatusCode >= 300 {
		err = refusal(response.StatusCode, answer)
	}
	return response.StatusCode, answer, err
}

func refusal(status int, answer []byte) error {
	code := ao.CodeInvalid
	switch {
	case status == http.StatusNotFound:
		code = ao.CodeNotFound
	case status == http.StatusRequestEntityTooLarge:
		code = ao.CodeTooLarge
	case status == http.StatusTooManyRequests:
		code = ao.CodeRateLimited
	case status >= 500, status == http.StatusPaymentRequired, status == http.StatusRequestTimeout:
		// It may be taken later, also when somebody has paid.
		code = ao.CodeUnavailable
	}
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(answer, &said) != nil || said.Error == "" {
		said.Error = strings.TrimSpace(string(answer[:min(len(answer), 200)]))
	}
	return ao.Errorf(code, "%d: %s", status, said.Error)
}
