package node

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wallaby-ao/wallaby/internal/fsx"
	"github.com/wallaby-ao/wallaby/raft"
)

// Tokens are the join tokens of a cluster, kept beside its authority. Programs
// that use them at the same time take turns.
type Tokens struct {
	// Dir is what CreateCluster made.
	Dir string
	// Now is the clock that tokens expire by.
	Now func() time.Time
}

// TokenDays is how long a join token is good, unless said otherwise.
const TokenDays = 7

// tokensKept is how long it is remembered what became of a token that expired, so
// that who comes with it can be told.
const tokensKept = 30 * 24 * time.Hour

const (
	tokensFile    = "tokens.json"
	tokensLock    = "tokens.lock"
	tokensVersion = 1
)

// ErrUnknownToken is returned for a token that was never made, or so long ago
// that it is forgotten.
var ErrUnknownToken = errors.New("this token is unknown here: is it for another cluster?")

// tokenTable is the content of the file.
type tokenTable struct {
	Version int           `json:"version"`
	Tokens  []tokenRecord `json:"tokens"`
	// Sum is over the tokens: a flipped bit must not make a used one good again.
	Sum string `json:"sha256"`
}

// tokenRecord is what is kept of a token; the token itself is not.
type tokenRecord struct {
	Hash     string    `json:"token_sha256"`
	Node     string    `json:"node"`
	Expires  time.Time `json:"expires"`
	Used     time.Time `json:"used,omitzero"`
	Replaced time.Time `json:"replaced,omitzero"` // by a newer one
}

// Create makes a token for a node. A token of that node that is still unused
// stops being good.
func (t Tokens) Create(node string, good time.Duration) (JoinToken, error) {
	authority, err := raft.LoadAuthority(t.Dir)
	if err != nil {
		return JoinToken{}, fmt.Errorf("%w: tokens are made where the cluster's %s is, in the directory that cluster init made", err, raft.FileAuthorityKey)
	}
	if _, err := os.Stat(NodeFile(t.Dir, node)); !isNodeID(node) || err != nil {
		return JoinToken{}, fmt.Errorf("%s holds no node %q: cluster init and cluster add make nodes", t.Dir, node)
	}
	token, err := newJoinToken(authority.Pin())
	if err != nil {
		return JoinToken{}, err
	}
	hash := token.Secret.hash()
	return token, t.change(func(table *tokenTable) error {
		now := t.Now().UTC()
		for i, record := range table.Tokens {
			if record.Node == node && record.Used.IsZero() && record.Replaced.IsZero() {
				table.Tokens[i].Replaced = now
			}
		}
		table.Tokens = slices.DeleteFunc(table.Tokens, func(r tokenRecord) bool { return now.After(r.Expires.Add(tokensKept)) })
		table.Tokens = append(table.Tokens, tokenRecord{Hash: hex.EncodeToString(hash[:]), Node: node, Expires: now.Add(good)})
		return nil
	})
}

// Redeem uses a token up, durably, and gives its node. Before that it calls
// prepare; if that fails, the token stays good.
func (t Tokens) Redeem(secret JoinSecret, prepare func(node string) error) (node string, err error) {
	sum := secret.hash()
	hash := hex.EncodeToString(sum[:])
	err = t.change(func(table *tokenTable) error {
		i := slices.IndexFunc(table.Tokens, func(r tokenRecord) bool { return r.Hash == hash })
		if i < 0 {
			return ErrUnknownToken
		}
		record, now := &table.Tokens[i], t.Now().UTC()
		node = record.Node
		if err := record.check(now); err != nil {
			return err
		}
		if err := prepare(node); err != nil {
			return err
		}
		record.Used = now
		return nil
	})
	return node, err
}

// check says whether a token is still good.
func (r *tokenRecord) check(now time.Time) error {
	another := fmt.Sprintf("make another where the cluster's %s is: wallaby cluster token %s", raft.FileAuthorityKey, r.Node)
	switch {
	case !r.Used.IsZero():
		return fmt.Errorf("this token was used on %s: %s", formatMinute(r.Used), another)
	case !r.Replaced.IsZero():
		return fmt.Errorf("this token was replaced by a newer one on %s: use that, or %s", formatMinute(r.Replaced), another)
	case !now.Before(r.Expires):
		return fmt.Errorf("this token expired on %s: %s", formatMinute(r.Expires), another)
	}
	return nil
}

func formatMinute(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }

// Check makes sure that the file can be read.
func (t Tokens) Check() error {
	_, err := t.read()
	return err
}

// change reads the file, changes it and makes it durable, while no other program
// does.
func (t Tokens) change(fn func(*tokenTable) error) error {
	lock, err := os.OpenFile(filepath.Join(t.Dir, tokensLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("lock the tokens: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock the tokens in %s: %w", t.Dir, err)
	}
	table, err := t.read()
	if err != nil {
		return err
	}
	if err := fn(&table); err != nil {
		return err
	}
	b, err := encodeTokens(table)
	if err != nil {
		return fmt.Errorf("encode the tokens: %w", err)
	}
	if err := fsx.ReplaceDurably(filepath.Join(t.Dir, tokensFile), 0o600, b); err != nil {
		return fmt.Errorf("write the tokens: %w", err)
	}
	return nil
}

// read gives an empty table when there is no file yet.
func (t Tokens) read() (tokenTable, error) {
	path := filepath.Join(t.Dir, tokensFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return tokenTable{}, nil
	}
	if err != nil {
		return tokenTable{}, fmt.Errorf("read the tokens: %w", err)
	}
	table, err := decodeTokens(b)
	if err != nil {
		return tokenTable{}, fmt.Errorf("%s is damaged (%w): move it away, which ends all tokens, and make new ones with wallaby cluster token NODE --ca %s", path, err, t.Dir)
	}
	return table, nil
}

func encodeTokens(table tokenTable) (b []byte, err error) {
	table.Version = tokensVersion
	if table.Sum, err = sumTokens(table.Tokens); err != nil {
		return nil, err
	}
	if b, err = json.MarshalIndent(table, "", "  "); err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}

func decodeTokens(b []byte) (table tokenTable, err error) {
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&table); err != nil {
		return tokenTable{}, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return tokenTable{}, errors.New("something follows the tokens")
	}
	if table.Version != tokensVersion {
		return tokenTable{}, fmt.Errorf("version %d, and this program knows %d", table.Version, tokensVersion)
	}
	sum, err := sumTokens(table.Tokens)
	if err != nil {
		return tokenTable{}, err
	}
	if !strings.EqualFold(sum, table.Sum) {
		return tokenTable{}, errors.New("its checksum is wrong")
	}
	return table, nil
}

func sumTokens(tokens []tokenRecord) (string, error) {
	b, err := json.Marshal(tokens)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), err
}
