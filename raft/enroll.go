package raft

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"time"
)

// Pin names an authority by a hash of its public key. Who was told a pin by
// someone it trusts needs no certificate to know the authority by.
type Pin [sha256.Size]byte

func pinOf(authority *x509.Certificate) Pin { return sha256.Sum256(authority.RawSubjectPublicKeyInfo) }

// Pin gives the authority's own.
func (a *Authority) Pin() Pin { return pinOf(a.certificate) }

// handOutName is in the certificate of what hands out nodes' directories. A node
// has a certificate of the same authority, and must not be taken for it: a stolen
// node could otherwise collect the tokens of all others.
const handOutName = "wallaby hand-out"

// HandOut is the listening side towards nodes that have no certificate yet. Its
// key is new each time and kept nowhere.
func (a *Authority) HandOut(now time.Time) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	certificate, err := sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: handOutName},
		NotAfter:    now.AddDate(NodeYears, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.certificate, &key.PublicKey, a.key, now)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true,
		Certificates: []tls.Certificate{{
			Certificate: [][]byte{certificate.Raw, a.certificate.Raw}, PrivateKey: key, Leaf: certificate,
		}},
	}, nil
}

// ErrOtherAuthority is returned when who answers is not what hands out the
// directories of the pinned authority.
var ErrOtherAuthority = errors.New("who answers does not belong to this cluster")

// Config is the dialling side towards what hands out the directories of the
// authority with this pin. It speaks to nobody else.
func (p Pin) Config(now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		InsecureSkipVerify:     true, // VerifyConnection does it, by the pin
		SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			for _, certificate := range state.PeerCertificates {
				if pinOf(certificate) != p {
					continue
				}
				pool := x509.NewCertPool()
				pool.AddCert(certificate)
				leaf := state.PeerCertificates[0]
				_, err := leaf.Verify(x509.VerifyOptions{
					Roots: pool, CurrentTime: now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
				})
				if err != nil {
					return fmt.Errorf("%w: %w", ErrOtherAuthority, err)
				}
				if leaf.Subject.CommonName != handOutName {
					return fmt.Errorf("%w as what hands out directories: it is node %s", ErrOtherAuthority, leaf.Subject.CommonName)
				}
				return nil
			}
			return fmt.Errorf("%w: another authority vouches for it", ErrOtherAuthority)
		},
	}
}

// Enrollment is a node's key on its way to a certificate. The key stays on the
// machine that made it.
type Enrollment struct{ key *ecdsa.PrivateKey }

// NewEnrollment makes a key.
func NewEnrollment() (*Enrollment, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return &Enrollment{key}, nil
}

// Request gives the public key, signed with the private one. It names no node:
// which one it is for is the authority's to say.
func (e *Enrollment) Request() ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, e.key)
	if err != nil {
		return nil, fmt.Errorf("ask for a certificate: %w", err)
	}
	return der, nil
}

// Issued is what an authority answers to a request.
type Issued struct {
	Authority   []byte `json:"authority"`   // its certificate, DER
	Certificate []byte `json:"certificate"` // the node's, DER
}

// Enroll makes a certificate for the key of a request, as one of the given node.
// Nothing else in the request counts; one that names another node is refused.
func (a *Authority) Enroll(node string, request []byte, now time.Time) (Issued, error) {
	asked, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return Issued{}, fmt.Errorf("the request for a certificate cannot be read: %w", err)
	}
	if err := asked.CheckSignature(); err != nil {
		return Issued{}, fmt.Errorf("the request for a certificate is not signed with its own key: %w", err)
	}
	public, ok := asked.PublicKey.(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return Issued{}, errors.New("the request for a certificate is for a key that is no P-256 key")
	}
	if name := asked.Subject.CommonName; name != "" && name != node {
		return Issued{}, fmt.Errorf("the request asks for a certificate of node %s, and this is for node %s", name, node)
	}
	certificate, err := a.certify(node, public, now)
	if err != nil {
		return Issued{}, err
	}
	return Issued{Authority: a.certificate.Raw, Certificate: certificate.Raw}, nil
}

// Accept checks what the pinned authority answered and writes the node's
// credentials to dir.
func (e *Enrollment) Accept(dir, node string, pin Pin, issued Issued, now time.Time) error {
	authority, err := x509.ParseCertificate(issued.Authority)
	if err != nil {
		return fmt.Errorf("read the authority's certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(issued.Certificate)
	if err != nil {
		return fmt.Errorf("read the node's certificate: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(authority)
	_, err = certificate.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	switch {
	case pinOf(authority) != pin:
		return ErrOtherAuthority
	case err != nil:
		return fmt.Errorf("check the node's certificate: %w", err)
	case certificate.Subject.CommonName != node:
		return fmt.Errorf("the certificate is one of node %s, and this is node %s", certificate.Subject.CommonName, node)
	case !e.key.PublicKey.Equal(certificate.PublicKey):
		return errors.New("the certificate is for another key")
	}
	return writeCredentials(dir, authority, certificate, e.key)
}
