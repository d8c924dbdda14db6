package arweave

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/wallaby-ao/wallaby/dataitem"
)

// txJSON is the form on the wire. It is a struct and not a map because Arweave
// nodes drop tags whose value stands before the name.
type txJSON struct {
	Format       json.RawMessage `json:"format"`
	ID           string          `json:"id"`
	LastTx       string          `json:"last_tx"`
	Owner        string          `json:"owner"`
	Tags         []tagJSON       `json:"tags"`
	Target       string          `json:"target"`
	Quantity     string          `json:"quantity"`
	Data         string          `json:"data"`
	DataSize     string          `json:"data_size"`
	DataRoot     string          `json:"data_root"`
	Reward       string          `json:"reward"`
	Denomination string          `json:"denomination,omitempty"`
	Signature    string          `json:"signature"`
}

type tagJSON struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// ParseTx reads a transaction's JSON. It checks the form only: call Verify.
func ParseTx(b []byte) (*Tx, error) {
	t := new(Tx)
	if err := t.UnmarshalJSON(b); err != nil {
		return nil, err
	}
	return t, nil
}

// MarshalJSON writes the form that nodes read.
func (t *Tx) MarshalJSON() ([]byte, error) {
	wire := txJSON{
		Format: json.RawMessage(strconv.Itoa(txFormat)), ID: t.ID.String(), LastTx: encode(t.LastTx), Owner: encode(t.Owner),
		Tags: make([]tagJSON, len(t.Tags)), Target: encode(t.Target), Quantity: amount(t.Quantity), Data: encode(t.Data),
		DataSize: strconv.FormatUint(t.DataSize, 10), DataRoot: encode(t.DataRoot), Reward: amount(t.Reward),
		Denomination: t.Denomination, Signature: encode(t.Signature),
	}
	for i, tag := range t.Tags {
		wire.Tags[i] = tagJSON{encode([]byte(tag.Name)), encode([]byte(tag.Value))}
	}
	return json.Marshal(wire)
}

// UnmarshalJSON reads the form on the wire, strictly: each byte string has one
// text.
func (t *Tx) UnmarshalJSON(b []byte) error {
	var wire txJSON
	if err := json.Unmarshal(b, &wire); err != nil {
		return fmt.Errorf("%w: not a transaction in JSON: %w", ErrTx, err)
	}
	if format := string(bytes.Trim(wire.Format, `"`)); format != strconv.Itoa(txFormat) {
		return fmt.Errorf("%w: format %.16q is not supported, only format %d is", ErrTx, format, txFormat)
	}
	size, err := strconv.ParseUint(amount(wire.DataSize), 10, 63)
	if err != nil || strconv.FormatUint(size, 10) != amount(wire.DataSize) {
		return fmt.Errorf("%w: data_size %.24q is not a decimal number", ErrTx, wire.DataSize)
	}
	read := Tx{Quantity: wire.Quantity, Reward: wire.Reward, Denomination: wire.Denomination, DataSize: size}
	for _, field := range []struct {
		name, text string
		into       *[]byte
	}{
		{"last_tx", wire.LastTx, &read.LastTx},
		{"owner", wire.Owner, &read.Owner},
		{"target", wire.Target, &read.Target},
		{"data", wire.Data, &read.Data},
		{"data_root", wire.DataRoot, &read.DataRoot},
		{"signature", wire.Signature, &read.Signature},
	} {
		if *field.into, err = decode(field.text); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrTx, field.name, err)
		}
	}
	if read.ID, err = dataitem.ParseID(wire.ID); err != nil {
		return fmt.Errorf("%w: %w", ErrTx, err)
	}
	if read.Tags, err = decodeTags(wire.Tags); err != nil {
		return err
	}
	*t = read
	return nil
}

func decodeTags(wire []tagJSON) (dataitem.Tags, error) {
	if len(wire) > TxTagsMax {
		return nil, fmt.Errorf("%w: %d tags, at most %d are allowed", ErrTx, len(wire), TxTagsMax)
	}
	tags := make(dataitem.Tags, len(wire))
	for i, tag := range wire {
		name, err := decode(tag.Name)
		if err != nil {
			return nil, fmt.Errorf("%w: name of tag %d: %w", ErrTx, i, err)
		}
		value, err := decode(tag.Value)
		if err != nil {
			return nil, fmt.Errorf("%w: value of tag %d: %w", ErrTx, i, err)
		}
		tags[i] = dataitem.Tag{Name: string(name), Value: string(value)}
	}
	return tags, nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decode(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}
