package raft

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// lockedBuffer is a log that tests read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// secureTransport is a transport of node "n2" that nodes "n1" and "n0" may dial.
func secureTransport(t *testing.T, credentials *Credentials) (*Transport, string, *lockedBuffer) {
	t.Helper()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	logged := &lockedBuffer{}
	transport := NewTransport(TransportOptions{
		Self: "n2", Peers: []string{"n0", "n1", "n2"}, Listener: credentials.Listener(plain),
		Identify: credentials.Identify, Logger: zerolog.New(logged),
	})
	transport.start(stranger{})
	t.Cleanup(func() { transport.Close() })
	transport.Handle(CallFirst, func(_ context.Context, from string, body []byte) ([]byte, error) {
		return fmt.Appendf(nil, "%s said %s", from, body), nil
	})
	return transport, plain.Addr().String(), logged
}

func dialer(self string, credentials *Credentials, address string) *Transport {
	plain, _ := net.Listen("tcp", "127.0.0.1:0")
	d := NewTransport(TransportOptions{
		Self: self, Peers: []string{"n2"}, Listener: plain, Identify: credentials.Identify,
		Dial: func(ctx context.Context, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err != nil {
				return nil, err
			}
			return credentials.Client(conn), nil
		},
	})
	d.start(stranger{})
	return d
}

// stranger meets everybody for the first time.
type stranger struct{}

func (stranger) greeting(self string) greeting { return greeting{Node: self, Life: self} }
func (stranger) meet(greeting) error           { return nil }
func (stranger) welcomed(string) error         { return nil }

func issue(t *testing.T, a *Authority, node string, at time.Time) *Credentials {
	t.Helper()
	dir := t.TempDir()
	if err := a.Issue(dir, node, at); err != nil {
		t.Fatal(err)
	}
	c, err := LoadCredentials(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func authority(t *testing.T) *Authority {
	t.Helper()
	dir := t.TempDir()
	if _, err := CreateAuthority(dir, "test", time.Now()); err != nil {
		t.Fatal(err)
	}
	a, err := LoadAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// connects reports whether a node with these credentials gets to speak.
func connects(t *testing.T, self string, credentials *Credentials, address string) bool {
	t.Helper()
	d := dialer(self, credentials, address)
	defer d.Close()
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		answer, err := d.Call(t.Context(), "n2", CallFirst, []byte("hello"))
		if err == nil {
			return string(answer) == self+" said hello"
		}
	}
	return false
}

// awaitText waits for a line: a refusal is logged after the connection is closed.
func awaitText(t *testing.T, logged fmt.Stringer, text string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(logged.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not say %q: %s", text, logged)
		}
	}
}

func TestOnlyMembersConnect(t *testing.T) {
	ours, theirs := authority(t), authority(t)
	_, address, logged := secureTransport(t, issue(t, ours, "n2", time.Now()))
	if !connects(t, "n1", issue(t, ours, "n1", time.Now()), address) {
		t.Fatalf("a member cannot connect: %s", logged)
	}
	for name, test := range map[string]struct {
		self        string
		credentials *Credentials
		reason      string
	}{
		"another authority": {"n1", issue(t, theirs, "n1", time.Now()), "certificate"},
		"expired":           {"n1", issue(t, ours, "n1", time.Now().AddDate(-NodeYears, 0, -2)), "expired"},
		"another's name":    {"n0", issue(t, ours, "n1", time.Now()), "says that it is"},
		"no member":         {"m1", issue(t, ours, "m1", time.Now()), "no other member"},
	} {
		t.Run(name, func(t *testing.T) {
			if connects(t, test.self, test.credentials, address) {
				t.Error("connected")
			}
			awaitText(t, logged, test.reason)
		})
	}
	t.Run("plaintext", func(t *testing.T) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write(appendFrame(nil, frame{kind: kindHello, body: []byte(`{"node":"n1"}`)}))
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		b := make([]byte, 1024)
		n, _ := conn.Read(b)
		if strings.Contains(string(b[:n]), "n2") {
			t.Errorf("a plaintext peer got %q", b[:n])
		}
		awaitText(t, logged, "first record does not look like a TLS handshake")
	})
	t.Run("TLS 1.2", func(t *testing.T) {
		config := issue(t, ours, "n1", time.Now()).config(0)
		config.MinVersion, config.MaxVersion = 0, tls.VersionTLS12
		conn, err := tls.Dial("tcp", address, config)
		if err == nil {
			conn.Close()
			t.Error("connected")
		}
	})
}

func TestCredentialsAreReplacedWithoutRestart(t *testing.T) {
	a := authority(t)
	dir := filepath.Join(t.TempDir(), "n1")
	if err := a.Issue(dir, "n1", time.Now()); err != nil {
		t.Fatal(err)
	}
	c, err := LoadCredentials(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := c.current()
	if err := a.Issue(dir, "n1", time.Now()); err != nil {
		t.Fatal(err)
	}
	after, _ := c.current()
	if before.Leaf.SerialNumber.Cmp(after.Leaf.SerialNumber) == 0 {
		t.Error("the old certificate is still in use")
	}
	_, address, logged := secureTransport(t, issue(t, a, "n2", time.Now()))
	if !connects(t, "n1", c, address) {
		t.Errorf("the new certificate is refused: %s", logged)
	}
}

// TestDamagedCredentialsAreNamed flips a bit in each byte of a node's files.
func TestDamagedCredentialsAreNamed(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	authority, err := CreateAuthority(dir, "test", now)
	if err != nil {
		t.Fatal(err)
	}
	if err := authority.Issue(dir, "n1", now); err != nil {
		t.Fatal(err)
	}
	load := func() ([]byte, error) {
		c, err := LoadCredentials(dir, time.Now)
		if err != nil {
			return nil, err
		}
		pair, _ := c.current()
		return pair.Leaf.Raw, nil
	}
	want, err := load()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{FileNode, FileNodeKey, FileAuthority} {
		path := filepath.Join(dir, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		refused := 0
		for at := range whole {
			damaged := bytes.Clone(whole)
			damaged[at] ^= 1 << (at % 8)
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := load()
			switch {
			case err == nil && !bytes.Equal(got, want):
				t.Errorf("byte %d of %s: another certificate is used", at, name)
			case err != nil && !strings.Contains(err.Error(), path):
				t.Errorf("byte %d of %s: %v", at, name, err)
			case err != nil:
				refused++
			}
		}
		if refused < len(whole)/2 {
			t.Errorf("%s: only %d of %d flipped bits are refused", name, refused, len(whole))
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
