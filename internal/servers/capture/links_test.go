package capture

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// linkedServer is a server with a proxy, an application and its database, and a service
// that has nothing to do with them. Both applications lie in one directory.
const linkedServer = `
	mkdir -p etc/systemd/system/multi-user.target.wants opt/shop etc/front run/db usr/bin
	unit() { printf '[Service]\nExecStart=%s\n' "$2" >etc/systemd/system/$1.service; ln -s ../$1.service etc/systemd/system/multi-user.target.wants/; }
	unit front '/usr/bin/front -c /etc/front/front.conf'
	unit shop '/usr/bin/python3 /opt/shop/app.py'
	unit worker '/usr/bin/python3 /opt/shop/worker.py --redis 10.0.0.7:6379'
	unit db '/usr/bin/db'
	unit alone '/usr/bin/alone'
	printf 'listen 80;\n# proxy_pass http://127.0.0.1:9000;\nlocation /api/ { proxy_pass http://127.0.0.1:8000/; }\n' >etc/front/front.conf
	printf 'HOST = "127.0.0.1"\nPORT = 8000\nDB = "/var/run/db/db.sock"\n' >opt/shop/app.py
	printf 'nothing = "here"\n' >opt/shop/worker.py
`

func listens(unit, address string) facts.Socket {
	if strings.HasPrefix(address, "/") {
		return facts.Socket{Protocol: "unix", Path: address, Listens: true, Unit: unit}
	}
	return facts.Socket{Protocol: "tcp", Local: netip.MustParseAddrPort(address), Listens: true, Unit: unit}
}

func TestLinkedServicesShareAPod(t *testing.T) {
	root, dir := smallRoot(t)
	shell(t, dir, linkedServer)
	sockets := []facts.Socket{
		listens("front.service", "0.0.0.0:80"), listens("shop.service", "127.0.0.1:8000"), listens("db.service", "/run/db/db.sock"),
		listens("alone.service", "0.0.0.0:9000"), listens("db.service", "127.0.0.1:5432"),
		{Protocol: "tcp", Local: netip.MustParseAddrPort("127.0.0.1:40000"), Remote: netip.MustParseAddrPort("127.0.0.1:5432"), Unit: "worker.service"},
		{Protocol: "tcp", Local: netip.MustParseAddrPort("10.0.0.1:40000"), Remote: netip.MustParseAddrPort("10.0.0.7:9000"), Unit: "worker.service"},
	}
	p, err := Survey(t.Context(), root, SurveyOptions{Sockets: sockets})
	must(t, err)
	want := []Link{
		{"front", "shop", "127.0.0.1:8000", "/etc/front/front.conf names it"},
		{"shop", "db", "/run/db/db.sock", "/opt/shop/app.py names it"},
		{"worker", "db", "127.0.0.1:5432", "a connection is open"},
	}
	if d := cmp.Diff(p.Links, want); d != "" {
		t.Errorf("links (-got +want):\n%s", d)
	}
	pods := map[string]string{}
	for _, v := range p.Services {
		pods[v.Name] = v.Pod
	}
	if d := cmp.Diff(pods, map[string]string{"front": "front", "shop": "front", "db": "front", "worker": "front", "alone": "alone"}); d != "" {
		t.Errorf("pods (-got +want):\n%s", d)
	}
	for _, l := range p.Losses {
		if strings.Contains(l.What, "port 8000") {
			t.Errorf("a port within the pod is a loss: %+v", l)
		}
	}
	text, err := Manifest(p, ManifestOptions{Image: "i:1"})
	must(t, err)
	for part, times := range map[string]int{"kind: Deployment": 2, "kind: Service\n": 2, "mountPath: /run/db\n": 2, "- /run/db/.\n": 1, "containerPort: 8000": 0} {
		if n := strings.Count(string(text), part); n != times {
			t.Errorf("%q is there %d times, want %d:\n%s", part, n, times, text)
		}
	}
}

func TestAddressesInTexts(t *testing.T) {
	for text, want := range map[string]string{
		"proxy_pass http://127.0.0.1:8000/;":                "127.0.0.1:8000",
		"server localhost:8000;":                            "localhost:8000",
		"fastcgi_pass [::1]:8000;":                          "[::1]:8000",
		"REDIS_URL=redis://:pw@127.0.0.1:8000/0":            "127.0.0.1:8000",
		`{"host": "localhost", "port": 8000}`:               "localhost:8000",
		"db_host = 127.0.0.1\ndb_port = 8000":               "localhost:8000",
		"'DB_HOST' => 'localhost',\n'DB_PORT' => '8000',":   "localhost:8000",
		"--host 127.0.0.1 --port 8000":                      "localhost:8000",
		"proxy_pass http://10.0.0.1:8000/;":                 "",
		"proxy_pass http://notlocalhost:8000/;":             "",
		"http://shop.localhost:8000/":                       "",
		"127.0.0.1:80001":                                   "",
		"127.0.0.1:8000.5":                                  "",
		"db_host = db.example.org\nport = 8000":             "",
		"host = localhost.example.org\nport = 8000":         "",
		"listen 8000; allow 127.0.0.1; deny all; port 8000": "",
	} {
		if got := linkTextOf("x", strings.Split(text, "\n")).ports[8000]; got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
