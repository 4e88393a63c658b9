package webrtc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func ecdsaKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)

	return key
}

// testKeys has one key of each kind that works.
func testKeys(t *testing.T) map[string]crypto.PrivateKey {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)

	return map[string]crypto.PrivateKey{
		"ECDSA P-256": ecdsaKey(t, elliptic.P256()),
		"ECDSA P-384": ecdsaKey(t, elliptic.P384()),
		"RSA":         rsaKey,
		"Ed25519":     edKey,
	}
}

func TestD8_GenerateCertificate(t *testing.T) {
	names, serials := map[string]bool{}, map[string]bool{}
	keys := testKeys(t)
	for name, key := range keys {
		t.Run(name, func(t *testing.T) {
			c, err := GenerateCertificate(key)
			require.NoError(t, err)
			require.NoError(t, c.valid(time.Now()))
			assert.WithinDuration(t, time.Now().AddDate(0, 1, 0), c.Expires(), 4*24*time.Hour)
			assert.WithinDuration(t, time.Now().AddDate(0, 0, -1), c.x509Cert.NotBefore, time.Hour)
			require.NoError(t, c.x509Cert.CheckSignature(
				c.x509Cert.SignatureAlgorithm, c.x509Cert.RawTBSCertificate, c.x509Cert.Signature))
			assert.Positive(t, c.x509Cert.SerialNumber.Sign())
			names[c.x509Cert.Subject.CommonName] = true
			serials[c.x509Cert.SerialNumber.String()] = true

			tlsCert := c.tlsCertificate()
			assert.Equal(t, [][]byte{c.x509Cert.Raw}, tlsCert.Certificate)
			assert.Equal(t, key, tlsCert.PrivateKey)

			sum := sha256.Sum256(c.x509Cert.Raw)
			fingerprints, err := c.GetFingerprints()
			require.NoError(t, err)
			assert.Equal(t, []DTLSFingerprint{{Algorithm: "sha-256", Value: colons(sum[:])}}, fingerprints)
			require.NoError(t, verifyFingerprints(c.x509Cert.Raw, fingerprints))
		})
	}
	assert.Len(t, names, len(keys), "names repeat")
	assert.Len(t, serials, len(keys), "serial numbers repeat")
}

// The clock of a bubble starts in the year 2000.
func TestD8_DefaultCertificateInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := generateDefaultCertificate()
		require.NoError(t, err)
		require.Equal(t, 2000, c.Expires().Year())
		require.NoError(t, c.valid(time.Now()))
		key, ok := c.privateKey.(*ecdsa.PrivateKey)
		require.True(t, ok)
		assert.Equal(t, elliptic.P256(), key.Curve)

		time.Sleep(33 * 24 * time.Hour) // virtual
		require.ErrorIs(t, c.valid(time.Now()), ErrCertificateExpired)
	})
}

func TestD8_Expiry(t *testing.T) {
	from := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	to := from.Add(time.Hour)
	c, err := NewCertificate(ecdsaKey(t, elliptic.P256()), x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to,
	})
	require.NoError(t, err)
	require.True(t, c.Expires().Equal(to))
	for _, tc := range []struct {
		name string
		now  time.Time
		want error
	}{
		{"long before", from.AddDate(-1, 0, 0), ErrCertificateExpired},
		{"just before", from.Add(-time.Second), ErrCertificateExpired},
		{"first moment", from, nil},
		{"last moment", to, nil},
		{"just after", to.Add(time.Second), ErrCertificateExpired},
	} {
		t.Run(tc.name, func(t *testing.T) { assert.ErrorIs(t, c.valid(tc.now), tc.want) })
	}
}

func TestD8_BadKeys(t *testing.T) {
	good := ecdsaKey(t, elliptic.P256())
	otherCurve := *good
	otherCurve.Curve = elliptic.P384()
	noCurve := *good
	noCurve.Curve = nil
	for name, key := range map[string]crypto.PrivateKey{
		"nil":             nil,
		"nil ECDSA":       (*ecdsa.PrivateKey)(nil),
		"zero ECDSA":      &ecdsa.PrivateKey{},
		"ECDSA, no D":     &ecdsa.PrivateKey{PublicKey: good.PublicKey},
		"ECDSA, no curve": &noCurve,
		"ECDSA, unfit":    &otherCurve,
		"ECDSA P-224":     ecdsaKey(t, elliptic.P224()),
		"nil RSA":         (*rsa.PrivateKey)(nil),
		"zero RSA":        &rsa.PrivateKey{},
		"RSA, nil primes": &rsa.PrivateKey{
			PublicKey: rsa.PublicKey{N: big.NewInt(15), E: 3}, D: big.NewInt(3), Primes: []*big.Int{nil, nil},
		},
		"RSA, tiny": &rsa.PrivateKey{
			PublicKey: rsa.PublicKey{N: big.NewInt(15), E: 3}, D: big.NewInt(3),
			Primes: []*big.Int{big.NewInt(3), big.NewInt(5)},
		},
		"Ed25519, nil":    ed25519.PrivateKey(nil),
		"Ed25519, short":  ed25519.PrivateKey("short"),
		"another type":    "key",
		"a public key":    good.Public(),
		"pointer Ed25519": new(ed25519.PrivateKey),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := GenerateCertificate(key)
			require.ErrorIs(t, err, ErrInvalidArgument)
			_, err = NewCertificate(key, x509.Certificate{SerialNumber: big.NewInt(1)})
			require.ErrorIs(t, err, ErrInvalidArgument)

			whole, err := GenerateCertificate(good)
			require.NoError(t, err)
			c := CertificateFromX509(key, whole.x509Cert)
			require.ErrorIs(t, c.valid(time.Now()), ErrInvalidArgument)
			_, err = c.PEM()
			require.ErrorIs(t, err, ErrInvalidArgument)
			assert.False(t, c.Equals(c))
			assert.False(t, whole.Equals(c))
		})
	}
}

func TestD8_BadTemplate(t *testing.T) {
	_, err := NewCertificate(ecdsaKey(t, elliptic.P256()), x509.Certificate{SerialNumber: big.NewInt(-1)})
	require.ErrorIs(t, err, ErrInvalidArgument)
}

func TestD8_MissingCertificate(t *testing.T) {
	key := ecdsaKey(t, elliptic.P256())
	for name, c := range map[string]Certificate{
		"zero":             {},
		"nil certificate":  CertificateFromX509(key, nil),
		"zero certificate": CertificateFromX509(key, &x509.Certificate{}),
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, c.valid(time.Now()), ErrInvalidArgument)
			_, err := c.GetFingerprints()
			require.ErrorIs(t, err, ErrInvalidArgument)
			_, err = c.PEM()
			require.ErrorIs(t, err, ErrInvalidArgument)
			assert.True(t, c.Expires().IsZero())
		})
	}
	assert.False(t, Certificate{}.Equals(Certificate{}))
}

func TestD8_Equals(t *testing.T) {
	keys := testKeys(t)
	made := map[string]*Certificate{}
	for name, key := range keys {
		c, err := GenerateCertificate(key)
		require.NoError(t, err)
		made[name] = c
	}
	for name, c := range made {
		for other, d := range made {
			assert.Equal(t, name == other, c.Equals(*d), "%s, %s", name, other)
		}
		again, err := GenerateCertificate(keys[name])
		require.NoError(t, err)
		assert.False(t, c.Equals(*again), "another certificate of the same key")
		mixed := CertificateFromX509(keys[name], again.x509Cert)
		assert.True(t, again.Equals(mixed))
	}
	mismatched := CertificateFromX509(keys["RSA"], made["Ed25519"].x509Cert)
	assert.False(t, made["Ed25519"].Equals(mismatched), "the same certificate with another key")
	require.ErrorIs(t, mismatched.valid(time.Now()), ErrInvalidArgument)
}

func TestD8_PEM(t *testing.T) {
	for name, key := range testKeys(t) {
		t.Run(name, func(t *testing.T) {
			c, err := GenerateCertificate(key)
			require.NoError(t, err)
			text, err := c.PEM()
			require.NoError(t, err)
			back, err := CertificateFromPEM(text)
			require.NoError(t, err)
			assert.True(t, c.Equals(*back))
			again, err := back.PEM()
			require.NoError(t, err)
			assert.Equal(t, text, again)
		})
	}
}

// pionPEM was written by pion/webrtc 4.2.20, and pionFingerprint with it.
const (
	pionPEM = `-----BEGIN CERTIFICATE-----
MIIBHjCBxKADAgECAhAMJjmRS6197yOIyjWlQ+qtMAoGCCqGSM49BAMCMBExDzAN
BgNVBAMTBldlYlJUQzAeFw0yNjExMTkxMzUzMTVaFw0yNjEyMTkxMzUzMTVaMBEx
DzANBgNVBAMTBldlYlJUQzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJAj/LtZ
sOIY8jg2oMq/i8rD9byhAbaXBcUN3+bPDlWM4NfkCkUZ8gl6eecct9G4h8gZymL0
hRiB7ZZqNbhRhJ8wCgYIKoZIzj0EAwIDSQAwRgIhANpsNiVg9oMOmE5wvMSA2Exo
+Oawp2FWkBen0/e4sw2IAiEAsLUgCow3OOP48lrwrhkFXRIaKle7T/sTn+GJsm1g
byo=
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgq1Rloz3k9OjO/sB6
0qw/3KnS4uSbNgUO/8WorTb6cm2hRANCAASQI/y7WbDiGPI4NqDKv4vKw/W8oQG2
lwXFDd/mzw5VjODX5ApFGfIJennnHLfRuIfIGcpi9IUYge2WajW4UYSf
-----END PRIVATE KEY-----
`
	pionFingerprint = "e6:7b:93:e1:2e:88:6c:ba:37:4b:d8:a5:fe:00:24:97:" +
		"4c:5d:92:8e:ef:2e:24:80:fd:ac:38:56:20:f9:80:c0"
)

func TestD8_PEMOfPion(t *testing.T) {
	c, err := CertificateFromPEM(pionPEM)
	require.NoError(t, err)
	fingerprints, err := c.GetFingerprints()
	require.NoError(t, err)
	assert.Equal(t, []DTLSFingerprint{{Algorithm: "sha-256", Value: pionFingerprint}}, fingerprints)
	text, err := c.PEM()
	require.NoError(t, err)
	assert.Equal(t, pionPEM, text, "not the form that pion writes")
}

func TestD8_PEMForms(t *testing.T) {
	key := ecdsaKey(t, elliptic.P256())
	c, err := GenerateCertificate(key)
	require.NoError(t, err)
	other, err := GenerateCertificate(ecdsaKey(t, elliptic.P256()))
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	rsaCert, err := GenerateCertificate(rsaKey)
	require.NoError(t, err)

	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	sec1, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	cert, private := block("CERTIFICATE", c.x509Cert.Raw), block("PRIVATE KEY", pkcs8)

	for _, tc := range []struct {
		name, text string
		want       *Certificate
	}{
		{"key first", private + cert, c},
		{"another block", block("EC PARAMETERS", []byte{1}) + cert + private, c},
		{"text around", "hello\n" + cert + "between\n" + private + "end", c},
		{"SEC 1 key", cert + block("EC PRIVATE KEY", sec1), c},
		{
			"PKCS 1 key",
			block("CERTIFICATE", rsaCert.x509Cert.Raw) + block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)),
			rsaCert,
		},
		{
			"base64 inside",
			block("CERTIFICATE", []byte(base64.StdEncoding.EncodeToString(c.x509Cert.Raw))) + private, c,
		},

		{"empty", "", nil},
		{"no PEM", "hello", nil},
		{"certificate alone", cert, nil},
		{"key alone", private, nil},
		{"two certificates", cert + cert + private, nil},
		{"two keys", cert + private + private, nil},
		{"two keys of different types", cert + private + block("EC PRIVATE KEY", sec1), nil},
		{"malformed certificate", block("CERTIFICATE", []byte("!")) + private, nil},
		{"empty certificate", block("CERTIFICATE", nil) + private, nil},
		{"malformed inside base64", block("CERTIFICATE", []byte("AAAA")) + private, nil},
		{"malformed key", cert + block("PRIVATE KEY", []byte("!")), nil},
		{"another's key", block("CERTIFICATE", other.x509Cert.Raw) + private, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := CertificateFromPEM(tc.text)
			if tc.want == nil {
				require.ErrorIs(t, err, ErrInvalidArgument)
				assert.Nil(t, got)

				return
			}
			require.NoError(t, err)
			assert.True(t, tc.want.Equals(*got))
		})
	}
}

// colons is a hash in the form that signaling carries.
func colons(sum []byte) string {
	return strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":")
}

func TestD1_VerifyFingerprints(t *testing.T) {
	raw := []byte("a certificate in DER")
	s256, s384, s512 := sha256.Sum256(raw), sha512.Sum384(raw), sha512.Sum512(raw)
	s224, s1, m5 := sha256.Sum224(raw), sha1.Sum(raw), md5.Sum(raw)
	fp := func(algorithm string, sum []byte) DTLSFingerprint {
		return DTLSFingerprint{Algorithm: algorithm, Value: colons(sum)}
	}
	value := func(text string) []DTLSFingerprint { return []DTLSFingerprint{{Algorithm: "sha-256", Value: text}} }
	good := colons(s256[:])
	wrong256, wrong512 := fp("sha-256", make([]byte, 32)), fp("sha-512", make([]byte, 64))

	for _, tc := range []struct {
		name   string
		raw    []byte
		remote []DTLSFingerprint
		ok     bool
	}{
		{"sha-256", raw, []DTLSFingerprint{fp("sha-256", s256[:])}, true},
		{"sha-384", raw, []DTLSFingerprint{fp("sha-384", s384[:])}, true},
		{"sha-512", raw, []DTLSFingerprint{fp("sha-512", s512[:])}, true},
		{"algorithm in capitals", raw, []DTLSFingerprint{fp("SHA-256", s256[:])}, true},
		{"value in capitals", raw, value(strings.ToUpper(good)), true},
		{"value in both", raw, value(strings.ToUpper(good[:5]) + good[5:]), true},
		{"unknown is skipped", raw, []DTLSFingerprint{fp("sha3-512", s512[:]), fp("sha-256", s256[:])}, true},
		{"empty algorithm is skipped", raw, []DTLSFingerprint{{}, fp("sha-256", s256[:])}, true},
		{"wrong md5 is skipped", raw, []DTLSFingerprint{fp("md5", s256[:16]), fp("sha-256", s256[:])}, true},
		{"second of the strongest", raw, []DTLSFingerprint{wrong256, fp("sha-256", s256[:])}, true},
		{"first of the strongest", raw, []DTLSFingerprint{fp("sha-256", s256[:]), wrong256}, true},
		{"strongest right, weaker wrong", raw, []DTLSFingerprint{wrong256, fp("sha-512", s512[:])}, true},
		{"strongest right and first", raw, []DTLSFingerprint{fp("sha-384", s384[:]), wrong256}, true},

		{"none", raw, nil, false},
		{"wrong", raw, []DTLSFingerprint{wrong256}, false},
		{"two wrong", raw, []DTLSFingerprint{wrong256, wrong256}, false},
		{"strongest wrong, weaker right", raw, []DTLSFingerprint{fp("sha-256", s256[:]), wrong512}, false},
		{"strongest wrong and first", raw, []DTLSFingerprint{wrong512, fp("sha-256", s256[:])}, false},
		{
			"strongest malformed, weaker right", raw,
			[]DTLSFingerprint{fp("sha-256", s256[:]), {Algorithm: "sha-512", Value: "no"}},
			false,
		},
		{"md5 alone", raw, []DTLSFingerprint{fp("md5", m5[:])}, false},
		{"sha-1 alone", raw, []DTLSFingerprint{fp("sha-1", s1[:])}, false},
		{"sha-224 alone", raw, []DTLSFingerprint{fp("sha-224", s224[:])}, false},
		{"unknown alone", raw, []DTLSFingerprint{fp("sha-257", s256[:])}, false},
		{"right value of another algorithm", raw, []DTLSFingerprint{fp("sha-384", s256[:])}, false},
		{"another certificate", []byte("another"), []DTLSFingerprint{fp("sha-256", s256[:])}, false},
		{"no certificate", nil, []DTLSFingerprint{fp("sha-256", s256[:])}, false},
		{"empty value", raw, value(""), false},
		{"no colons", raw, value(strings.ReplaceAll(good, ":", "")), false},
		{"a part", raw, value(good[:len(good)-3]), false},
		{"more", raw, value(good + ":00"), false},
		{"colon at the end", raw, value(good + ":"), false},
		{"colons shifted", raw, value(":" + strings.Replace(good, ":", "", 1)), false},
		{"no hexadecimals", raw, value("zz" + good[2:]), false},
		{"space", raw, value(" " + good), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := verifyFingerprints(tc.raw, tc.remote)
			if tc.ok {
				require.NoError(t, err)

				return
			}
			require.ErrorIs(t, err, ErrFingerprintMismatch)
		})
	}
}
