package node

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wallaby-ao/wallaby/raft"
)

// HandOut gives new machines the directories of their nodes, each once and for a
// token. It runs where the cluster's authority is and is needed only while nodes
// join.
type HandOut struct {
	// Dir is what CreateCluster made.
	Dir      string
	Listener net.Listener
	// Once ends it after so many directories; 0 never does.
	Once int
	Now  func() time.Time
	// Say is told what an operator wants to see.
	Say func(string)
}

const (
	// handOutConnections are served at once; others wait to be accepted.
	handOutConnections = 16
	// handOutTimeout bounds one connection.
	handOutTimeout = 10 * time.Second
	// joinBytesMax bounds a request and an answer.
	joinBytesMax = 64 << 10
)

// joinRequest is what a new machine sends, as JSON in one TLS connection.
type joinRequest struct {
	Secret []byte `json:"secret"`
	// Request is for a certificate: the node's public key, never the private one.
	Request []byte `json:"request"`
}

// joinAnswer is what it gets: either an error or all of a node's directory but
// its key.
type joinAnswer struct {
	Error   string            `json:"error,omitempty"`
	Node    string            `json:"node,omitempty"`
	Issued  raft.Issued       `json:"issued,omitzero"`
	File    []byte            `json:"file,omitempty"`
	Wallets map[string][]byte `json:"wallets,omitempty"`
}

// Serve answers until ctx ends or Once is reached, and closes the listener.
func (h HandOut) Serve(ctx context.Context) error {
	defer h.Listener.Close()
	authority, err := raft.LoadAuthority(h.Dir)
	if err != nil {
		return fmt.Errorf("%w: directories are handed out where the cluster's %s is", err, raft.FileAuthorityKey)
	}
	if err := (Tokens{h.Dir, h.Now}).Check(); err != nil {
		return err
	}
	config, err := authority.HandOut(h.Now())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { h.Listener.Close() })
	defer stop()
	s := &handOutServer{HandOut: h, authority: authority, config: config, cancel: cancel}
	return s.serve(ctx)
}

// handOutServer is a HandOut at work.
type handOutServer struct {
	HandOut
	authority *raft.Authority
	config    *tls.Config
	guesses   guesses
	given     atomic.Int64
	cancel    context.CancelFunc
	saying    sync.Mutex
}

func (s *handOutServer) serve(ctx context.Context) error {
	var wait sync.WaitGroup
	defer wait.Wait()
	slots := make(chan struct{}, handOutConnections)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := s.Listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept a connection: %w", err)
		}
		wait.Go(func() {
			defer func() { <-slots }()
			s.converse(ctx, conn)
		})
	}
}

func (s *handOutServer) say(format string, args ...any) {
	s.saying.Lock()
	defer s.saying.Unlock()
	s.Say(fmt.Sprintf(format, args...))
}

// converse answers one connection.
func (s *handOutServer) converse(ctx context.Context, plain net.Conn) {
	conn := tls.Server(plain, s.config)
	defer conn.Close()
	from := hostOf(conn.RemoteAddr())
	_ = conn.SetDeadline(time.Now().Add(handOutTimeout))
	// Ctrl-C waits for an answer that is being sent, and not for a request that
	// may never come.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) })
	defer stop()
	var request joinRequest
	if err := json.NewDecoder(io.LimitReader(conn, joinBytesMax)).Decode(&request); err != nil {
		s.say("%s: no request could be read: %v", from, err)
		return
	}
	answer, err := s.answer(from, request)
	if err != nil {
		s.say("%s is refused: %v", from, err)
		_ = json.NewEncoder(conn).Encode(joinAnswer{Error: err.Error()})
		return
	}
	if err := json.NewEncoder(conn).Encode(answer); err != nil {
		s.say("node %s: its directory was lost on the way (%v) and its token is used up: make another with wallaby cluster token %s --ca %s", answer.Node, err, answer.Node, s.Dir)
		return
	}
	s.say("node %s: its directory was given to %s", answer.Node, from)
	if s.Once > 0 && s.given.Add(1) >= int64(s.Once) {
		s.cancel()
	}
}

// answer uses the token of a request up, durably, and only then gives what is to
// be sent: after a crash in between the token is lost, and nothing is given twice.
func (s *handOutServer) answer(from string, request joinRequest) (answer joinAnswer, err error) {
	now := s.Now()
	if s.guesses.tooMany(from, now) {
		return joinAnswer{}, fmt.Errorf("too many unknown tokens came from %s: wait a minute", from)
	}
	if len(request.Secret) != len(JoinSecret{}) {
		s.guesses.add(from, now)
		return joinAnswer{}, ErrNoToken
	}
	answer.Node, err = Tokens{s.Dir, s.Now}.Redeem(JoinSecret(request.Secret), func(node string) (err error) {
		if answer.Issued, err = s.authority.Enroll(node, request.Request, now); err != nil {
			return err
		}
		answer.File, answer.Wallets, err = readNodeDir(s.Dir, node)
		return err
	})
	if errors.Is(err, ErrUnknownToken) {
		s.guesses.add(from, now)
	}
	if err != nil {
		return joinAnswer{}, err
	}
	return answer, nil
}

// readNodeDir reads what a node needs besides its credentials.
func readNodeDir(dir, id string) (file []byte, wallets map[string][]byte, err error) {
	if file, err = os.ReadFile(NodeFile(dir, id)); err != nil {
		return nil, nil, fmt.Errorf("read the file of node %s: %w", id, err)
	}
	wallets = map[string][]byte{}
	for _, name := range []string{schedulerWallet, authorityWallet, operatorWallet} {
		b, err := os.ReadFile(filepath.Join(NodeDir(dir, id), walletsDir, name))
		if name == operatorWallet && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read the wallets of node %s: %w", id, err)
		}
		wallets[name] = b
	}
	return file, wallets, nil
}
