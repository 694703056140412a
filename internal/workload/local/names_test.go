package local

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// namesText has pods of two namespaces, which call each other.
const namesText = `---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  selector: {app: shop}
  ports: [{port: 80, targetPort: http, name: http}]
---
apiVersion: v1
kind: Service
metadata: {name: shops}
spec:
  clusterIP: None
  selector: {app: shop}
  ports: [{port: 80, targetPort: http, name: http}]
---
apiVersion: v1
kind: Service
metadata: {name: all}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector: {app: never}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: other}
spec:
  selector: {app: shop}
  ports: [{port: 80, targetPort: http}]
---
apiVersion: v1
kind: Service
metadata: {name: alias, namespace: other}
spec: {type: ExternalName, externalName: shop.default.svc.cluster.local}
`

// TestPodsFindServices checks what pods see of Services, over a rollout and a restart
// of the controller.
func TestPodsFindServices(t *testing.T) {
	e := openEngine(t)
	loadVersion(t, e, "shop:1", "one", "")
	loadVersion(t, e, "shop2:1", "two", "")
	c := openController(t, e)
	named := strings.Replace(deployment("shop", "shop:1", 2, nil, ""), "    spec:\n      term", "    spec:\n      hostname: first\n      subdomain: shops\n      term", 1)
	elsewhere := strings.Replace(deployment("shop", "shop:1", 1, nil, "      dnsConfig: {options: [{name: ndots, value: \"4\"}]}\n"), "  name: shop\n", "  name: shop\n  namespace: other\n", 1)
	never := strings.Replace(deployment("never", "shop:1", 1, nil, ""), "path: /ready", "path: /exit-not", 1)
	never = strings.Replace(never, "{path: /exit-not, port: http}", "{path: /, port: 9}", 1)
	apply(t, c, named+"---\n"+elsewhere+"---\n"+never+namesText)
	s := ended(t, c, "shop", rollout.Complete)
	address := ""
	for _, svc := range s.Services {
		if svc.Name == "shop" {
			address = svc.ClusterIP
		}
		if svc.Name == "shops" && svc.ClusterIP != "None" {
			t.Errorf("a headless Service has %s", svc.ClusterIP)
		}
	}
	var away Status
	until(t, "the other namespace is ready, and the third workload runs", func() bool {
		var err error
		away, err = c.Status(Key{"other", "Deployment", "shop"})
		must(t, err)
		n, err := c.Status(Key{"default", "Deployment", "never"})
		must(t, err)
		return away.Phase == rollout.Complete && len(n.Instances) == 1 && n.Instances[0].IP != ""
	})
	other := away.Services[0].ClusterIP
	unready, err := c.Status(Key{"default", "Deployment", "never"})
	must(t, err)
	pods := func(s Status) string {
		var list []string
		for _, i := range s.Instances {
			list = append(list, i.IP)
		}
		if len(list) == 2 && list[0] > list[1] {
			list[0], list[1] = list[1], list[0]
		}
		return strings.Join(list, " ")
	}
	ask := func(s Status, page, name string) string {
		return fetch(t, "http://"+net.JoinHostPort(serving(s).IP, "8080")+page+url.QueryEscape(name))
	}
	check := func(from Status, names map[string]string) {
		t.Helper()
		for name, want := range names {
			if got := ask(from, "/lookup?name=", name); got != want {
				t.Errorf("from %s, %s: got %s, want %s", from.Key, name, got, want)
			}
		}
	}
	until(t, "the pod that is not ready has a name", func() bool { return ask(s, "/lookup?name=", "all") == unready.Instances[0].IP })
	inDefault := map[string]string{
		"shop": address, "shop.default": address, "shop.default.svc.cluster.local": address, "api.other": other, "api.other.svc": other,
		"_http._tcp.shop.default.svc.cluster.local":  "shop.default.svc.cluster.local.:80",
		"_http._tcp.shops.default.svc.cluster.local": "first.shops.default.svc.cluster.local.:8080 first.shops.default.svc.cluster.local.:8080",
		"alias.other": address,
	}
	check(s, inDefault)
	check(s, map[string]string{"shops": pods(s)})
	check(away, map[string]string{"api": other, "alias": address, "shops.default": pods(s), "first.shops.default": pods(s)})
	// The dot at the end keeps the resolvers of this machine out of it.
	for _, name := range []string{"api.default.svc.cluster.local.", "kubernetes.default.svc.cluster.local.", "first.shop.default.svc.cluster.local."} {
		if got := ask(s, "/lookup?name=", name); !strings.Contains(got, "no such host") {
			t.Errorf("%s: got %s", name, got)
		}
	}
	if got := ask(away, "/fetch?url=", "http://shop.default/"); got != "one" {
		t.Errorf("fetched %q", got)
	}
	if got := fetch(t, "http://"+address+"/"); got != "one" {
		t.Errorf("this machine fetched %q", got)
	}
	if got, want := ask(away, "/env?prefix=", "API_SERVICE"), "API_SERVICE_HOST="+other+"\nAPI_SERVICE_PORT=80"; got != want {
		t.Errorf("variables: got %q, want %q", got, want)
	}
	for _, prefix := range []string{"SHOPS_", "KUBERNETES_", "API_"} {
		if got := ask(s, "/env?prefix=", prefix); got != "" {
			t.Errorf("variables: got %q", got)
		}
	}
	if got, want := ask(away, "/resolv.conf?", ""), "search other.svc.cluster.local svc.cluster.local cluster.local"; !strings.Contains(got, want) || !strings.Contains(got, "options ndots:4") {
		t.Errorf("resolv.conf: got %q, want %q", got, want)
	}

	// A rollout and another process change no address but those of pods.
	apply(t, c, strings.Replace(named, "shop:1", "shop2:1", 1))
	s = ended(t, c, "shop", rollout.Complete)
	until(t, "the old instances are gone", func() bool {
		s, err = c.Status(s.Key)
		must(t, err)
		return len(s.Instances) == 2
	})
	check(s, inDefault)
	until(t, "the headless name leads to the new pods", func() bool { return ask(away, "/lookup?name=", "shops.default") == pods(s) })
	must(t, c.Close())
	c = openController(t, e)
	check(s, inDefault)
	check(s, map[string]string{"shops": pods(s), "first.shops": pods(s)})
	if got := ask(away, "/fetch?url=", "http://shop.default/"); got != "two" {
		t.Errorf("fetched %q", got)
	}

	// A Service that is deleted loses its name, its address and its listeners.
	must(t, c.DeleteObject("Service", "default", "shop"))
	if got := ask(away, "/lookup?name=", "shop.default.svc.cluster.local."); !strings.Contains(got, "no such host") {
		t.Errorf("after the deletion: got %s", got)
	}
	if conn, err := net.Dial("tcp", net.JoinHostPort(address, "80")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after the deletion: got %v, %v", conn, err)
	}
}

// TestAddressesOfServices checks which addresses manifests may name, and that ports of
// several Services go together.
func TestAddressesOfServices(t *testing.T) {
	e := openEngine(t)
	c := openController(t, e)
	block := c.network.block
	used := freePort(t)
	busy, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(used)))
	must(t, err)
	defer busy.Close()
	free := freePort(t)
	service := func(name, more string, port int) string {
		return fmt.Sprintf("---\napiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec:\n  selector: {app: web}\n  ports: [{port: %d}]\n  %s\n", name, port, more)
	}
	try := func(text string) (Outcome, error) {
		file, err := manifest.Parse("test.yaml", []byte(text))
		must(t, err)
		return c.Apply(t.Context(), file, ApplyOptions{})
	}
	ip := func(n int) string { return "clusterIP: " + addressIn(block, n).String() }
	for _, tt := range []struct{ name, text, want string }{
		{"of another cluster", service("a", "clusterIP: 10.96.0.5", free), "test.yaml:8:3: spec.clusterIP: 10.96.0.5 is no address of the Services on this machine (leave it out: a free one of " + block.String()},
		{"of the DNS server", service("a", ip(serverHost), free), "is no address of the Services"},
		{"the first", service("a", ip(0), free), "is no address of the Services"},
		{"the last", service("a", ip(255), free), "is no address of the Services"},
		{"twice", service("a", ip(2), free) + service("b", ip(2), free), "test.yaml:16:3: spec.clusterIP: " + addressIn(block, 2).String() + " belongs to service default/a"},
		{"a port that must be open", service("a", "type: LoadBalancer", used), "another program listens there"},
		{"one port of all addresses", service("a", "type: LoadBalancer", free) + service("b", "type: LoadBalancer", free), "belongs to service default/a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := try(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	out, err := try(service("b", "", free) + service("a", ip(2), free) + service("c", "", used) + service("d", "clusterIP: None", 1))
	must(t, err)
	notes := strings.Join(out.Notes, "\n")
	for _, want := range []string{
		fmt.Sprintf("service default/b: port %d has no address on loopback: 127.0.0.1:%d belongs to service default/a", free, free),
		fmt.Sprintf("service default/c: port %d has no address on loopback: listen on 127.0.0.1:%d: another program listens there already", used, used),
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("got notes %q, want %q", notes, want)
		}
	}
	want := map[string]string{"a": addressIn(block, 2).String(), "b": addressIn(block, firstHost).String(), "c": addressIn(block, firstHost+1).String(), "d": "invalid IP"}
	got := func() map[string]string {
		list := map[string]string{}
		for name, s := range c.services.list {
			list[strings.TrimPrefix(name, "default/")] = s.ClusterIP.String()
		}
		return list
	}
	if fmt.Sprint(got()) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got(), want)
	}
	// The addresses stay as long as the Services do, and are free then.
	must(t, c.DeleteObject("Service", "default", "b"))
	_, err = try(service("e", ip(firstHost+1), free))
	if err == nil || !strings.Contains(err.Error(), "belongs to service default/c") {
		t.Errorf("got %v", err)
	}
	_, err = try(service("e", ip(firstHost), free))
	must(t, err)
	delete(want, "b")
	want["e"] = addressIn(block, firstHost).String()
	if fmt.Sprint(got()) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got(), want)
	}
}
