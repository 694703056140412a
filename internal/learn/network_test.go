package learn

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/manifest"
)

const servicesText = shopText + `
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {a: w}, ports: [{name: http, port: 80, targetPort: 8080}, {name: dns, port: 53, protocol: UDP}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: db}, spec: {clusterIP: None, selector: {a: d}, ports: [{port: 5432}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: none}, spec: {selector: {a: nobody}, ports: [{port: 1}]}}
`

func networkOf(t *testing.T, text string) (network, []Workload) {
	t.Helper()
	f, err := manifest.Parse("shop.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	all, err := Workloads(f)
	if err != nil {
		t.Fatal(err)
	}
	return newNetwork(f, all), all
}

func TestNamesOfANetwork(t *testing.T) {
	n, shop := networkOf(t, servicesText)
	spec := shop[0].Spec()
	n.join(shop[0], &spec)
	var got []string
	for _, a := range spec.Spec.HostAliases {
		got = append(got, fmt.Sprint(a.IP, a.Hostnames))
	}
	want := []string{
		"198.18.0.1[web web.default web.default.svc web.default.svc.cluster.local]",
		"198.18.0.2[db db.default db.default.svc db.default.svc.cluster.local]",
		"198.18.0.3[db-0.db db-0.db.default db-0.db.default.svc db-0.db.default.svc.cluster.local]",
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("names (-got +want):\n%s", d)
	}
	if d := cmp.Diff(spec.ServiceLinks, map[string]string{
		"WEB_SERVICE_HOST": "198.18.0.1", "WEB_SERVICE_PORT": "80", "WEB_SERVICE_PORT_HTTP": "80", "WEB_SERVICE_PORT_DNS": "53",
		"WEB_PORT": "tcp://198.18.0.1:80", "WEB_PORT_80_TCP": "tcp://198.18.0.1:80", "WEB_PORT_80_TCP_PROTO": "tcp", "WEB_PORT_80_TCP_PORT": "80",
		"WEB_PORT_80_TCP_ADDR": "198.18.0.1", "WEB_PORT_53_UDP": "udp://198.18.0.1:53", "WEB_PORT_53_UDP_PROTO": "udp", "WEB_PORT_53_UDP_PORT": "53",
		"WEB_PORT_53_UDP_ADDR": "198.18.0.1",
	}); d != "" {
		t.Errorf("variables (-got +want):\n%s", d)
	}
	if n, _ := networkOf(t, shopText); len(n.hosts) != 0 {
		t.Errorf("a file without Services has names: %+v", n.hosts)
	}
}

func TestRedirectsOfANetwork(t *testing.T) {
	n, shop := networkOf(t, servicesText)
	var got []string
	for _, r := range n.redirects(map[string]string{shop[0].key(): "10.0.0.5", shop[1].key(): "10.0.0.6"}) {
		got = append(got, fmt.Sprintf("%s %s:%d %s:%d", r.Protocol, r.Address, r.Port, r.To, r.ToPort))
	}
	want := []string{
		"tcp 198.18.0.1:80 10.0.0.5:8080", "udp 198.18.0.1:53 10.0.0.5:53",
		"tcp 198.18.0.2:0 10.0.0.6:0", "udp 198.18.0.2:0 10.0.0.6:0",
		"tcp 198.18.0.3:0 10.0.0.6:0", "udp 198.18.0.3:0 10.0.0.6:0",
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("redirects (-got +want):\n%s", d)
	}
	if got := n.redirects(nil); len(got) != 0 {
		t.Errorf("without pods: got %v", got)
	}
}
