package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/raft"
)

// clock is a clock that tests move.
type clock struct{ at atomic.Int64 }

func newClock(at time.Time) *clock {
	c := &clock{}
	c.at.Store(at.UnixNano())
	return c
}

func (c *clock) now() time.Time           { return time.Unix(0, c.at.Load()) }
func (c *clock) forward(by time.Duration) { c.at.Add(int64(by)) }

// createCluster makes a cluster's directory.
func createCluster(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "certs")
	plan := ClusterPlan{Name: "test", Members: []Member{{ID: "n1", Address: "127.0.0.1:7001"}, {ID: "n2", Address: "127.0.0.1:7002"}, {ID: "n3", Address: "127.0.0.1:7003"}}}
	if err := CreateCluster(dir, plan, time.Now()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func createToken(t *testing.T, tokens Tokens, node string) JoinToken {
	t.Helper()
	token, err := tokens.Create(node, TokenDays*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func nothing(string) error { return nil }

func TestATokenIsGoodOnceAndForAWeek(t *testing.T) {
	c := newClock(time.Now())
	tokens := Tokens{createCluster(t), c.now}
	token, spare := createToken(t, tokens, "n2"), createToken(t, tokens, "n3")
	if node, err := tokens.Redeem(token.Secret, nothing); err != nil || node != "n2" {
		t.Fatalf("a new token gives %q, %v", node, err)
	}
	refused := func(what string, secret JoinSecret, says ...string) {
		t.Helper()
		_, err := tokens.Redeem(secret, nothing)
		for _, say := range says {
			if err == nil || !strings.Contains(err.Error(), say) {
				t.Errorf("%s: %v does not say %q", what, err, say)
			}
		}
	}
	refused("used", token.Secret, "was used on "+formatMinute(c.now()), "wallaby cluster token n2")
	refused("never made", JoinSecret{1}, ErrUnknownToken.Error())
	newer := createToken(t, tokens, "n3")
	refused("replaced", spare.Secret, "was replaced by a newer one")
	c.forward(TokenDays * 24 * time.Hour)
	refused("expired", newer.Secret, "expired on "+formatMinute(c.now()), "wallaby cluster token n3")
	if newest := createToken(t, tokens, "n3"); newest.Authority != token.Authority {
		t.Error("two tokens of a cluster name two authorities")
	} else if _, err := tokens.Redeem(newest.Secret, nothing); err != nil {
		t.Errorf("a token after one that expired: %v", err)
	}
	// Long after, it is forgotten, which leaves it as useless as before.
	c.forward(2 * tokensKept)
	createToken(t, tokens, "n1")
	refused("forgotten", token.Secret, ErrUnknownToken.Error())
}

func TestTokensAreStoredAsHashesAndPrivately(t *testing.T) {
	tokens := Tokens{createCluster(t), time.Now}
	token := createToken(t, tokens, "n2")
	path := filepath.Join(tokens.Dir, tokensFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.TrimPrefix(token.String(), joinPrefix)
	if strings.Contains(string(b), text) || strings.Contains(string(b), string(token.Secret[:])) {
		t.Errorf("the token is in the file: %s", b)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
}

func TestTokensAreOnlyForNodesThatAreThere(t *testing.T) {
	dir := createCluster(t)
	for _, id := range []string{"n9", "", "../n1", "n1/"} {
		if _, err := (Tokens{dir, time.Now}).Create(id, time.Hour); err == nil || !strings.Contains(err.Error(), "holds no node") {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := (Tokens{t.TempDir(), time.Now}).Create("n1", time.Hour); err == nil || !strings.Contains(err.Error(), raft.FileAuthorityKey) {
		t.Errorf("without an authority: %v", err)
	}
}

func TestATokenThatIsNotUsedUpStaysGood(t *testing.T) {
	tokens := Tokens{createCluster(t), time.Now}
	token := createToken(t, tokens, "n2")
	broken := errors.New("no wallet")
	if _, err := tokens.Redeem(token.Secret, func(string) error { return broken }); !errors.Is(err, broken) {
		t.Fatalf("redeemed: %v", err)
	}
	if _, err := tokens.Redeem(token.Secret, nothing); err != nil {
		t.Errorf("after an attempt that came to nothing: %v", err)
	}
}

// TestATokenThatCannotBeMarkedIsNotRedeemed takes the file away at the last
// moment, so that the mark cannot be written.
func TestATokenThatCannotBeMarkedIsNotRedeemed(t *testing.T) {
	tokens := Tokens{createCluster(t), time.Now}
	token := createToken(t, tokens, "n2")
	_, err := tokens.Redeem(token.Secret, func(string) error {
		path := filepath.Join(tokens.Dir, tokensFile)
		return errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "in the way"), 0o700))
	})
	if err == nil || !strings.Contains(err.Error(), "write the tokens") {
		t.Errorf("redeemed: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(tokens.Dir, ".new-*")); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

func TestManyAtOnceRedeemATokenOnce(t *testing.T) {
	tokens := Tokens{createCluster(t), time.Now}
	token := createToken(t, tokens, "n2")
	var (
		wait sync.WaitGroup
		good atomic.Int64
	)
	for range 8 {
		wait.Go(func() {
			if _, err := tokens.Redeem(token.Secret, nothing); err == nil {
				good.Add(1)
			}
		})
	}
	wait.Wait()
	if good.Load() != 1 {
		t.Errorf("it was redeemed %d times", good.Load())
	}
}

// TestDamagedTokensAreNamed flips every bit of the file in turn: no token comes
// to life by it, and nothing but the sum tells of some.
func TestDamagedTokensAreNamed(t *testing.T) {
	tokens := Tokens{createCluster(t), time.Now}
	used := createToken(t, tokens, "n2")
	if _, err := tokens.Redeem(used.Secret, nothing); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(tokens.Dir, tokensFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(whole) * 8 {
		b := append([]byte(nil), whole...)
		b[i/8] ^= 1 << (i % 8)
		table, err := decodeTokens(b)
		if err == nil && (len(table.Tokens) != 1 || table.Tokens[0].Used.IsZero()) {
			t.Fatalf("bit %d flipped: %+v", i, table)
		}
	}
	for name, b := range map[string][]byte{
		"cut off": whole[:len(whole)/2], "empty": nil, "zeros": make([]byte, len(whole)),
		"twice": append(append([]byte(nil), whole...), whole...), "another version": []byte(`{"version":2,"tokens":[],"sha256":""}`),
	} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, redeemed := tokens.Redeem(used.Secret, nothing)
		_, created := tokens.Create("n2", time.Hour)
		for _, err := range []error{tokens.Check(), redeemed, created} {
			if err == nil || !strings.Contains(err.Error(), path+" is damaged") || !strings.Contains(err.Error(), "wallaby cluster token NODE --ca "+tokens.Dir) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if again, err := os.ReadFile(path); err != nil || string(again) != string(b) {
			t.Errorf("%s: the damaged file was written to", name)
		}
	}
}

func TestJoinTokensAreReadAsWritten(t *testing.T) {
	token, err := newJoinToken(raft.Pin{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	text := token.String()
	if again, err := ParseJoinToken(" " + text + "\n"); err != nil || again != token {
		t.Errorf("%s is read as %+v, %v", text, again, err)
	}
	for i := range text {
		for _, slip := range []string{text[:i], text[:i] + text[i+1:], text[:i] + "_" + text[i+1:]} {
			if again, err := ParseJoinToken(slip); slip != text && !errors.Is(err, ErrNoToken) {
				t.Errorf("%s is read as %+v, %v", slip, again, err)
			}
		}
	}
}

// FuzzParseJoinToken: what is read as a token is the text of just that token.
func FuzzParseJoinToken(f *testing.F) {
	f.Add(JoinToken{}.String())
	f.Add(joinPrefix + "AAAA")
	f.Add(JoinToken{}.String()[:40] + "\n" + JoinToken{}.String()[40:])
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseJoinToken(text)
		if err == nil && token.String() != strings.TrimSpace(text) {
			t.Errorf("%q is read as %s", text, token)
		}
	})
}

// FuzzDecodeTokens: a file is read without a panic, and what was read is written
// and read the same again.
func FuzzDecodeTokens(f *testing.F) {
	b, err := encodeTokens(tokenTable{Tokens: []tokenRecord{{Hash: "ab", Node: "n1", Expires: time.Unix(1, 0).UTC()}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := decodeTokens(b)
		if err != nil {
			return
		}
		written, err := encodeTokens(table)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := decodeTokens(written); err != nil || again.Sum != table.Sum {
			t.Errorf("%s is written as %s: %v", b, written, err)
		}
	})
}
