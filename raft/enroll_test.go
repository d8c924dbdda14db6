package raft

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func enrolled(t *testing.T, a *Authority, node string) (*Enrollment, Issued) {
	t.Helper()
	e, err := NewEnrollment()
	if err != nil {
		t.Fatal(err)
	}
	request, err := e.Request()
	if err != nil {
		t.Fatal(err)
	}
	issued, err := a.Enroll(node, request, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return e, issued
}

// TestAnEnrolledNodeConnects: a node whose key never left it is a member like one
// whose key the authority made.
func TestAnEnrolledNodeConnects(t *testing.T) {
	a := authority(t)
	e, issued := enrolled(t, a, "n1")
	dir := filepath.Join(t.TempDir(), "n1")
	if err := e.Accept(dir, "n1", a.Pin(), issued, time.Now()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, FileNodeKey)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
	credentials, err := LoadCredentials(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	_, address, logged := secureTransport(t, issue(t, a, "n2", time.Now()))
	if !connects(t, "n1", credentials, address) {
		t.Errorf("it cannot connect: %s", logged)
	}
}

// TestARequestGetsNoMoreThanItsNode: names and rights that a request asks for do
// not come into the certificate.
func TestARequestGetsNoMoreThanItsNode(t *testing.T) {
	a := authority(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request := func(name string) []byte {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
			Subject: pkix.Name{CommonName: name}, DNSNames: []string{"n1", handOutName}, IPAddresses: []net.IP{{127, 0, 0, 1}},
		}, key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	if _, err := a.Enroll("n2", request("n1"), time.Now()); err == nil || !strings.Contains(err.Error(), "asks for a certificate of node n1") {
		t.Errorf("a request in another node's name: %v", err)
	}
	issued, err := a.Enroll("n2", request("n2"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(issued.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	if certificate.Subject.CommonName != "n2" || len(certificate.DNSNames) != 1 || certificate.DNSNames[0] != "n2" ||
		len(certificate.IPAddresses) != 0 || certificate.IsCA {
		t.Errorf("the certificate says %v, %v, %v, authority %v", certificate.Subject, certificate.DNSNames, certificate.IPAddresses, certificate.IsCA)
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	a := authority(t)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	otherKind, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, edKey)
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEnrollment()
	if err != nil {
		t.Fatal(err)
	}
	forged, err := e.Request()
	if err != nil {
		t.Fatal(err)
	}
	forged[len(forged)-1] ^= 1
	for name, c := range map[string]struct {
		node    string
		request []byte
		says    string
	}{
		"no request":       {"n1", []byte("hello"), "cannot be read"},
		"another kind":     {"n1", otherKind, "no P-256 key"},
		"forged signature": {"n1", forged, "not signed with its own key"},
		"nobody":           {"", nil, "cannot be read"},
	} {
		if _, err := a.Enroll(c.node, c.request, time.Now()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v does not say %q", name, err, c.says)
		}
	}
	request, _ := e.Request()
	if _, err := a.Enroll(handOutName, request, time.Now()); err == nil {
		t.Error("a node got the name of what hands out directories")
	}
}

func TestAnEnrollmentAcceptsOnlyItsOwn(t *testing.T) {
	ours, theirs := authority(t), authority(t)
	e, issued := enrolled(t, ours, "n1")
	_, others := enrolled(t, ours, "n1")
	_, foreign := enrolled(t, theirs, "n1")
	mixed := Issued{Authority: issued.Authority, Certificate: foreign.Certificate}
	for name, c := range map[string]struct {
		node   string
		issued Issued
		says   string
	}{
		"another authority":  {"n1", foreign, ErrOtherAuthority.Error()},
		"another's signing":  {"n1", mixed, "check the node's certificate"},
		"another node":       {"n2", issued, "is one of node n1"},
		"another key":        {"n1", others, "for another key"},
		"no certificate":     {"n1", Issued{Authority: issued.Authority}, "read the node's certificate"},
		"nothing whatsoever": {"n1", Issued{}, "read the authority's certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			err := e.Accept(dir, c.node, ours.Pin(), c.issued, time.Now())
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not say %q", err, c.says)
			}
			if _, err := os.Stat(filepath.Join(dir, FileNodeKey)); err == nil {
				t.Error("a key was written")
			}
		})
	}
}

// shake has both sides shake hands and gives what the dialling side says.
func shake(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if conn, err := l.Accept(); err == nil {
			_ = tls.Server(conn, server).Handshake()
			conn.Close()
		}
	}()
	defer func() { <-done }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return tls.Client(conn, client).Handshake()
}

func TestAPinKnowsOneHandOut(t *testing.T) {
	ours, theirs := authority(t), authority(t)
	handOut := func(a *Authority, at time.Time) *tls.Config {
		config, err := a.HandOut(at)
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
	// A node's certificate, shown with the authority's as the hand-out shows its own.
	pair, _ := issue(t, ours, "n1", time.Now()).current()
	asNode := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{
		Certificate: [][]byte{pair.Certificate[0], ours.certificate.Raw}, PrivateKey: pair.PrivateKey,
	}}}
	// Another authority's hand-out that shows ours beside its own.
	borrowed := handOut(theirs, time.Now())
	borrowed.Certificates[0].Certificate = [][]byte{borrowed.Certificates[0].Certificate[0], ours.certificate.Raw}
	old := handOut(ours, time.Now())
	old.MinVersion, old.MaxVersion = 0, tls.VersionTLS12
	for name, c := range map[string]struct {
		server *tls.Config
		other  bool
	}{
		"another authority":          {handOut(theirs, time.Now()), true},
		"our authority, borrowed":    {borrowed, true},
		"a node of ours":             {asNode, true},
		"a certificate that expired": {handOut(ours, time.Now().AddDate(-NodeYears, 0, -2)), true},
		"TLS 1.2":                    {old, false},
	} {
		err := shake(t, c.server, ours.Pin().Config(time.Now))
		if err == nil || errors.Is(err, ErrOtherAuthority) != c.other {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := shake(t, handOut(ours, time.Now()), ours.Pin().Config(time.Now)); err != nil {
		t.Errorf("our own hand-out: %v", err)
	}
	// What hands out directories is no node: it must not get in as one.
	config := handOut(ours, time.Now())
	server := issue(t, ours, "n2", time.Now()).config(x509.ExtKeyUsageClientAuth)
	if err := server.VerifyConnection(tls.ConnectionState{PeerCertificates: []*x509.Certificate{config.Certificates[0].Leaf}}); err == nil {
		t.Error("the certificate of the hand-out is good for a node's connection")
	}
}
