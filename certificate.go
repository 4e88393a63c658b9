package webrtc

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // fingerprints
	_ "crypto/sha512" // fingerprints
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/pion/dtls/v3/pkg/crypto/fingerprint"
)

// Certificate is an X.509 certificate with its private key: what a DTLS
// transport shows to its peer, who knows it by its fingerprint from signaling.
// The zero Certificate is not usable. A Certificate does not change, and may
// be shared by any number of transports.
type Certificate struct {
	privateKey crypto.PrivateKey
	x509Cert   *x509.Certificate
}

// GenerateCertificate makes a self-signed certificate for secretKey, valid
// from a day ago for a month, with a random name and serial number. It takes
// an *ecdsa.PrivateKey, an *rsa.PrivateKey or an ed25519.PrivateKey; anything
// else is ErrInvalidArgument. Browsers take ECDSA P-256 and RSA.
func GenerateCertificate(secretKey crypto.PrivateKey) (*Certificate, error) {
	const op = "generate certificate"

	// The name must tell nothing that links one session to another:
	// https://datatracker.ietf.org/doc/html/rfc8827#section-6.5
	var random [32]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, opError(op, err)
	}
	name := pkix.Name{CommonName: hex.EncodeToString(random[:16])}
	random[16] = random[16]&0x7f | 0x40 // positive and of full length

	// A day back, for peers whose clock is behind ours.
	from := time.Now().AddDate(0, 0, -1)

	return newCertificate(op, secretKey, x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(random[16:]),
		Issuer:       name,
		Subject:      name,
		NotBefore:    from,
		NotAfter:     from.AddDate(0, 1, 0),
	})
}

// NewCertificate makes a self-signed certificate for key from a template, of
// which all but the signature algorithm counts. It takes the keys that
// GenerateCertificate takes.
func NewCertificate(key crypto.PrivateKey, tpl x509.Certificate) (*Certificate, error) {
	return newCertificate("new certificate", key, tpl)
}

func newCertificate(op string, key crypto.PrivateKey, tpl x509.Certificate) (*Certificate, error) {
	signer, algorithm, err := signingKey(key)
	if err != nil {
		return nil, refuse(op, ErrInvalidArgument, "%w", err)
	}
	tpl.SignatureAlgorithm = algorithm

	der, err := x509.CreateCertificate(rand.Reader, &tpl, &tpl, signer.Public(), signer)
	if err != nil {
		return nil, refuse(op, ErrInvalidArgument, "%w", err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, refuse(op, ErrInvalidArgument, "%w", err)
	}

	return &Certificate{privateKey: key, x509Cert: parsed}, nil
}

// CertificateFromX509 joins a private key and its certificate. It cannot
// report an error: a nil or unfitting key or certificate is one at the first
// use.
func CertificateFromX509(privateKey crypto.PrivateKey, certificate *x509.Certificate) Certificate {
	return Certificate{privateKey: privateKey, x509Cert: certificate}
}

// generateDefaultCertificate is the certificate of a transport that was given
// none: ECDSA P-256, which every WebRTC endpoint must take.
// https://datatracker.ietf.org/doc/html/rfc8827#section-6.5
func generateDefaultCertificate() (*Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, opError("generate certificate", err)
	}

	return GenerateCertificate(key)
}

// signingKey checks a private key as far as the packages below would panic,
// and names the algorithm that its own certificate is signed with.
func signingKey(key crypto.PrivateKey) (crypto.Signer, x509.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		if k == nil || hasNil(k, "Curve", "X", "Y", "D") {
			return nil, 0, errors.New("nil or incomplete ECDSA key")
		}
		if _, err := k.ECDH(); err != nil {
			return nil, 0, fmt.Errorf("ECDSA key: %w", err)
		}

		return k, x509.ECDSAWithSHA256, nil
	case *rsa.PrivateKey:
		if k == nil || k.N == nil || k.D == nil || len(k.Primes) < 2 {
			return nil, 0, errors.New("nil or incomplete RSA key")
		}
		for _, prime := range k.Primes {
			if prime == nil {
				return nil, 0, errors.New("nil or incomplete RSA key")
			}
		}
		if err := k.Validate(); err != nil {
			return nil, 0, fmt.Errorf("RSA key: %w", err)
		}

		return k, x509.SHA256WithRSA, nil
	case ed25519.PrivateKey:
		if len(k) != ed25519.PrivateKeySize {
			return nil, 0, fmt.Errorf("Ed25519 key of %d bytes", len(k))
		}

		return k, x509.PureEd25519, nil
	case nil:
		return nil, 0, errors.New("nil private key")
	default:
		return nil, 0, fmt.Errorf("private key type %T is not supported", key)
	}
}

// comparableKey is what the public keys of the standard library share.
type comparableKey interface{ Equal(x crypto.PublicKey) bool }

// public returns the public half of the certificate's key, or nil.
func (c Certificate) public() comparableKey {
	// A key from elsewhere, such as a hardware module, is only asked to sign.
	signer, ok := c.privateKey.(crypto.Signer)
	if !ok || isNilPointer(signer) {
		return nil
	}
	switch c.privateKey.(type) {
	case *ecdsa.PrivateKey, *rsa.PrivateKey, ed25519.PrivateKey, *ed25519.PrivateKey:
		if _, _, err := signingKey(c.privateKey); err != nil {
			return nil
		}
	}
	public, _ := signer.Public().(comparableKey)

	return public
}

// fits checks that there are a key and a certificate and that they belong
// together.
func (c Certificate) fits() error {
	if c.x509Cert == nil || len(c.x509Cert.Raw) == 0 {
		return errors.New("certificate is missing")
	}
	if c.privateKey == nil || isNilPointer(c.privateKey) {
		return errors.New("private key is missing")
	}
	public := c.public()
	if public == nil {
		return fmt.Errorf("private key of type %T cannot sign", c.privateKey)
	}
	if !public.Equal(c.x509Cert.PublicKey) {
		return errors.New("private key does not belong to the certificate")
	}

	return nil
}

// valid checks that the certificate can be shown to a peer at a time.
func (c Certificate) valid(now time.Time) error {
	const op = "certificate"

	if err := c.fits(); err != nil {
		return refuse(op, ErrInvalidArgument, "%w", err)
	}
	if from := c.x509Cert.NotBefore; now.Before(from) {
		return refuse(op, ErrCertificateExpired, "valid from %s", from.UTC().Format(time.RFC3339))
	}
	if to := c.x509Cert.NotAfter; now.After(to) {
		return refuse(op, ErrCertificateExpired, "valid until %s", to.UTC().Format(time.RFC3339))
	}

	return nil
}

// tlsCertificate is the certificate in the form that the handshake takes. It
// must be valid.
func (c Certificate) tlsCertificate() tls.Certificate {
	return tls.Certificate{
		Certificate: [][]byte{c.x509Cert.Raw},
		PrivateKey:  c.privateKey,
		Leaf:        c.x509Cert,
	}
}

// Equals tells whether both key and certificate are the same. A Certificate
// without a key or a certificate equals none.
func (c Certificate) Equals(cert Certificate) bool {
	mine, theirs := c.public(), cert.public()
	if mine == nil || theirs == nil || c.x509Cert == nil || cert.x509Cert == nil {
		return false
	}

	return mine.Equal(theirs) && c.x509Cert.Equal(cert.x509Cert)
}

// Expires is the time after which a peer no longer takes the certificate, or
// the zero time if there is no certificate.
func (c Certificate) Expires() time.Time {
	if cert := c.x509Cert; cert != nil {
		return cert.NotAfter
	}

	return time.Time{}
}

// GetFingerprints returns the fingerprints to signal: one, by SHA-256.
func (c Certificate) GetFingerprints() ([]DTLSFingerprint, error) {
	const op = "get fingerprints"

	if c.x509Cert == nil || len(c.x509Cert.Raw) == 0 {
		return nil, refuse(op, ErrInvalidArgument, "certificate is missing")
	}
	value, err := fingerprint.Fingerprint(c.x509Cert, crypto.SHA256)
	if err != nil {
		return nil, opError(op, err)
	}

	return []DTLSFingerprint{{Algorithm: "sha-256", Value: value}}, nil
}

const (
	pemCertificate = "CERTIFICATE"
	pemPrivateKey  = "PRIVATE KEY"
)

// PEM writes the certificate and the private key (PKCS #8) as two PEM blocks,
// which CertificateFromPEM reads. The text holds the secret.
func (c Certificate) PEM() (string, error) {
	const op = "certificate PEM"

	if err := c.fits(); err != nil {
		return "", refuse(op, ErrInvalidArgument, "%w", err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.privateKey)
	if err != nil {
		return "", refuse(op, ErrInvalidArgument, "%w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: c.x509Cert.Raw})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: pemPrivateKey, Bytes: key})...)

	return string(text), nil
}

// keyParsers are the PEM blocks that hold a private key: PKCS #8, which PEM
// writes, and the two older forms that other programs write.
var keyParsers = map[string]func([]byte) (crypto.PrivateKey, error){
	pemPrivateKey:     func(b []byte) (crypto.PrivateKey, error) { return x509.ParsePKCS8PrivateKey(b) },
	"EC PRIVATE KEY":  func(b []byte) (crypto.PrivateKey, error) { return x509.ParseECPrivateKey(b) },
	"RSA PRIVATE KEY": func(b []byte) (crypto.PrivateKey, error) { return x509.ParsePKCS1PrivateKey(b) },
}

// CertificateFromPEM reads one certificate and its private key, in either
// order. Blocks of other types are skipped. A missing, doubled or malformed
// block, or a key that belongs to another certificate, is ErrInvalidArgument.
func CertificateFromPEM(pems string) (*Certificate, error) {
	const op = "certificate from PEM"

	var c Certificate
	for block, rest := pem.Decode([]byte(pems)); block != nil; block, rest = pem.Decode(rest) {
		parseKey, isKey := keyParsers[block.Type]
		if !isKey && block.Type != pemCertificate {
			continue
		}
		if isKey && c.privateKey != nil || !isKey && c.x509Cert != nil {
			return nil, refuse(op, ErrInvalidArgument, "second %s block", block.Type)
		}

		var err error
		if isKey {
			c.privateKey, err = parseKey(block.Bytes)
		} else {
			c.x509Cert, err = parseCertificateBlock(block.Bytes)
		}
		if err != nil {
			return nil, refuse(op, ErrInvalidArgument, "%s block: %w", block.Type, err)
		}
	}
	if err := c.fits(); err != nil {
		return nil, refuse(op, ErrInvalidArgument, "%w", err)
	}

	return &c, nil
}

// parseCertificateBlock also takes what early releases of pion/webrtc wrote:
// base64 inside the base64 of the block.
func parseCertificateBlock(b []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(b)
	if err == nil {
		return cert, nil
	}
	der, decodeErr := base64.StdEncoding.DecodeString(string(b))
	if decodeErr != nil {
		return nil, err
	}

	return x509.ParseCertificate(der)
}

// fingerprintHashes are the algorithms that count, the strongest last. What is
// absent, md5 and sha-1 before all, proves nothing about a certificate.
var fingerprintHashes = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}

// verifyFingerprints checks a peer's certificate, as DER, against what was
// signaled. The strongest algorithm that is understood decides alone, so that
// a weaker one cannot be used to get past it; of several values of that
// algorithm one must match. https://datatracker.ietf.org/doc/html/rfc8122#section-5
func verifyFingerprints(raw []byte, remote []DTLSFingerprint) error {
	const op = "dtls verify fingerprint"

	strongest := -1 // in fingerprintHashes
	var values []string
	for _, f := range remote {
		hash, err := fingerprint.HashFromString(f.Algorithm)
		if err != nil {
			continue
		}
		strength := slices.Index(fingerprintHashes, hash)
		if strength > strongest {
			strongest, values = strength, nil
		}
		if strength == strongest && strength >= 0 {
			values = append(values, f.Value)
		}
	}
	if len(values) == 0 {
		return refuse(op, ErrFingerprintMismatch, "none of %d fingerprints is of a known algorithm", len(remote))
	}
	if len(raw) == 0 {
		return refuse(op, ErrFingerprintMismatch, "peer showed no certificate")
	}

	hash := fingerprintHashes[strongest]
	h := hash.New()
	h.Write(raw)
	sum := h.Sum(nil)
	match := 0
	for _, value := range values {
		match |= subtle.ConstantTimeCompare(sum, parseFingerprint(value))
	}
	if match == 0 {
		return refuse(op, ErrFingerprintMismatch, "%s of the peer's certificate", hash)
	}

	return nil
}

// parseFingerprint reads hexadecimal pairs in either case with a colon between
// any two; anything else gives nil, which matches nothing.
func parseFingerprint(value string) []byte {
	if len(value)%3 != 2 {
		return nil
	}
	sum := make([]byte, 0, (len(value)+1)/3)
	for pair := range bytes.SplitSeq([]byte(value), []byte{':'}) {
		if len(pair) != 2 {
			return nil
		}
		var err error
		if sum, err = hex.AppendDecode(sum, pair); err != nil {
			return nil
		}
	}

	return sum
}
