package raft

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/internal/fsx"
)

// The files of a node's credentials. The authority's key stays with whoever made
// the cluster: no node needs it.
const (
	FileAuthority    = "ca.crt"
	FileAuthorityKey = "ca.key"
	FileNode         = "node.crt"
	FileNodeKey      = "node.key"
)

// How long certificates are good for. Nodes' are replaced in place; the
// authority's end with the cluster.
const (
	AuthorityYears = 20
	NodeYears      = 5
)

// Authority is a cluster's own certificate authority: whoever has a certificate
// of it may join as the node that is named there.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// CreateAuthority makes an authority for a cluster and writes it to dir, which
// must not hold one.
func CreateAuthority(dir, cluster string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "wallaby cluster " + cluster},
		NotAfter:              now.AddDate(AuthorityYears, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	a := &Authority{key: key}
	if a.certificate, err = sign(template, template, &key.PublicKey, key, now); err != nil {
		return nil, err
	}
	return a, writePair(filepath.Join(dir, FileAuthority), filepath.Join(dir, FileAuthorityKey), a.certificate, key)
}

// LoadAuthority reads an authority that CreateAuthority wrote.
func LoadAuthority(dir string) (*Authority, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, FileAuthority), filepath.Join(dir, FileAuthorityKey))
	if err != nil {
		return nil, fmt.Errorf("read the cluster's authority in %s: %w", dir, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the key of the cluster's authority in %s is no ECDSA key", dir)
	}
	return &Authority{pair.Leaf, key}, nil
}

// Issue makes a key and a certificate for a node and writes them to dir with the
// authority's, replacing those that are there.
func (a *Authority) Issue(dir, node string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	certificate, err := a.certify(node, &key.PublicKey, now)
	if err != nil {
		return err
	}
	return writeCredentials(dir, a.certificate, certificate, key)
}

// certify says that a key is a node's.
func (a *Authority) certify(node string, public *ecdsa.PublicKey, now time.Time) (*x509.Certificate, error) {
	if node == "" || node == handOutName {
		return nil, fmt.Errorf("no node may be called %q", node)
	}
	return sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: node},
		DNSNames:    []string{node},
		NotAfter:    now.AddDate(NodeYears, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.certificate, public, a.key, now)
}

// writeCredentials writes what LoadCredentials reads.
func writeCredentials(dir string, authority, certificate *x509.Certificate, key *ecdsa.PrivateKey) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of node %s: %w", certificate.Subject.CommonName, err)
	}
	if err := writePEM(filepath.Join(dir, FileAuthority), "CERTIFICATE", authority.Raw, 0o644); err != nil {
		return err
	}
	return writePair(filepath.Join(dir, FileNode), filepath.Join(dir, FileNodeKey), certificate, key)
}

func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	// Clocks of machines differ a little.
	template.SerialNumber, template.NotBefore = serial, now.Add(-time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

func writePair(certificatePath, keyPath string, certificate *x509.Certificate, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode a key: %w", err)
	}
	// The key first: a node that reloads in between keeps what it has.
	if err := writePEM(keyPath, "PRIVATE KEY", der, 0o600); err != nil {
		return err
	}
	return writePEM(certificatePath, "CERTIFICATE", certificate.Raw, 0o644)
}

func writePEM(path, kind string, der []byte, mode fs.FileMode) error {
	if err := fsx.ReplaceDurably(path, mode, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// Credentials are what a node shows to the others and checks them by: TLS 1.3
// with certificates of the cluster's authority on both sides. Files that are
// replaced are used for the connections that come after, without a restart.
type Credentials struct {
	dir string
	now func() time.Time

	mu struct {
		sync.Mutex
		pair    *tls.Certificate
		pool    *x509.CertPool
		changed time.Time // of the newest file
	}
}

// LoadCredentials reads a node's credentials; now is the clock that certificates
// expire by.
func LoadCredentials(dir string, now func() time.Time) (*Credentials, error) {
	c := &Credentials{dir: dir, now: now}
	return c, c.reload()
}

// Node is the name in this node's certificate.
func (c *Credentials) Node() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.pair.Leaf.Subject.CommonName
}

// reload reads the files if they changed. Those that cannot be read while they
// are being replaced leave what is there.
func (c *Credentials) reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var newest time.Time
	for _, name := range []string{FileAuthority, FileNode, FileNodeKey} {
		info, err := os.Stat(filepath.Join(c.dir, name))
		if err != nil {
			return fmt.Errorf("credentials: %w", err)
		}
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	if c.mu.pair != nil && newest.Equal(c.mu.changed) {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(c.dir, FileNode), filepath.Join(c.dir, FileNodeKey))
	if err != nil {
		return fmt.Errorf("credentials: %s and %s: %w", filepath.Join(c.dir, FileNode), filepath.Join(c.dir, FileNodeKey), err)
	}
	authority, err := os.ReadFile(filepath.Join(c.dir, FileAuthority))
	if err != nil {
		return fmt.Errorf("credentials: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return fmt.Errorf("credentials: %s holds no certificate", filepath.Join(c.dir, FileAuthority))
	}
	// A damaged certificate would keep this node apart from the others, and only
	// they would say why. One that has run out is theirs to refuse.
	if !issuedBy(pair.Leaf, authority) {
		return fmt.Errorf("credentials: %s was not issued by %s: one of them is damaged or of another cluster",
			filepath.Join(c.dir, FileNode), filepath.Join(c.dir, FileAuthority))
	}
	c.mu.pair, c.mu.pool, c.mu.changed = &pair, pool, newest
	return nil
}

// issuedBy reports whether one of the certificates in a file signed another.
func issuedBy(certificate *x509.Certificate, authorities []byte) bool {
	for block, rest := pem.Decode(authorities); block != nil; block, rest = pem.Decode(rest) {
		authority, err := x509.ParseCertificate(block.Bytes)
		if err == nil && certificate.CheckSignatureFrom(authority) == nil && bytes.Equal(certificate.RawIssuer, authority.RawSubject) {
			return true
		}
	}
	return false
}

func (c *Credentials) current() (*tls.Certificate, *x509.CertPool) {
	_ = c.reload()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.pair, c.mu.pool
}

// config checks the other side by the authority alone: whose name it must have
// is the transport's to say.
func (c *Credentials) config(usage x509.ExtKeyUsage) *tls.Config {
	pair, pool := c.current()
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{*pair},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // VerifyConnection does it, for both sides alike
		SessionTicketsDisabled: true, // a resumed session would outlive its certificate
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return errors.New("the other side shows no certificate")
			}
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
				Roots: pool, CurrentTime: c.now(), KeyUsages: []x509.ExtKeyUsage{usage},
			})
			return err
		},
	}
}

// Server is the listening side of a connection.
func (c *Credentials) Server(conn net.Conn) net.Conn {
	return tls.Server(conn, c.config(x509.ExtKeyUsageClientAuth))
}

// Client is the dialling side of a connection.
func (c *Credentials) Client(conn net.Conn) net.Conn {
	return tls.Client(conn, c.config(x509.ExtKeyUsageServerAuth))
}

// Identify shakes hands and names the other side by its certificate.
func (c *Credentials) Identify(ctx context.Context, conn net.Conn) (string, error) {
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return "", errors.New("the connection is not encrypted")
	}
	if err := secure.HandshakeContext(ctx); err != nil {
		return "", fmt.Errorf("handshake: %w", err)
	}
	return secure.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

// Listener gives connections the listening side of the credentials.
func (c *Credentials) Listener(l net.Listener) net.Listener { return secureListener{l, c} }

type secureListener struct {
	net.Listener
	credentials *Credentials
}

func (l secureListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.credentials.Server(conn), nil
}
