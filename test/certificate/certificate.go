// Package certificate makes certificates for tests.
package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// A Pair is a self-signed certificate with its key, in PEM.
type Pair struct {
	Chain, Key []byte
	Until      time.Time // the certificate's end
}

// Make makes a certificate for hosts that is valid now.
func Make(t *testing.T, hosts ...string) Pair {
	t.Helper()
	return MakeUntil(t, time.Now().Add(24*time.Hour), hosts...)
}

// MakeUntil makes a certificate for hosts that is valid until a time.
func MakeUntil(t *testing.T, until time.Time, hosts ...string) Pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: hosts, NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return Pair{
		Chain: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		Until: until,
	}
}
