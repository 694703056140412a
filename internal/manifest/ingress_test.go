package manifest

import (
	"fmt"
	"strings"
	"testing"
)

func parseIngress(t *testing.T, metadata, spec string) File {
	t.Helper()
	f, err := Parse("web.yaml", fmt.Appendf(nil, "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web%s}\nspec: {%s}\n", metadata, spec))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestIngresses(t *testing.T) {
	const rule = `rules: [{host: "*.example.com", http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}]}}]`
	for _, tt := range []struct {
		name, metadata, spec string
		ours                 bool
	}{
		{"no class", "", rule, true},
		{"ours", "", "ingressClassName: adamant, " + rule, true},
		{"ours by annotation", ", annotations: {kubernetes.io/ingress.class: adamant}", rule, true},
		{"another", "", "ingressClassName: nginx, unheardOf: true, " + rule, false},
		{"another by annotation", ", annotations: {kubernetes.io/ingress.class: nginx}", rule, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := parseIngress(t, tt.metadata, tt.spec)
			list, foreign, errs := f.Ingresses()
			if len(errs) > 0 || (len(list) == 1) != tt.ours || (len(foreign) == 1) == tt.ours {
				t.Errorf("got %v, %v, %v", list, foreign, errs)
			}
			if tt.ours && list[0].Namespace != "default" {
				t.Errorf("namespace %q", list[0].Namespace)
			}
			if others := f.Others(); len(others) != 1 || !others[0].IsIngress() {
				t.Errorf("others: %v", others)
			}
		})
	}
}

func TestIngressesAreRefusedByField(t *testing.T) {
	const service = `{service: {name: web, port: {number: 80}}}`
	at := func(path, pathType string) string {
		return fmt.Sprintf(`rules: [{http: {paths: [{path: %s, pathType: %s, backend: %s}]}}]`, path, pathType, service)
	}
	backend := func(b string) string { return "defaultBackend: {" + b + "}" }
	for _, tt := range []struct{ spec, want string }{
		{``, "web.yaml:4:1: spec: rules or a defaultBackend are required"},
		{backend(`resource: {kind: Bucket, name: b}`), "spec.defaultBackend.resource: not supported on one machine (only Services are served)"},
		{backend(``), "spec.defaultBackend.service: required"},
		{backend(`service: {port: {number: 80}}`), "spec.defaultBackend.service.name: required"},
		{backend(`service: {name: a.b, port: {number: 80}}`), `spec.defaultBackend.service.name: "a.b"`},
		{backend(`service: {name: web}`), "spec.defaultBackend.service.port: a name or number is required"},
		{backend(`service: {name: web, port: {name: http, number: 80}}`), "port: a name and a number exclude each other"},
		{backend(`service: {name: web, port: {number: 70000}}`), "port.number: 70000 is not between"},
		{backend(`service: {name: web, port: {name: UPPER}}`), `port.name: "UPPER"`},
		{"rules: [{host: 127.0.0.1}]", "web.yaml:4:17: spec.rules[0].host: \"127.0.0.1\" is an address"},
		{`rules: [{host: "a.*.example.com"}]`, "spec.rules[0].host"},
		{`rules: [{host: "*"}]`, "spec.rules[0].host"},
		{`rules: [{host: "Example.com"}]`, "spec.rules[0].host"},
		{`rules: [{host: "example.com:80"}]`, "spec.rules[0].host"},
		{`rules: [{http: {paths: []}}]`, "spec.rules[0].http.paths: required"},
		{`rules: [{http: {paths: [{path: /, backend: ` + service + `}]}}]`, "spec.rules[0].http.paths[0].pathType: required"},
		{at("/", "prefix"), "did you mean Prefix?"},
		{at("foo", "Prefix"), `spec.rules[0].http.paths[0].path: "foo" must begin with /`},
		{at(`""`, "Exact"), `path: "" must begin with /`},
		{at("/a//b", "Prefix"), "must not contain //"},
		{at("/a/../b", "Prefix"), "must not contain /../"},
		{at("/a/%2E%2e", "Prefix"), "must not have elements . or .."},
		{at("/a%2Fb", "Exact"), "must not contain %2f"},
		{at("/a%", "Exact"), "is no path"},
		{at("/a%0a", "Exact"), "has control characters"},
		{at(`"/a b"`, "Exact"), "has a blank"},
		{at(`"/a?b"`, "Exact"), "must not contain ?"},
		{at("/a;b", "Exact"), "must not contain ;"},
		{at("/a(/|$)(.*)", "ImplementationSpecific"), "seems to be a pattern"},
		{`tls: [{hosts: [a.example.com]}], ` + backend(`service: {name: web, port: {number: 80}}`), "spec.tls[0].secretName: required"},
		{`tls: [{hosts: ["a b"], secretName: s}], ` + backend(`service: {name: web, port: {number: 80}}`), `spec.tls[0].hosts[0]: "a b"`},
		{`tls: [{secretName: "a b"}], ` + backend(`service: {name: web, port: {number: 80}}`), `spec.tls[0].secretName: "a b"`},
		{"unknown: 1, " + backend(`service: {name: web, port: {number: 80}}`), "spec.unknown: unknown field"},
	} {
		if _, _, errs := parseIngress(t, "", tt.spec).Ingresses(); !strings.Contains(errs.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.spec, errs, tt.want)
		}
	}
	f, err := Parse("web.yaml", []byte("apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: web}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, errs := f.Ingresses(); !strings.Contains(errs.Error(), "web.yaml:1:1: apiVersion: Kubernetes has no Ingress in extensions/v1beta1") {
		t.Errorf("got %v", errs)
	}
}

func TestErrorf(t *testing.T) {
	f := parseIngress(t, "", `tls: [{secretName: a}]`)
	if got := f.Errorf("Ingress", "default", "web", "spec.tls[0].secretName", "", "is missing").Error(); got != "web.yaml:4:15: spec.tls[0].secretName: is missing" {
		t.Error(got)
	}
	if got := f.Errorf("Ingress", "other", "web", "spec.tls[0].secretName", "", "is missing").Error(); got != "web.yaml: spec.tls[0].secretName: is missing" {
		t.Error(got)
	}
}
