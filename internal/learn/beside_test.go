package learn

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/test/appimage"
)

// besideText is a web server that writes to a database of another workload, which it
// finds by the name of a Service with another port, and by its variables. It ends if
// the database is not there. The last workload never works.
const besideText = `
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {
  terminationGracePeriodSeconds: 1, containers: [{name: web, image: IMAGE, ports: [{containerPort: 8000}], command: [python3, -c, WEB]}]}}}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {serviceName: db, selector: {matchLabels: {app: db}}, template: {metadata: {labels: {app: db}}, spec: {
  terminationGracePeriodSeconds: 1, containers: [{name: db, image: IMAGE, ports: [{name: sql, containerPort: 8001}], command: [python3, -c, DB]}]}}}}
---
{apiVersion: v1, kind: Service, metadata: {name: db}, spec: {selector: {app: db}, ports: [{port: 5432, targetPort: sql}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: broken}, spec: {restartPolicy: Never, containers: [{name: c, image: IMAGE, command: ["false"]}]}}
`

const besideWeb = `
import http.server, os, urllib.request
ask = lambda: urllib.request.urlopen('http://db:%s/' % os.environ['DB_SERVICE_PORT']).read()
ask()
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        open('/srv/hits', 'a').write('x')
        self.send_response(200 if ask() == b'saved' else 500); self.end_headers()
http.server.HTTPServer(('', 8000), H).serve_forever()
`

const besideDB = `
import http.server, os
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        os.makedirs('/var/lib/db', exist_ok=True)
        open('/var/lib/db/rows', 'a').write('x')
        self.send_response(200); self.end_headers(); self.wfile.write(b'saved')
http.server.HTTPServer(('', 8001), H).serve_forever()
`

// TestWorkloadsLearnTogether learns two workloads of which one needs the other. A
// third one that fails keeps neither from being learned.
func TestWorkloadsLearnTogether(t *testing.T) {
	t.Parallel()
	e := open(t)
	loadApp(t, e, "odd")
	text := strings.NewReplacer("IMAGE", appimage.Reference("odd"), "WEB", strconv.Quote(besideWeb), "DB]", strconv.Quote(besideDB)+"]").Replace(besideText)
	shop := parseWorkloads(t, text)
	o := Options{Engine: e, Load: Load{HTTP: []string{"deploy/web=/"}, Quiet: time.Second}, Ready: 60 * time.Second, Say: t.Logf}
	lessons, err := LearnAll(t.Context(), o, shop, nil, false)
	if err == nil || !strings.Contains(err.Error(), "Pod/broken") {
		t.Errorf("got error %v, want one that names Pod/broken", err)
	}
	got := map[string][]string{}
	for _, l := range lessons {
		if !l.Proof.Passed {
			t.Errorf("%s: not proven: %v", l.Profile.Name, l.Proof.Reasons)
		}
		for _, c := range l.Profile.Containers {
			got[l.Profile.Name] = mounts(profile.Profile{Containers: []profile.Container{c}}, c.Name)
		}
	}
	want := map[string][]string{"Deployment/web": {"/srv"}, "StatefulSet/db": {"/var/lib/db"}}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("volumes (-got +want):\n%s", d)
	}
}
