package learn

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/pod/containerd"
	"github.com/adamant-sh/adamant/test/appimage"
	"github.com/adamant-sh/adamant/test/podsecurity"
)

// An appCase is an application as Debian packages it, with the expected
// findings.
type appCase struct {
	app   string
	needs []string // paths that must be writable, they or something below
	not   []string // paths that a sealed container must not be able to write
}

var appCases = []appCase{
	{"memcached", nil, []string{"/run", "/tmp", "/var"}},
	{"nginx-container", []string{"/run/nginx.pid", "/var/cache/nginx"}, []string{"/etc/nginx", "/var/lib"}},
	{"nginx-debian", []string{"/run/nginx.pid", "/var/lib/nginx/body", "/var/log/nginx"}, []string{"/etc/nginx", "/usr"}},
	{"apache", []string{"/run/apache2/apache2.pid", "/run/lock/apache2", "/var/log/apache2"}, []string{"/etc/apache2", "/var/www"}},
	{"haproxy", []string{"/run/haproxy/admin.sock"}, []string{"/etc/haproxy", "/var/lib"}},
	{"redis", []string{"/var/lib/redis/dump.rdb", "/var/log/redis"}, []string{"/etc/redis", "/var/lib/dpkg"}},
	{"redis-user", []string{"/var/lib/redis/dump.rdb"}, []string{"/etc", "/var/lib/dpkg"}},
	{"postgres", []string{"/var/lib/postgresql", "/run/postgresql"}, []string{"/etc", "/usr", "/var/lib/dpkg"}},
	{"postgres-initdb", []string{"/var/lib/postgresql", "/run/postgresql"}, []string{"/etc", "/usr", "/var/lib/dpkg"}},
}

// moreCases are the slow ones.
var moreCases = []appCase{
	{"mariadb", []string{"/var/lib/mysql", "/run/mysqld"}, []string{"/etc", "/usr", "/var/lib/dpkg"}},
	{"squid", []string{"/var/log/squid"}, []string{"/etc", "/usr", "/var/lib/dpkg"}},
	{"mosquitto", []string{"/var/lib/mosquitto"}, []string{"/etc", "/usr", "/var/lib/dpkg"}},
	{"bind9", []string{"/var/cache/bind"}, []string{"/usr", "/var/lib/dpkg"}},
	{"openssh", []string{"/run"}, []string{"/usr", "/var/lib/dpkg"}},
	{"php-fpm", []string{"/run/php"}, []string{"/etc", "/usr", "/var/lib/dpkg"}},
	{"tomcat", []string{"/tmp", "/var/log/tomcat10"}, []string{"/usr", "/var/lib/dpkg"}},
	{"rabbitmq", []string{"/var/lib/rabbitmq"}, []string{"/usr", "/var/lib/dpkg"}},
}

// TestApplications learns each application under load, which also proves the
// profile. What was sealed must hold under ten times the load, and every volume must
// be needed.
func TestApplications(t *testing.T) {
	t.Parallel()
	learnAll(t, appCases, holds)
}

// TestMoreApplications learns the slow applications. With ADAMANT_TEST_APPS, as in
// make test-apps, they must hold as well, which takes minutes.
func TestMoreApplications(t *testing.T) {
	t.Parallel()
	more := holds
	if os.Getenv("ADAMANT_TEST_APPS") == "" {
		more = nil
	}
	learnAll(t, moreCases, more)
}

func learnAll(t *testing.T, cases []appCase, more func(*testing.T, Options, Workload, Lesson)) {
	for _, c := range cases {
		t.Run(c.app, func(t *testing.T) {
			t.Parallel()
			o, s, l := learnOne(t, c)
			if more != nil {
				more(t, o, s, l)
			}
		})
	}
}

func learnOne(t *testing.T, c appCase) (Options, Workload, Lesson) {
	app, err := appimage.Lookup(c.app)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := appimage.Build(t.Context(), c.app)
	if err != nil {
		t.Fatal(err)
	}
	e := open(t)
	if _, err := e.Daemon().Import(t.Context(), archive, containerd.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	if c.app != "redis" { // which other tests run as well
		removeAfter(t, e, appimage.Reference(c.app))
	}
	o := appOptions(t, e, app)
	s := parseWorkload(t, appManifest(app))
	if app.User != "" {
		s = restricted(t, o, s)
	}
	l, err := Learn(t.Context(), o, s)
	if err != nil {
		t.Fatal(err)
	}
	if !l.Proof.Passed {
		t.Fatalf("not proven: %s\n%v", strings.Join(l.Proof.Reasons, "\n"), l.Proof.Logs)
	}
	sealed, err := s.sealedBy(l.Profile)
	if err != nil {
		t.Fatal(err)
	}
	if before, after := level(t, s), level(t, sealed); after != before {
		t.Errorf("the pod met Pod Security %q before, and meets %q sealed", before, after)
	}
	volumes := l.Profile.Containers[0].Volumes
	checkVolumes(t, c.app, volumes)
	for _, path := range c.needs {
		if !slices.ContainsFunc(volumes, covers(path)) && !slices.ContainsFunc(volumes, below(path)) {
			t.Errorf("no volume covers %s: %+v", path, volumes)
		}
	}
	for _, path := range c.not {
		if slices.ContainsFunc(volumes, covers(path)) {
			t.Errorf("a volume covers %s, which need not be written: %+v", path, volumes)
		}
	}
	return o, s, l
}

// removeAfter removes an image after the test, because all of them together need
// several GB of disk.
func removeAfter(t *testing.T, e *pod.Engine, ref string) {
	t.Helper()
	t.Cleanup(func() {
		if err := e.Daemon().RemoveImage(context.Background(), ref); err != nil {
			t.Error(err)
		}
	})
}

// holds proves a sealed application under ten times the load that it was learned
// under, and that it is not proven without one of its volumes, which the proof names.
func holds(t *testing.T, o Options, s Workload, l Lesson) {
	t.Helper()
	sealed, err := s.sealedBy(l.Profile)
	if err != nil {
		t.Fatal(err)
	}
	more := o
	more.noKills = true // the lesson has proven the restarts
	more.Load.HTTP, more.Load.Commands = slices.Repeat(o.Load.HTTP, 10), slices.Repeat(o.Load.Commands, 10)
	p, err := Prove(t.Context(), more, sealed)
	if err != nil || !p.Passed {
		t.Errorf("under ten times the load: %v, %q", err, p.Reasons)
	}
	if o, err = o.about(s); err != nil {
		t.Fatal(err)
	}
	roots, err := o.containerRoots(t.Context(), s.Spec())
	if err != nil {
		t.Fatal(err)
	}
	o = o.like(l.writable)
	o.noKills = true
	volumes := l.Profile.Containers[0].Volumes
	for i, v := range volumes {
		less := l.Profile
		less.Containers = slices.Clone(less.Containers)
		less.Containers[0].Volumes = slices.Delete(slices.Clone(volumes), i, i+1)
		sealed, err := s.sealedBy(less)
		if err != nil {
			t.Fatal(err)
		}
		p, _, err := o.prove(t.Context(), sealed, l.writable, roots)
		if err != nil {
			t.Fatal(err)
		}
		isNamed := slices.ContainsFunc(p.Reasons, func(why string) bool { return strings.Contains(why, " "+v.MountPath) })
		if p.Passed || !isNamed {
			t.Errorf("without the volume %s: passed is %t, %q", v.MountPath, p.Passed, p.Reasons)
		}
	}
}

// level returns the level of Pod Security that a workload meets.
func level(t *testing.T, s Workload) string {
	t.Helper()
	l, why, err := podsecurity.Level(s.Object.Template)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s meets %s; the next level forbids: %s", s.Name(), l, why)
	return l
}

// restricted returns a pod that meets Pod Security "restricted", as the user of its
// image.
func restricted(t *testing.T, o Options, s Workload) Workload {
	t.Helper()
	roots, err := o.containerRoots(t.Context(), s.Spec())
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.File.Edited(
		s.Object.Set("spec.securityContext", manifest.Fields{
			{Key: "runAsNonRoot", Value: true}, {Key: "runAsUser", Value: int64(roots["app"].User.UID)},
			{Key: "seccompProfile", Value: manifest.Fields{{Key: "type", Value: "RuntimeDefault"}}},
		}),
		s.Object.Set("spec.containers[0].securityContext", manifest.Fields{
			{Key: "allowPrivilegeEscalation", Value: false}, {Key: "capabilities", Value: manifest.Fields{{Key: "drop", Value: []string{"ALL"}}}},
		}))
	if err != nil {
		t.Fatal(err)
	}
	return Workload{f, f.Workloads()[0]}
}

func appOptions(t *testing.T, e *pod.Engine, app appimage.App) Options {
	o := Options{Engine: e, Load: Load{Quiet: time.Second}, Ready: readyWithin(app), Say: t.Logf}
	if app.HTTP != "" {
		o.Load.HTTP = []string{fmt.Sprintf(":%d%s", app.Port, app.HTTP)}
	}
	if len(app.Exercise) > 0 {
		o.Load.Commands = []string{quoted(app.Exercise)}
	}
	return o
}

// readyWithin returns how long an application may take to start on a busy machine.
func readyWithin(app appimage.App) time.Duration {
	if app.Name == "rabbitmq" {
		return 5 * time.Minute
	}
	return defaultReady
}

// appManifest returns a pod of the application with a readiness probe, as users
// write it.
func appManifest(app appimage.App) string {
	text := fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata:
  name: %s
spec:
  terminationGracePeriodSeconds: 10
  containers:
  - name: app
    image: %s
`, app.Name, appimage.Reference(app.Name))
	// Some applications listen on the loopback address only, so the probe runs
	// inside the container.
	if app.Port != 0 {
		text += fmt.Sprintf("    startupProbe:\n      exec: {command: [bash, -c, '</dev/tcp/127.0.0.1/%d']}\n      periodSeconds: 1\n      failureThreshold: %d\n", app.Port, int(readyWithin(app).Seconds()))
	}
	return text
}

func covers(path string) func(profile.Volume) bool {
	return func(v profile.Volume) bool { return path == v.MountPath || strings.HasPrefix(path, v.MountPath+"/") }
}

func below(path string) func(profile.Volume) bool {
	return func(v profile.Volume) bool { return strings.HasPrefix(v.MountPath, path+"/") }
}

// quoted returns a command line for a shell.
func quoted(argv []string) string {
	var words []string
	for _, word := range argv {
		words = append(words, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
	}
	return strings.Join(words, " ")
}
