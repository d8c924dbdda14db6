package node

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/raft"
)

// handingOut is a hand-out at work, and what it says.
type handingOut struct {
	t       *testing.T
	address string
	end     func() error

	mu   sync.Mutex
	said []string
}

// startHandOut serves until the test ends, or end is called.
func startHandOut(t *testing.T, dir string, now func() time.Time, wrap func(net.Listener) net.Listener) *handingOut {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &handingOut{t: t, address: listener.Addr().String()}
	if wrap != nil {
		listener = wrap(listener)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- HandOut{Dir: dir, Listener: listener, Now: now, Say: func(text string) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.said = append(h.said, text)
		}}.Serve(ctx)
	}()
	h.end = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := h.end(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *handingOut) says() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.said, "\n")
}

func (h *handingOut) join(token JoinToken, dir string) (string, error) {
	return Join{Token: token, From: h.address, Dir: dir, Now: time.Now}.Run(h.t.Context())
}

// ask sends a request as it stands, as a client of somebody else's would.
func (h *handingOut) ask(pin raft.Pin, request joinRequest) (answer joinAnswer, err error) {
	conn, err := tls.Dial("tcp", h.address, pin.Config(time.Now))
	if err != nil {
		return answer, err
	}
	defer conn.Close()
	if err := json.NewEncoder(conn).Encode(request); err != nil {
		return answer, err
	}
	return answer, json.NewDecoder(conn).Decode(&answer)
}

func readFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		files[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestATokenGivesWhatInitMade compares the directory that a token gives with the
// one that is copied: only key and certificate differ.
func TestATokenGivesWhatInitMade(t *testing.T) {
	dir := createCluster(t)
	h := startHandOut(t, dir, time.Now, nil)
	out := filepath.Join(t.TempDir(), "there", "n2")
	file, err := h.join(createToken(t, Tokens{dir, time.Now}, "n2"), out)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(out, "n2.yaml"); file != want {
		t.Errorf("the node's file is %s, want %s", file, want)
	}
	got, want := readFiles(t, out), readFiles(t, NodeDir(dir, "n2"))
	for name, b := range want {
		own := name == raft.FileNode || name == raft.FileNodeKey
		if other, ok := got[name]; !ok || bytes.Equal(other, b) == own {
			t.Errorf("%s: there %v, the same %v", name, ok, bytes.Equal(other, b))
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("more came than is needed: %v", got)
	}
	for _, private := range []string{"", raft.FileNodeKey, "n2.yaml", walletsDir, filepath.Join(walletsDir, schedulerWallet)} {
		if info, err := os.Stat(filepath.Join(out, private)); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v, %v", private, info, err)
		}
	}
	options, err := ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if credentials, err := raft.LoadCredentials(options.Cluster.CredentialsDir, time.Now); err != nil || credentials.Node() != "n2" {
		t.Errorf("the credentials: %v", err)
	}
	if !strings.Contains(h.says(), "node n2: its directory was given to 127.0.0.1") {
		t.Errorf("the operator reads %q", h.says())
	}
}

func TestBadTokensAreRefusedByName(t *testing.T) {
	c := newClock(time.Now())
	dir := createCluster(t)
	tokens := Tokens{dir, c.now}
	h := startHandOut(t, dir, c.now, nil)
	used, late := createToken(t, tokens, "n2"), createToken(t, tokens, "n3")
	if _, err := h.join(used, filepath.Join(t.TempDir(), "n2")); err != nil {
		t.Fatal(err)
	}
	c.forward(TokenDays * 24 * time.Hour)
	unknown := used
	unknown.Secret[0]++
	for says, token := range map[string]JoinToken{
		"this token was used on": used, "this token expired on": late, ErrUnknownToken.Error(): unknown,
	} {
		parent := t.TempDir()
		if _, err := h.join(token, filepath.Join(parent, "n2")); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v does not say %q", err, says)
		}
		if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
			t.Errorf("%s: %v is left, %v", says, left, err)
		}
	}
}

// TestAnotherClustersHandOutGetsNoToken has somebody else answer, also one who has
// a node's key of the right cluster.
func TestAnotherClustersHandOutGetsNoToken(t *testing.T) {
	ours, theirs := createCluster(t), createCluster(t)
	token := createToken(t, Tokens{ours, time.Now}, "n2")
	h := startHandOut(t, theirs, time.Now, nil)
	out := filepath.Join(t.TempDir(), "n2")
	if _, err := h.join(token, out); !errors.Is(err, raft.ErrOtherAuthority) || !strings.Contains(err.Error(), "the token was not sent") {
		t.Errorf("joined: %v", err)
	}
	if says := h.says(); strings.Contains(says, "unknown") {
		t.Errorf("the token was sent: %s", says)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a directory was made")
	}
	if _, err := startHandOut(t, ours, time.Now, nil).join(token, out); err != nil {
		t.Errorf("the token is no good after that: %v", err)
	}
}

func TestARequestForAnotherNodeIsRefused(t *testing.T) {
	dir := createCluster(t)
	h := startHandOut(t, dir, time.Now, nil)
	token := createToken(t, Tokens{dir, time.Now}, "n2")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request := func(node string) joinRequest {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: node}}, key)
		if err != nil {
			t.Fatal(err)
		}
		return joinRequest{token.Secret[:], der}
	}
	answer, err := h.ask(token.Authority, request("n1"))
	if err != nil || !strings.Contains(answer.Error, "asks for a certificate of node n1, and this is for node n2") || answer.Wallets != nil {
		t.Errorf("in the name of n1: %+v, %v", answer, err)
	}
	// The token is not used up by that.
	if answer, err := h.ask(token.Authority, request("n2")); err != nil || answer.Node != "n2" {
		t.Errorf("in the name of n2: %+v, %v", answer, err)
	}
}

func TestAnswersForOtherNodesAreNotWritten(t *testing.T) {
	dir := createCluster(t)
	authority, err := raft.LoadAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	enrollment, err := raft.NewEnrollment()
	if err != nil {
		t.Fatal(err)
	}
	request, err := enrollment.Request()
	if err != nil {
		t.Fatal(err)
	}
	file, wallets, err := readNodeDir(dir, "n1")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ node, issued, says string }{
		"another's file":        {"n2", "n2", "the file that came is that of node \"n1\""},
		"another's certificate": {"n1", "n2", "is one of node n2"},
		"a path":                {"../n1", "n1", "a node called"},
		"no name":               {"", "n1", "a node called"},
	} {
		issued, err := authority.Enroll(c.issued, request, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		j := Join{Token: JoinToken{Authority: authority.Pin()}, Dir: filepath.Join(t.TempDir(), "out"), Now: time.Now}
		err = j.write(t.TempDir(), enrollment, joinAnswer{Node: c.node, Issued: issued, File: file, Wallets: wallets})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v does not say %q", name, err, c.says)
		}
		if _, err := os.Stat(j.Dir); err == nil {
			t.Errorf("%s: the directory is there", name)
		}
	}
}

// crashing is a listener whose connections break as soon as a token is marked, so
// that nothing of the answer leaves, as when the machine goes down just then.
type crashing struct {
	net.Listener
	tokens Tokens
}

func (c crashing) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	return crashingConn{conn, c.tokens}, err
}

type crashingConn struct {
	net.Conn
	tokens Tokens
}

var errCrashed = errors.New("the machine is down")

func (c crashingConn) Write(b []byte) (int, error) {
	table, err := c.tokens.read()
	if err != nil {
		return 0, err
	}
	for _, record := range table.Tokens {
		if !record.Used.IsZero() {
			return 0, errors.Join(errCrashed, c.Conn.Close())
		}
	}
	return c.Conn.Write(b)
}

func TestACrashBeforeTheAnswerGivesNothingTwice(t *testing.T) {
	dir := createCluster(t)
	tokens := Tokens{dir, time.Now}
	token := createToken(t, tokens, "n2")
	out := filepath.Join(t.TempDir(), "n2")
	h := startHandOut(t, dir, time.Now, func(l net.Listener) net.Listener { return crashing{l, tokens} })
	if _, err := h.join(token, out); err == nil || !strings.Contains(err.Error(), "was lost") {
		t.Fatalf("joined: %v", err)
	}
	if err := h.end(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(h.says(), errCrashed.Error()) || !strings.Contains(h.says(), "wallaby cluster token n2 --ca "+dir) {
		t.Errorf("the operator reads %q", h.says())
	}
	h = startHandOut(t, dir, time.Now, nil)
	if _, err := h.join(token, out); err == nil || !strings.Contains(err.Error(), "was used on") {
		t.Errorf("the token was good twice: %v", err)
	}
	if _, err := h.join(createToken(t, tokens, "n2"), out); err != nil {
		t.Errorf("a new token is no cure: %v", err)
	}
}

func TestNoiseDoesNotStopAHandOut(t *testing.T) {
	dir := createCluster(t)
	h := startHandOut(t, dir, time.Now, nil)
	token := createToken(t, Tokens{dir, time.Now}, "n2")
	plain, err := net.Dial("tcp", h.address)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, err := plain.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	// One that never says anything must hold up neither others nor the end.
	silent, err := net.Dial("tcp", h.address)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if answer, err := h.ask(token.Authority, joinRequest{[]byte("short"), nil}); err != nil || answer.Error != ErrNoToken.Error() {
		t.Errorf("a token that is none: %+v, %v", answer, err)
	}
	if answer, err := h.ask(token.Authority, joinRequest{token.Secret[:], []byte("no request")}); err != nil || !strings.Contains(answer.Error, "cannot be read") {
		t.Errorf("a request that is none: %+v, %v", answer, err)
	}
	if _, err := h.join(token, filepath.Join(t.TempDir(), "n2")); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

func TestAHandOutEndsByItself(t *testing.T) {
	dir := createCluster(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- HandOut{Dir: dir, Listener: listener, Once: 2, Now: time.Now, Say: func(string) {}}.Serve(t.Context())
	}()
	for _, id := range []string{"n1", "n3"} {
		token := createToken(t, Tokens{dir, time.Now}, id)
		if _, err := (Join{Token: token, From: listener.Addr().String(), Dir: filepath.Join(t.TempDir(), id), Now: time.Now}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAHandOutNeedsItsFiles(t *testing.T) {
	dir := createCluster(t)
	serve := func(dir string) error {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return HandOut{Dir: dir, Listener: listener, Now: time.Now, Say: func(string) {}}.Serve(t.Context())
	}
	if err := serve(t.TempDir()); err == nil || !strings.Contains(err.Error(), "where the cluster's ca.key is") {
		t.Errorf("without an authority: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, tokensFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := serve(dir); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("with damaged tokens: %v", err)
	}
}

// TestATokenIsNotSpentForNothing: what can be known before is said before.
func TestATokenIsNotSpentForNothing(t *testing.T) {
	dir := createCluster(t)
	token := createToken(t, Tokens{dir, time.Now}, "n2")
	h := startHandOut(t, dir, time.Now, nil)
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "precious"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string]string{"full": full, "here": ".", "below a file": filepath.Join(full, "precious", "n2")} {
		if _, err := h.join(token, out); err == nil || strings.Contains(err.Error(), "used") {
			t.Errorf("%s: %v", name, err)
		}
	}
	wallet := filepath.Join(NodeDir(dir, "n2"), walletsDir, schedulerWallet)
	if err := os.Rename(wallet, wallet+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.join(token, filepath.Join(t.TempDir(), "n2")); err == nil || !strings.Contains(err.Error(), "read the wallets of node n2") {
		t.Errorf("without a wallet: %v", err)
	}
	if err := os.Rename(wallet+".away", wallet); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	if _, err := h.join(token, empty); err != nil {
		t.Errorf("into an empty directory: %v", err)
	}
}
