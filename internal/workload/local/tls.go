package local

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

// annotationTLS is the annotation of a Service with the name of a Secret whose
// certificate its ports are served with.
const annotationTLS = "adamant.sh/tls-secret"

// keyPairs are the Secrets with a certificate, by namespace/name. The private keys leave
// the process only on the socket of the balancer.
type keyPairs map[string]keyPair

// A keyPair is a certificate with its private key.
type keyPair struct {
	chain, key []byte
	leaf       *x509.Certificate
	err        error // why it cannot be used
}

// newKeyPairs returns those of secrets that are of type kubernetes.io/tls.
func newKeyPairs(secrets map[string]corev1.Secret) keyPairs {
	pairs := keyPairs{}
	for name, s := range secrets {
		if s.Type == corev1.SecretTypeTLS {
			pairs[name] = newKeyPair(s)
		}
	}
	return pairs
}

func newKeyPair(s corev1.Secret) keyPair {
	p := keyPair{chain: s.Data[corev1.TLSCertKey], key: s.Data[corev1.TLSPrivateKeyKey]}
	if _, p.leaf, p.err = traffic.ParseCertificate(p.chain, p.key); p.err != nil {
		p.err = fmt.Errorf("secret %s: %w", s.Name, p.err)
	}
	return p
}

var errNoKeyPair = errors.New("there is no such Secret of type kubernetes.io/tls")

// certificate returns the certificate in a Secret for hosts.
func (k keyPairs) certificate(namespace, secret string, hosts []string) (traffic.Certificate, error) {
	p, ok := k[namespace+"/"+secret]
	if !ok {
		return traffic.Certificate{}, fmt.Errorf("secret %s: %w", secret, errNoKeyPair)
	}
	return traffic.Certificate{Hosts: hosts, Chain: p.chain, Key: p.key}, p.err
}

// warnings returns what does not prevent the use of a certificate for hosts.
func (p keyPair) warnings(name string, hosts []string, now time.Time) []string {
	var list []string
	switch {
	case now.After(p.leaf.NotAfter):
		list = append(list, fmt.Sprintf("the certificate in Secret %s expired at %s", name, p.leaf.NotAfter.Format(time.RFC3339)))
	case now.Before(p.leaf.NotBefore):
		list = append(list, fmt.Sprintf("the certificate in Secret %s is not valid before %s", name, p.leaf.NotBefore.Format(time.RFC3339)))
	}
	for _, h := range hosts {
		if !slices.Contains(p.leaf.DNSNames, h) && (strings.HasPrefix(h, "*") || p.leaf.VerifyHostname(h) != nil) {
			list = append(list, fmt.Sprintf("the certificate in Secret %s is not for %s", name, h))
		}
	}
	return list
}

// tlsOf returns how a Service's port is served with TLS, nil for plain text.
func tlsOf(s corev1.Service, p corev1.ServicePort, pairs keyPairs) (*traffic.TLS, error) {
	name, ok := s.Annotations[annotationTLS]
	if !ok {
		return nil, nil
	}
	c, err := pairs.certificate(s.Namespace, name, nil)
	if err != nil {
		return nil, fmt.Errorf("annotation %s: %w", annotationTLS, err)
	}
	return &traffic.TLS{Certificates: []traffic.Certificate{c}, Protocols: alpn(p)}, nil
}

// alpn returns the protocols that a port can be asked for with TLS. A client that offers
// others is refused, so a port of an unknown protocol has none.
func alpn(p corev1.ServicePort) []string {
	switch appProtocol(p) {
	case "grpc", "h2c", "kubernetes.io/h2c": // backends take HTTP/2 without TLS
		return []string{"h2"}
	}
	if protocolOf(p, true) == traffic.HTTP {
		return []string{"http/1.1", "http/1.0"}
	}
	return nil
}

// checkCertificates returns an error for each certificate that the objects of a
// declaration need, or replace, and that cannot be used, and warnings. all are the
// objects after the apply.
func checkCertificates(d declaration, all exposed, now time.Time) (warnings []string, _ error) {
	var refused manifest.Errors
	use := func(kind, namespace, name, field, secret string, hosts []string) {
		isNew := d.declares("Secret", namespace+"/"+secret)
		if !isNew && !d.declares(kind, namespace+"/"+name) {
			return
		}
		_, err := all.pairs.certificate(namespace, secret, hosts)
		switch {
		case err == nil:
			for _, w := range all.pairs[namespace+"/"+secret].warnings(secret, hosts, now) {
				warnings = append(warnings, fmt.Sprintf("%s %s/%s: %s", kind, namespace, name, w))
			}
		case isNew && !errors.Is(err, errNoKeyPair):
			refused = append(refused, d.file.Errorf("Secret", namespace, secret, "data", "", "%v; %s %s is served with it", err, kind, name))
		case isNew:
			refused = append(refused, d.file.Errorf("Secret", namespace, secret, "type", "", "%s %s is served with it: want %s", kind, name, corev1.SecretTypeTLS))
		default:
			refused = append(refused, d.file.Errorf(kind, namespace, name, field, "", "%v", err))
		}
	}
	for _, s := range all.services {
		if secret, ok := s.Annotations[annotationTLS]; ok {
			use("Service", s.Namespace, s.Name, `metadata.annotations["`+annotationTLS+`"]`, secret, nil)
		}
	}
	for _, r := range all.ingresses {
		for i, t := range r.Ingress.Spec.TLS {
			use("Ingress", r.Ingress.Namespace, r.Ingress.Name, fmt.Sprintf("spec.tls[%d].secretName", i), t.SecretName, t.Hosts)
		}
	}
	if len(refused) > 0 {
		return nil, refused
	}
	return warnings, nil
}

// checkUnused returns an error if a Service or Ingress is served with the certificate in a
// Secret: without it nothing could be served.
func checkUnused(t tx, namespace, secret string) error {
	cur, err := readCurrent(t, declaration{})
	if err != nil {
		return err
	}
	for name, s := range cur.services {
		if s.Namespace == namespace && s.Annotations[annotationTLS] == secret {
			return fmt.Errorf("secret %s/%s: Service %s is served with it; delete that first", namespace, secret, name)
		}
	}
	for name, r := range cur.ingresses {
		if r.Ingress.Namespace == namespace && slices.ContainsFunc(r.Ingress.Spec.TLS, func(t networkingv1.IngressTLS) bool { return t.SecretName == secret }) {
			return fmt.Errorf("secret %s/%s: Ingress %s is served with it; delete that first", namespace, secret, name)
		}
	}
	return nil
}
