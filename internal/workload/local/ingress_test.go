package local

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/workload/traffic"
	"github.com/adamant-sh/adamant/test/certificate"
)

// declare parses a manifest with Ingress objects of growing age: the first is the oldest.
func declare(t *testing.T, text string) (declaration, exposed) {
	t.Helper()
	f, err := manifest.Parse("web.yaml", []byte(text))
	must(t, err)
	d, err := parseDeclaration(f)
	must(t, err)
	all := exposed{services: d.services}
	for n, i := range d.ingresses {
		all.ingresses = append(all.ingresses, ingressRecord{time.Unix(int64(n), 0), i})
	}
	secrets := map[string]corev1.Secret{}
	for _, s := range d.secrets {
		secrets[nameOf(s.ObjectMeta)] = s
	}
	all.pairs = newKeyPairs(secrets)
	return d, all
}

// ingressText is the manifest of one.
func ingressText(name, annotations, spec string) string {
	return fmt.Sprintf("\n---\n{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: %s, annotations: {%s}}, spec: {%s}}", name, annotations, spec)
}

// rule is the text of a rule; each path is followed by its type and Service.
func rule(host string, paths ...string) string {
	var list []string
	for p := range slices.Chunk(paths, 3) {
		list = append(list, fmt.Sprintf("{path: %s, pathType: %s, backend: {service: {name: %s, port: {number: 80}}}}", p[0], p[1], p[2]))
	}
	return fmt.Sprintf(`{host: "%s", http: {paths: [%s]}}`, host, strings.Join(list, ", "))
}

const backendText = "defaultBackend: {service: {name: web, port: {name: http}}}"

func secretText(name string, c certificate.Pair) string {
	return fmt.Sprintf("\n---\n{apiVersion: v1, kind: Secret, metadata: {name: %s}, type: kubernetes.io/tls, stringData: {tls.crt: %q, tls.key: %q}}", name, c.Chain, c.Key)
}

const webService = `{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80, name: http}, {port: 81, name: admin}]}}`

// shortRules formats rules as host, path, "=" for an exact one, the Service and the redirect.
func shortRules(list []traffic.Rule) []string {
	var short []string
	for _, r := range list {
		s := cmp.Or(r.Host, "any") + r.Path
		if r.Exact {
			s += "="
		}
		s += " " + cmp.Or(strings.TrimSuffix(strings.TrimPrefix(r.To, "default/"), " (ingress)"), "none")
		if r.Redirect != 0 {
			s += fmt.Sprintf(" %d", r.Redirect)
		}
		short = append(short, s)
	}
	return short
}

func TestDoors(t *testing.T) {
	pair := certificate.Make(t, "a.example.com")
	for _, tt := range []struct {
		name, text string
		want       map[string][]string // rules by address
		notes      []string
	}{
		{"default alone", ingressText("a", "", backendText), map[string][]string{"127.0.0.1:80": {"any/ web:80"}}, nil},
		{
			"paths", ingressText("a", "", "rules: ["+rule("a.example.com", "/", "Prefix", "web", "/x", "Exact", "web")+"]"),
			map[string][]string{"127.0.0.1:80": {"a.example.com/ web:80", "a.example.com/x= web:80"}}, nil,
		},
		{
			"two share an address, the older has the path",
			ingressText("b", "", "rules: ["+rule("a.example.com", "/x", "Prefix", "web")+"]") +
				ingressText("a", "", backendText+", rules: ["+rule("a.example.com", "/x/", "ImplementationSpecific", "none", "/x", "Exact", "web")+", {host: b.example.com}]"),
			map[string][]string{"127.0.0.1:80": {"a.example.com/x web:80", "a.example.com/x= web:80", "a.example.com/ web:80", "b.example.com/ web:80", "any/ web:80"}},
			[]string{"Ingress default/a: a.example.com/x/ is served as in Ingress default/b, which is older"},
		},
		{
			"the default of the host's own Ingress first",
			ingressText("a", "", backendText) + ingressText("b", "", "defaultBackend: {service: {name: web, port: {number: 81}}}, rules: ["+rule("b.example.com", "/x", "Prefix", "web")+"]"),
			map[string][]string{"127.0.0.1:80": {"b.example.com/x web:80", "b.example.com/ web:81", "any/ web:80"}}, nil,
		},
		{
			"twice in one", ingressText("a", "", "tls: [{hosts: [a.example.com], secretName: cert}], rules: ["+rule("a.example.com", "/x", "Prefix", "web", "/x/", "Prefix", "none")+"]"),
			map[string][]string{"127.0.0.1:80": {"a.example.com/x web:80 443"}, "127.0.0.1:443": {"a.example.com/x web:80"}},
			[]string{"Ingress default/a: a.example.com/x/ is there twice: the first one is served"},
		},
		{
			"TLS", ingressText("a", "", "tls: [{hosts: [a.example.com], secretName: cert}], rules: ["+rule("a.example.com", "/", "Prefix", "web")+", "+rule("b.example.com", "/", "Prefix", "web")+"]"),
			map[string][]string{
				"127.0.0.1:80":  {"a.example.com/ web:80 443", "b.example.com/ web:80"},
				"127.0.0.1:443": {"a.example.com/ web:80", "b.example.com/ web:80"},
			}, nil,
		},
		{
			"TLS for all hosts, elsewhere", ingressText("a", `adamant.sh/listen: "0.0.0.0", adamant.sh/listen-tls: "0.0.0.0:8443"`, "tls: [{secretName: cert}], "+backendText),
			map[string][]string{"0.0.0.0:80": {"any/ web:80 8443"}, "0.0.0.0:8443": {"any/ web:80"}}, nil,
		},
		{
			"no redirect", ingressText("a", `adamant.sh/ssl-redirect: "false"`, "tls: [{hosts: ['*.example.com'], secretName: cert}], rules: ["+rule("a.example.com", "/", "Prefix", "web")+"]"),
			map[string][]string{"127.0.0.1:80": {"a.example.com/ web:80"}, "127.0.0.1:443": {"a.example.com/ web:80"}}, nil,
		},
		{
			"no such Service, and no such port",
			ingressText("a", "", "defaultBackend: {service: {name: web, port: {name: metrics}}}, rules: ["+rule("", "/", "Prefix", "api")+"]"),
			map[string][]string{"127.0.0.1:80": {"any/ none", "any/ none"}},
			[]string{"Ingress default/a: there is no Service api: the answer is 503", "Ingress default/a: Service web has no port metrics: the answer is 503"},
		},
		{
			"a Service outside",
			"\n---\n{apiVersion: v1, kind: Service, metadata: {name: out}, spec: {type: ExternalName, externalName: example.com}}" + ingressText("a", "", "rules: ["+rule("", "/", "Prefix", "out")+"]"),
			map[string][]string{"127.0.0.1:80": {"any/ none"}},
			[]string{"Ingress default/a: Service out is a name outside: the answer is 503"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, all := declare(t, webService+secretText("cert", pair)+tt.text)
			d := newDoors(all)
			got := map[string][]string{}
			for _, l := range d.listeners() {
				got[l.Address] = shortRules(l.Rules)
				if (l.TLS != nil) != strings.HasSuffix(l.Address, "443") {
					t.Errorf("%s: TLS %v", l.Address, l.TLS)
				}
				if l.TLS != nil && len(l.TLS.Certificates) != 1 {
					t.Errorf("%s: %d certificates", l.Address, len(l.TLS.Certificates))
				}
			}
			if diff := gocmp.Diff(got, tt.want); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
			if diff := gocmp.Diff(d.notes, tt.notes); diff != "" {
				t.Errorf("notes: -got +want\n%s", diff)
			}
		})
	}
}

// TestYieldedAddress has a Service whose address is that of an Ingress.
func TestYieldedAddress(t *testing.T) {
	for annotation, want := range map[string][]string{
		"":                               {"default/web:80 (ingress) at ", "default/web:81 at 127.0.0.1:81"},
		"adamant.sh/listen: '127.0.0.2'": {"default/web:80 (ingress) at ", "default/web:80 at 127.0.0.2:80", "default/web:81 at 127.0.0.2:81"},
	} {
		_, all := declare(t, strings.Replace(webService, "{name: web}", "{name: web, annotations: {"+annotation+"}}", 1)+ingressText("a", "", backendText))
		s := &service{Service: all.services[0]}
		var got []string
		for _, l := range s.listeners(nil, nil, newDoors(all), nil) {
			got = append(got, l.Name+" at "+l.Address)
		}
		if diff := gocmp.Diff(got, want); diff != "" {
			t.Errorf("-got +want\n%s", diff)
		}
	}
}

func TestEntrances(t *testing.T) {
	for annotations, want := range map[string]string{
		"adamant.sh/listen: here":                "adamant.sh/listen",
		"adamant.sh/listen: '127.0.0.1:0'":       "adamant.sh/listen",
		"adamant.sh/listen-tls: '127.0.0.1:80'":  "adamant.sh/listen-tls",
		"adamant.sh/listen-tls: '[::1]:99999'":   "adamant.sh/listen-tls",
		"adamant.sh/forwarded: both":             "adamant.sh/forwarded",
		"adamant.sh/ssl-redirect: 'no'":          "adamant.sh/ssl-redirect",
		"adamant.sh/listen-tls: '[::1]:8443'":    "",
		"adamant.sh/listen: '0.0.0.0'":           "",
		"adamant.sh/forwarded: append":           "",
		"nginx.ingress.kubernetes.io/rewrite: a": "",
	} {
		d, _ := declare(t, ingressText("a", annotations, "tls: [{secretName: cert}], "+backendText))
		_, err := newEntrance(d.ingresses[0])
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), "annotation "+want+":") {
			t.Errorf("%s: %v", annotations, err)
		}
	}
	d, _ := declare(t, ingressText("a", "nginx.ingress.kubernetes.io/rewrite-target: /, example.com/owner: me", backendText))
	if got := annotationNotes(d.ingresses[0]); len(got) != 1 || !strings.Contains(got[0], "rewrite-target has no meaning here") {
		t.Error(got)
	}
}

func TestCertificates(t *testing.T) {
	good, other := certificate.Make(t, "a.example.com", "*.b.example.com"), certificate.Make(t, "a.example.com")
	old := certificate.MakeUntil(t, time.Now().Add(-time.Hour), "a.example.com")
	mixed := certificate.Pair{Chain: good.Chain, Key: other.Key}
	secured := strings.Replace(webService, "{name: web}", "{name: web, annotations: {adamant.sh/tls-secret: cert}}", 1)
	entry := func(hosts string) string {
		return ingressText("a", "", "tls: [{hosts: ["+hosts+"], secretName: cert}], "+backendText)
	}
	for _, tt := range []struct {
		name, text string
		refused    string
		warnings   []string
	}{
		{"good", secured + secretText("cert", good), "", nil},
		{"hosts", webService + secretText("cert", good) + entry("a.example.com, x.b.example.com, '*.b.example.com'"), "", nil},
		{
			"other hosts", webService + secretText("cert", good) + entry("b.example.com, '*.example.com'"), "",
			[]string{"Ingress default/a: the certificate in Secret cert is not for b.example.com", "Ingress default/a: the certificate in Secret cert is not for *.example.com"},
		},
		{"expired", secured + secretText("cert", old), "", []string{"Service default/web: the certificate in Secret cert expired at " + old.Until.UTC().Format(time.RFC3339)}},
		{"another key", secured + secretText("cert", mixed), "web.yaml:3:1: data: secret cert: private key does not match", nil},
		{"missing", secured, `web.yaml:1:69: metadata.annotations["adamant.sh/tls-secret"]: secret cert: there is no such Secret`, nil},
		{"missing at an Ingress", webService + entry("a.example.com"), "spec.tls[0].secretName: secret cert: there is no such Secret", nil},
		{"no PEM", secured + secretText("cert", certificate.Pair{Chain: good.Chain, Key: []byte("s3cret")}), "secret cert: the private key is not in PEM; Service web is served with it", nil},
		{"of another type", secured + strings.Replace(secretText("cert", good), "kubernetes.io/tls", "Opaque", 1), "web.yaml:3:56: type: Service web is served with it: want kubernetes.io/tls", nil},
		{"of another namespace", secured + strings.Replace(secretText("cert", good), "name: cert", "name: cert, namespace: other", 1), "there is no such Secret", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, all := declare(t, tt.text)
			warnings, err := checkCertificates(d, all, time.Now())
			if tt.refused == "" && err != nil || tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)) {
				t.Errorf("got %v, want %q", err, tt.refused)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Error("the error has a private key")
			}
			if diff := gocmp.Diff(warnings, tt.warnings); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
			l := newDoors(all)
			for _, s := range all.services {
				one := &service{Service: s}
				for _, got := range one.listeners(nil, nil, l, nil) {
					if tt.refused != "" && got.Address != "" && s.Annotations[annotationTLS] != "" {
						t.Errorf("%s is open without its certificate", got.Name)
					}
				}
			}
		})
	}
	// A Secret alone is checked against what is stored.
	_, stored := declare(t, secured+secretText("cert", mixed))
	d, _ := declare(t, strings.TrimPrefix(secretText("cert", mixed), "\n---\n"))
	if _, err := checkCertificates(d, stored, time.Now()); err == nil || !strings.Contains(err.Error(), "Service web is served with it") {
		t.Errorf("got %v", err)
	}
	// And what is not declared does not matter.
	d, _ = declare(t, webService)
	d.services[0].Name = "other"
	if _, err := checkCertificates(d, stored, time.Now()); err != nil {
		t.Error(err)
	}
}

func TestALPN(t *testing.T) {
	for port, want := range map[string]string{"http": "http/1.1 http/1.0", "https": "http/1.1 http/1.0", "grpc": "h2", "tls": "", "": ""} {
		if got := strings.Join(alpn(corev1.ServicePort{Name: port}), " "); got != want {
			t.Errorf("%s: got %q", port, got)
		}
	}
}

func TestIngressText(t *testing.T) {
	for _, tt := range []struct {
		in   IngressStatus
		want string
	}{
		{IngressStatus{}, ""},
		{IngressStatus{Address: "127.0.0.1:80"}, "http://127.0.0.1:80"},
		{IngressStatus{Address: "127.0.0.1:80", Hosts: []string{"a.b", "c.d"}}, "http://a.b, http://c.d at 127.0.0.1:80"},
		{IngressStatus{Address: "127.0.0.1:80", TLS: "127.0.0.1:8443", Hosts: []string{"a.b"}}, "https://a.b:8443 at 127.0.0.1:8443"},
	} {
		if got := tt.in.urls(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	if s := (Status{Ingresses: []IngressStatus{{Address: "127.0.0.1:80", TLS: "127.0.0.1:443"}}}); s.address() != "127.0.0.1:443" || s.addresses() != "127.0.0.1:80,127.0.0.1:443" {
		t.Error(s.address(), s.addresses())
	}
}
