package arweave

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/dataitem"
)

// Tx is a base-layer transaction of format 2. Data may be absent while
// DataSize and DataRoot are set: it then travels in chunks.
type Tx struct {
	ID           dataitem.ID
	LastTx       []byte // the anchor: a block or the wallet's last transaction
	Owner        []byte // RSA modulus, 512 bytes
	Tags         dataitem.Tags
	Target       []byte // nil or a 32-byte address
	Quantity     string // winston, decimal
	Reward       string // winston, decimal
	Denomination string // "" or decimal; signed only when above zero
	DataSize     uint64
	DataRoot     []byte // nil when there is no data, else 32 bytes
	Data         []byte
	Signature    []byte
}

// Limits of a transaction's fields, as Arweave nodes enforce them.
const (
	TxTagsMax       = 2048
	TxTagBytesMax   = 2048 // names and values of all tags together
	TxAnchorMax     = 48
	txOwnerBytes    = 512
	txFormat        = 2
	amountDigitsMax = 32
)

var (
	// ErrTx is returned for a transaction whose fields break a rule.
	ErrTx = errors.New("transaction is invalid")
	// ErrTxData is returned when data does not belong to its data_root.
	ErrTxData = errors.New("data does not match the transaction")
)

// Address is the owner's address.
func (t *Tx) Address() dataitem.ID { return dataitem.AddressOf(t.Owner) }

// TargetID gives the recipient, or the zero id when there is none.
func (t *Tx) TargetID() dataitem.ID {
	var id dataitem.ID
	copy(id[:], t.Target)
	return id
}

// IsBundle reports whether the tags say that the data is an ANS-104 bundle.
func (t *Tx) IsBundle() bool {
	return t.Tags.Contains("Bundle-Format", "binary") && t.Tags.Contains("Bundle-Version", "2.0.0")
}

// SigningMessage is what the owner signs: the deep hash of nine values, where
// tags are a list of pairs and numbers are decimal text.
func (t *Tx) SigningMessage() [48]byte {
	tags := make([][48]byte, len(t.Tags))
	for i, tag := range t.Tags {
		tags[i] = dataitem.DeepHashList(
			dataitem.DeepHashBlob([]byte(tag.Name)),
			dataitem.DeepHashBlob([]byte(tag.Value)),
		)
	}
	parts := [][48]byte{
		dataitem.DeepHashBlob([]byte(strconv.Itoa(txFormat))),
		dataitem.DeepHashBlob(t.Owner),
		dataitem.DeepHashBlob(t.Target),
		dataitem.DeepHashBlob([]byte(amount(t.Quantity))),
		dataitem.DeepHashBlob([]byte(amount(t.Reward))),
		dataitem.DeepHashBlob(t.LastTx),
		dataitem.DeepHashList(tags...),
		dataitem.DeepHashBlob(strconv.AppendUint(nil, t.DataSize, 10)),
		dataitem.DeepHashBlob(t.DataRoot),
	}
	if amount(t.Denomination) != "0" {
		parts = append([][48]byte{dataitem.DeepHashBlob([]byte(t.Denomination))}, parts...)
	}
	return dataitem.DeepHashList(parts...)
}

// SetData fills in the data with its size and root.
func (t *Tx) SetData(data []byte) {
	t.Data, t.DataSize, t.DataRoot = data, uint64(len(data)), nil
	if len(data) > 0 {
		t.DataRoot = NewTree(data).Root[:]
	}
}

// Sign fills in the owner, the signature and the id. Only RSA wallets can own
// a transaction of this format.
func (t *Tx) Sign(s dataitem.Signer) error {
	if s.SignatureType() != dataitem.Arweave {
		return fmt.Errorf("%w: it must be signed by an Arweave (RSA) wallet, not %s", ErrTx, s.SignatureType())
	}
	t.Owner = s.Owner()
	if err := t.checkFields(); err != nil {
		return err
	}
	message := t.SigningMessage()
	signature, err := s.Sign(message[:])
	if err != nil {
		return fmt.Errorf("sign transaction: %w", err)
	}
	t.Signature, t.ID = signature, sha256.Sum256(signature)
	return nil
}

// Verify checks the fields, the id, the signature and, when the data is there,
// that size and root are the data's. Signers do not sign the data itself, so a
// reader that skipped the root would take anything for it.
func (t *Tx) Verify() error {
	if err := t.checkFields(); err != nil {
		return err
	}
	if dataitem.ID(sha256.Sum256(t.Signature)) != t.ID {
		return fmt.Errorf("%w: the id is not the hash of the signature", ErrTx)
	}
	message := t.SigningMessage()
	if err := dataitem.VerifyPSS(t.Owner, message[:], t.Signature); err != nil {
		return err
	}
	if len(t.Data) == 0 {
		return nil
	}
	return t.CheckData(t.Data)
}

// CheckData says whether data is what the transaction's size and root promise.
func (t *Tx) CheckData(data []byte) error {
	if uint64(len(data)) != t.DataSize {
		return fmt.Errorf("%w: data_size is %d, the data has %d bytes", ErrTxData, t.DataSize, len(data))
	}
	if tree := NewTree(data); string(tree.Root[:]) != string(t.DataRoot) {
		return fmt.Errorf("%w: data_root is %s, the data's root is %s", ErrTxData,
			base64.RawURLEncoding.EncodeToString(t.DataRoot), base64.RawURLEncoding.EncodeToString(tree.Root[:]))
	}
	return nil
}

func (t *Tx) checkFields() error {
	switch {
	case len(t.Owner) != txOwnerBytes:
		return fmt.Errorf("%w: the owner has %d bytes, an RSA key has %d", ErrTx, len(t.Owner), txOwnerBytes)
	case len(t.Target) != 0 && len(t.Target) != 32:
		return fmt.Errorf("%w: the target has %d bytes, an address has 32", ErrTx, len(t.Target))
	case len(t.Target) == 32 && t.TargetID() == t.Address():
		return fmt.Errorf("%w: the target is its own owner", ErrTx)
	case len(t.Target) == 0 && amount(t.Quantity) != "0":
		return fmt.Errorf("%w: quantity %s needs a target", ErrTx, t.Quantity)
	case len(t.LastTx) > TxAnchorMax:
		return fmt.Errorf("%w: last_tx has %d bytes, at most %d are allowed", ErrTx, len(t.LastTx), TxAnchorMax)
	case (t.DataSize == 0) != (len(t.DataRoot) == 0):
		return fmt.Errorf("%w: data_size and data_root must both be there or both be absent", ErrTx)
	case len(t.DataRoot) != 0 && len(t.DataRoot) != 32:
		return fmt.Errorf("%w: data_root has %d bytes, not 32", ErrTx, len(t.DataRoot))
	case len(t.Tags) > TxTagsMax:
		return fmt.Errorf("%w: %d tags, at most %d are allowed", ErrTx, len(t.Tags), TxTagsMax)
	}
	for what, value := range map[string]string{"quantity": t.Quantity, "reward": t.Reward, "denomination": t.Denomination} {
		if !isAmount(amount(value)) {
			return fmt.Errorf("%w: %s is not a decimal number without sign or leading zeros", ErrTx, what)
		}
	}
	size := 0
	for _, tag := range t.Tags {
		size += len(tag.Name) + len(tag.Value)
	}
	if size > TxTagBytesMax {
		return fmt.Errorf("%w: tags of %d bytes, at most %d are allowed", ErrTx, size, TxTagBytesMax)
	}
	return nil
}

// amount reads an absent number as zero, as every Arweave library does.
func amount(s string) string {
	if s == "" {
		return "0"
	}
	return s
}

// isAmount reports whether s is the one decimal text of a number, so that a
// signature covers one text only.
func isAmount(s string) bool {
	if s == "" || len(s) > amountDigitsMax || (len(s) > 1 && s[0] == '0') {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}
