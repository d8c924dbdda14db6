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
	"strings"
	"time"

	"github.com/wallaby-ao/wallaby/internal/fsx"
	"github.com/wallaby-ao/wallaby/raft"
)

// Join is a new machine's side of HandOut.
type Join struct {
	Token JoinToken
	// From is the host and port of the hand-out.
	From string
	// Dir is made, and gets what CreateCluster makes for a node.
	Dir string
	Now func() time.Time
}

// Run makes a key, gets the node's directory for the token, and gives the path
// of the node's file. Dir appears whole or not at all.
func (j Join) Run(ctx context.Context) (file string, err error) {
	j.Dir = filepath.Clean(j.Dir)
	making, err := j.makeTemporary()
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(making)
	enrollment, err := raft.NewEnrollment()
	if err != nil {
		return "", err
	}
	answer, err := j.ask(ctx, enrollment)
	if err != nil {
		return "", err
	}
	if err := j.write(making, enrollment, answer); err != nil {
		return "", fmt.Errorf("%w: the token is used up; for another: wallaby cluster token NODE, where the cluster's %s is", err, raft.FileAuthorityKey)
	}
	return filepath.Join(j.Dir, answer.Node+".yaml"), nil
}

// makeTemporary makes sure, before the token is spent, that its yield can be
// written.
func (j Join) makeTemporary() (string, error) {
	// An empty directory is in the way of a rename when something is mounted there.
	if err := os.Remove(j.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s must be a directory that is not there yet (%w): name another with --out", j.Dir, cause(err))
	}
	parent := filepath.Dir(j.Dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", fmt.Errorf("make %s: %w", parent, err)
	}
	making, err := os.MkdirTemp(parent, ".joining-*")
	if err != nil {
		return "", fmt.Errorf("make the node's directory: %w", err)
	}
	return making, nil
}

// ask sends the token, to nobody but the authority that it names, and gives the
// answer.
func (j Join) ask(ctx context.Context, enrollment *raft.Enrollment) (answer joinAnswer, err error) {
	request, err := enrollment.Request()
	if err != nil {
		return answer, err
	}
	ctx, cancel := context.WithTimeout(ctx, handOutTimeout)
	defer cancel()
	plain, err := new(net.Dialer).DialContext(ctx, "tcp", j.From)
	if err != nil {
		return answer, fmt.Errorf("nobody answers at %s (%w): start wallaby cluster hand-out where the cluster's %s is", j.From, err, raft.FileAuthorityKey)
	}
	conn := tls.Client(plain, j.Token.Authority.Config(j.Now))
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = plain.SetDeadline(time.Now()) })
	defer stop()
	if err := conn.HandshakeContext(ctx); err != nil {
		if errors.Is(err, raft.ErrOtherAuthority) {
			return answer, fmt.Errorf("%s: %w: the token was not sent; check --from, and who is in between", j.From, err)
		}
		return answer, fmt.Errorf("shake hands with %s: %w: the token was not sent", j.From, err)
	}
	if err := json.NewEncoder(conn).Encode(joinRequest{j.Token.Secret[:], request}); err != nil {
		return answer, fmt.Errorf("send the token to %s: %w: try again", j.From, err)
	}
	if err := json.NewDecoder(io.LimitReader(conn, joinBytesMax)).Decode(&answer); err != nil {
		return answer, fmt.Errorf("the answer of %s was lost (%w): try again; if the token is used up by then, make another where the cluster's %s is", j.From, err, raft.FileAuthorityKey)
	}
	if answer.Error != "" {
		return answer, errors.New(answer.Error)
	}
	return answer, nil
}

// write checks the answer, writes it to the temporary directory, and gives that
// its name.
func (j Join) write(making string, enrollment *raft.Enrollment, answer joinAnswer) error {
	if !isNodeID(answer.Node) {
		return fmt.Errorf("the answer is for a node called %q", answer.Node)
	}
	if err := enrollment.Accept(making, answer.Node, j.Token.Authority, answer.Issued, j.Now()); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(making, walletsDir), 0o700); err != nil {
		return fmt.Errorf("make the wallets' directory: %w", err)
	}
	for _, name := range []string{schedulerWallet, authorityWallet, operatorWallet} {
		b := answer.Wallets[name]
		if name == operatorWallet && b == nil {
			continue
		}
		path := filepath.Join(making, walletsDir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			return fmt.Errorf("write wallet: %w", err)
		}
		if _, err := LoadWallet(path); err != nil {
			return err
		}
	}
	file := filepath.Join(making, answer.Node+".yaml")
	if err := os.WriteFile(file, answer.File, 0o600); err != nil {
		return fmt.Errorf("write the node's file: %w", err)
	}
	if f, err := decodeFile(file); err != nil {
		return err
	} else if f.Node != answer.Node {
		return fmt.Errorf("the file that came is that of node %q, and this is node %s", f.Node, answer.Node)
	}
	return j.install(making)
}

// install flushes all files and gives their directory its name.
func (j Join) install(making string) error {
	err := filepath.WalkDir(making, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, fsx.Sync(path))
	})
	if err != nil {
		return fmt.Errorf("flush the node's directory: %w", err)
	}
	if err := os.Rename(making, j.Dir); err != nil {
		return fmt.Errorf("give the node's directory its name: %w", err)
	}
	return fsx.Sync(filepath.Dir(j.Dir))
}

// isNodeID says whether an id can be the name of a file, and of nothing else.
func isNodeID(id string) bool {
	return id != "" && id != "." && id != ".." && !strings.ContainsAny(id, "/\\ \x00")
}
