package traffic

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"
)

// handshakeLimit bounds a TLS handshake, so that slow clients do not occupy slots.
const handshakeLimit = 10 * time.Second

// TLS is how a Balancer ends the TLS of its clients. Backends get plain text.
type TLS struct {
	Certificates []Certificate `json:"certificates"`
	// Protocols are the names that ALPN offers. A client that only knows others is
	// refused. Without names nothing is negotiated.
	Protocols []string `json:"protocols,omitempty"`
}

// A Certificate is shown to clients that ask for one of its hosts (SNI).
type Certificate struct {
	Hosts []string `json:"hosts,omitempty"` // such as "example.com" or "*.example.com"; none for all that no other has
	Chain []byte   `json:"chain"`           // PEM, the server's own certificate first
	Key   []byte   `json:"key"`             // PEM
}

// ParseCertificate parses a certificate and its key, in PEM, and returns the server's
// own certificate. The error has nothing of the key.
func ParseCertificate(chain, key []byte) (tls.Certificate, *x509.Certificate, error) {
	// The error of X509KeyPair lists the types of the blocks, which are arbitrary text.
	switch {
	case !bytes.Contains(chain, []byte("-----BEGIN CERTIFICATE-----")):
		return tls.Certificate{}, nil, errors.New("the certificate is not in PEM")
	case !bytes.Contains(key, []byte("PRIVATE KEY-----")):
		return tls.Certificate{}, nil, errors.New("the private key is not in PEM")
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return tls.Certificate{}, nil, errors.New(strings.TrimPrefix(err.Error(), "tls: "))
	}
	return pair, pair.Leaf, nil
}

// SetTLS changes the TLS of clients that connect from now on. Nil is plain text. After
// an error nothing is changed.
func (b *Balancer) SetTLS(t *TLS) error {
	b.setting.Lock()
	defer b.setting.Unlock()
	// A new configuration has new keys for session tickets. Sessions must be resumed
	// as long as nothing changes, and not with a certificate that was replaced.
	if reflect.DeepEqual(t, b.secured) {
		return nil
	}
	config, err := t.config()
	if err != nil {
		return err
	}
	r := *b.reading.Load()
	r.tls, b.secured = config, t
	b.reading.Store(&r)
	return nil
}

func (t *TLS) config() (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	byHost := map[string]*tls.Certificate{} // the default one at ""
	for _, c := range t.Certificates {
		pair, _, err := ParseCertificate(c.Chain, c.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate of %s: %w", strings.Join(c.Hosts, ", "), err)
		}
		hosts := c.Hosts
		if len(hosts) == 0 {
			hosts = []string{""}
		}
		for _, h := range hosts {
			if h = strings.ToLower(h); byHost[h] == nil {
				byHost[h] = &pair
			}
		}
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: slices.Clone(t.Protocols),
		// Without a certificate crypto/tls answers with the alert unrecognized_name.
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
			if c := byHost[name]; c != nil {
				return c, nil
			}
			if label, domain, ok := strings.Cut(name, "."); ok && label != "" {
				if c := byHost["*."+domain]; c != nil {
					return c, nil
				}
			}
			return byHost[""], nil
		},
	}, nil
}

// handshake begins TLS with a client. Its failure is not reported: the client knows it,
// and anybody can cause it.
func (c *conn) handshake(config *tls.Config) bool {
	secured := tls.Server(c.TCPConn, config)
	c.SetDeadline(time.Now().Add(handshakeLimit))
	if secured.Handshake() != nil {
		return false
	}
	c.SetDeadline(time.Time{})
	c.tls = secured
	return true
}

// Read reads what the peer sent, without TLS.
func (c *conn) Read(p []byte) (int, error) {
	if c.tls == nil {
		return c.TCPConn.Read(p)
	}
	n, err := c.tls.Read(p)
	if err != nil && err != io.EOF && !isTimeout(err) {
		c.failed = true
	}
	return n, err
}

// Write writes to the peer, with TLS if it has that.
func (c *conn) Write(p []byte) (int, error) {
	if c.tls == nil {
		return c.TCPConn.Write(p)
	}
	return c.tls.Write(p)
}

// CloseWrite tells the peer that nothing follows.
func (c *conn) CloseWrite() error {
	if c.tls != nil {
		if err := c.tls.CloseWrite(); err != nil {
			return err
		}
	}
	return c.TCPConn.CloseWrite()
}

// source returns what io.Copy reads from.
func (c *conn) source() io.Reader {
	if c.tls == nil {
		return c.TCPConn
	}
	return struct{ io.Reader }{c} // without the methods of TCPConn, which copy what is encrypted
}

// sink returns what io.Copy writes to.
func (c *conn) sink() io.Writer {
	if c.tls == nil {
		return c.TCPConn
	}
	return c.tls
}

// abort makes the end of a client's connection a reset.
func (c *conn) abort() {
	c.reset = true
	c.SetLinger(0)
}

// end closes a client's connection. With TLS the client is told that it has everything
// (close_notify): the end of TCP alone could be an attacker's.
func (c *conn) end() {
	if c.tls != nil && !c.reset {
		c.tls.Close()
	}
	c.Close()
}
