package learn

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/learn/trace"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/pod/containerd"
	"github.com/adamant-sh/adamant/test/appimage"
)

// loadApp imports an application's image.
func loadApp(t *testing.T, e *pod.Engine, name string) {
	t.Helper()
	archive, err := appimage.Build(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Daemon().Import(t.Context(), archive, containerd.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
}

// mounts returns the mount paths of a profile's container.
func mounts(p profile.Profile, container string) []string {
	var out []string
	for _, c := range p.Containers {
		for _, v := range c.Volumes {
			if c.Name == container {
				out = append(out, v.MountPath)
			}
		}
	}
	return out
}

// TestOddPrograms runs programs that write to unusual paths.
func TestOddPrograms(t *testing.T) {
	t.Parallel()
	e := open(t)
	loadApp(t, e, "odd")
	for _, tc := range []struct {
		name, command, more string
		exercise            []string
		want                []string
	}{
		{
			name: "a static server of python caches byte code, which it can do without", command: "[python3, -m, http.server, '8000']",
			more: "ports: [{containerPort: 8000}]", want: nil,
		},
		{
			name: "a database in its own directory, as a user; temporary files", command: "[python3, server.py, data/hits.db]",
			more: "ports: [{containerPort: 8000}], securityContext: {runAsUser: 999}", want: []string{"/app/data", "/tmp"},
		},
		{
			name: "an entry point that edits configuration and writes here documents", command: "[entrypoint, sleep, infinity]",
			want: []string{"/etc/app", "/tmp"},
		},
		{
			name: "a liveness probe that writes, later than the pod is ready", command: "[sleep, infinity]",
			more: "livenessProbe: {exec: {command: [sh, -c, 'date >/srv/alive']}, initialDelaySeconds: 1, periodSeconds: 1}", want: []string{"/srv"},
		},
		{
			name: "a git daemon that is pushed to", command: "[git, daemon, --base-path=/srv, --enable=receive-pack, --listen=127.0.0.1]",
			exercise: []string{`cd "$(mktemp -d)" && git clone -q git://127.0.0.1/repo.git && cd repo && git -c user.name=a -c user.email=b@c commit -q --allow-empty -m x && git push -q origin HEAD`},
			want:     []string{"/srv/repo.git"}, // the client's own directory is not the daemon's
		},
		{
			name: "a server that listens late is waited for; what its client writes is not the server's", command: "[sh, -c, 'sleep 3; cd /srv && exec python3 -m http.server 8000']",
			exercise: []string{`python3 -c 'import urllib.request as u; u.urlopen("http://127.0.0.1:8000/")' && { echo x >/tmp/mine; echo x >/root/.history; true; }`},
			want:     nil,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.more != "" {
				tc.more = ", " + tc.more
			}
			s := parseWorkload(t, fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: odd}, spec: {terminationGracePeriodSeconds: 1,
  containers: [{name: app, image: %q, command: %s%s}]}}`, appimage.Reference("odd"), tc.command, tc.more))
			l, err := Learn(t.Context(), Options{Engine: e, Load: Load{Commands: tc.exercise}, Say: t.Logf}, s)
			if err != nil {
				t.Fatal(err)
			}
			if !l.Proof.Passed {
				t.Errorf("not proven: %v", l.Proof.Reasons)
			}
			if d := cmp.Diff(mounts(l.Profile, "app"), tc.want); d != "" {
				t.Errorf("volumes (-got +want):\n%s", d)
			}
		})
	}
}

const jobText = `apiVersion: batch/v1
kind: Job
metadata:
  name: once
spec:
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 1
      initContainers:
      - name: first
        image: IMAGE
        command: [sh, -c, "echo hello > /opt/prepared"]
      - name: beside
        image: IMAGE
        restartPolicy: Always
        command: [sh, -c, "while :; do date > /var/tmp/beat; sleep 1; done"]
      containers:
      - name: main
        image: IMAGE
        command: [sh, -c, "sleep 4; echo late > /srv/late"]
`

// TestJob learns a Job to its end, with its init containers and sidecars. The
// result is stable: learning and sealing it again change nothing.
func TestJob(t *testing.T) {
	t.Parallel()
	e := open(t)
	loadApp(t, e, "odd")
	s := parseWorkload(t, strings.ReplaceAll(jobText, "IMAGE", appimage.Reference("odd")))
	o := Options{Engine: e, Load: Load{Quiet: time.Second}, Say: t.Logf}
	l, err := Learn(t.Context(), o, s)
	if err != nil {
		t.Fatal(err)
	}
	if !l.Proof.Passed {
		t.Fatalf("not proven: %v", l.Proof.Reasons)
	}
	got := map[string][]string{}
	for _, c := range l.Profile.Containers {
		got[c.Name] = mounts(l.Profile, c.Name)
	}
	if d := cmp.Diff(got, map[string][]string{"first": {"/opt"}, "beside": {"/var/tmp"}, "main": {"/srv"}}); d != "" {
		t.Errorf("volumes (-got +want):\n%s", d)
	}
	once, _, err := Seal(s.File, []profile.Profile{l.Profile}, manifest.SealOptions{})
	if err != nil {
		t.Fatal(err)
	}
	again := parseWorkload(t, string(once))
	l, err = Learn(t.Context(), o, again)
	if err != nil {
		t.Fatal(err)
	}
	twice, _, err := Seal(again.File, []profile.Profile{l.Profile}, manifest.SealOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(twice), string(once)); d != "" || !l.Proof.Passed {
		t.Errorf("proven %v; sealed again (-got +want):\n%s", l.Proof.Passed, d)
	}
}

// TestUnfit checks that a program which fails with a writable root is not
// learned.
func TestUnfit(t *testing.T) {
	t.Parallel()
	e := open(t)
	loadApp(t, e, "odd")
	for _, tc := range []struct{ name, container, want string }{
		{"it ends in the middle", `command: [sh, -c, "sleep 3; echo last words"]`, "last words"},
		{"its liveness probe fails", `command: [sleep, infinity], livenessProbe: {exec: {command: ["false"]}, initialDelaySeconds: 2, periodSeconds: 1, failureThreshold: 1}`, "liveness"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := parseWorkload(t, fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: unfit}, spec: {terminationGracePeriodSeconds: 1, containers: [{name: app, image: %q, %s}]}}`,
				appimage.Reference("odd"), tc.container))
			_, err := Learn(t.Context(), Options{Engine: e, Load: Load{Quiet: 10 * time.Second}}, s)
			if err == nil || !strings.Contains(err.Error(), ErrUnfit.Error()) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want ErrUnfit with %q", err, tc.want)
			}
		})
	}
}

// redisText is a pod of redis with Debian's configuration.
const redisText = `{apiVersion: v1, kind: Pod, metadata: {name: redis}, spec: {terminationGracePeriodSeconds: 2, containers: [{name: app, image: %q}]}}`

// TestLeaveOneOut checks the needs of redis's volumes.
func TestLeaveOneOut(t *testing.T) {
	t.Parallel()
	e := open(t)
	loadApp(t, e, "redis")
	s := parseWorkload(t, fmt.Sprintf(redisText, appimage.Reference("redis")))
	o := Options{Engine: e, Load: Load{Commands: []string{"redis-cli set k v", "redis-cli save"}, Quiet: time.Second}, Say: t.Logf}
	l, err := Learn(t.Context(), o, s)
	if err != nil {
		t.Fatal(err)
	}
	if l, err = LeaveOneOut(t.Context(), o, s, l); err != nil {
		t.Fatal(err)
	}
	got := map[string]profile.Need{}
	for _, v := range l.Profile.Containers[0].Volumes {
		got[v.MountPath] = v.Need
	}
	want := map[string]profile.Need{"/run/redis": profile.Silent, "/var/lib/redis": profile.Hard, "/var/log/redis": profile.Hard}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("needs (-got +want):\n%s", d)
	}
}

// A volume that is only written by a program that starts again is hard: without it the
// program works until it is killed.
func TestLeaveOneOutKills(t *testing.T) {
	t.Parallel()
	e := open(t)
	loadApp(t, e, "odd")
	s := parseWorkload(t, fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: recovers}, spec: {
		volumes: [{name: keep, emptyDir: {}}],
		containers: [{name: app, image: %q, volumeMounts: [{name: keep, mountPath: /keep}], readinessProbe: {exec: {command: ["true"]}},
		command: [bash, -c, "[ ! -e /keep/begun ] || echo recovered > /srv/journal || exit 1; touch /keep/begun; sleep infinity & wait"]}]}}`,
		appimage.Reference("odd")))
	o := Options{Engine: e, Load: Load{Quiet: 300 * time.Millisecond}, Say: t.Logf}
	l, err := Learn(t.Context(), o, s)
	if err != nil {
		t.Fatal(err)
	}
	if l, err = LeaveOneOut(t.Context(), o, s, l); err != nil {
		t.Fatal(err)
	}
	vs := l.Profile.Containers[0].Volumes
	if len(vs) != 1 || vs[0].MountPath != "/srv" || vs[0].Need != profile.Hard {
		t.Errorf("got %+v, want /srv, which is hard", vs)
	}
}

// TestUntraced uses the lab's runtime as if it belonged to another program: the
// upper directory is the evidence, and the output warns that this is weaker.
func TestUntraced(t *testing.T) {
	t.Parallel()
	own := open(t)
	loadApp(t, own, "redis")
	l, err := theLab()
	if err != nil {
		t.Fatal(err)
	}
	opts := l.options
	opts.Root = filepath.Join(t.TempDir(), "root")
	opts.RuntimeEndpoint = own.Daemon().CRI().Endpoint()
	e, err := pod.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	s := parseWorkload(t, fmt.Sprintf(redisText, appimage.Reference("redis")))
	o := Options{Engine: e, Load: Load{Commands: []string{"redis-cli set k v", "redis-cli save"}, Quiet: time.Second}, Say: t.Logf}
	lesson, err := Learn(t.Context(), o, s)
	if err != nil {
		t.Fatal(err)
	}
	c := lesson.Profile.Containers[0]
	if c.Method != "upperdir" || len(c.Weak) == 0 || len(lesson.Proof.Weak) == 0 {
		t.Errorf("method %q, weak %q, proof weak %q: want it to say that it is weaker", c.Method, c.Weak, lesson.Proof.Weak)
	}
	if !lesson.Proof.Passed {
		t.Errorf("not proven: %v", lesson.Proof.Reasons)
	}
	for _, path := range []string{"/var/lib/redis/dump.rdb", "/var/log/redis"} {
		if !slices.ContainsFunc(c.Volumes, covers(path)) {
			t.Errorf("no volume covers %s: %v", path, mounts(lesson.Profile, "app"))
		}
	}
}

// TestRenameAcrossVolumes runs a program that needs rename(2) between two
// directories of the image: one volume must hold both.
func TestRenameAcrossVolumes(t *testing.T) {
	t.Parallel()
	e := open(t)
	loadApp(t, e, "odd")
	const program = `import os, time
for n in range(10**9):
    open("/usr/local/games/in", "w").write("x")
    os.rename("/usr/local/games/in", "/usr/local/src/out")
    time.sleep(0.2)`
	s := parseWorkload(t, fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: mover}, spec: {terminationGracePeriodSeconds: 1,
  containers: [{name: app, image: %q, command: [python3, -c, %q]}]}}`, appimage.Reference("odd"), program))
	l, err := Learn(t.Context(), Options{Engine: e, Say: t.Logf}, s)
	if err != nil {
		t.Fatal(err)
	}
	if !l.Proof.Passed {
		t.Errorf("not proven: %v", l.Proof.Reasons)
	}
	if d := cmp.Diff(mounts(l.Profile, "app"), []string{"/usr/local"}); d != "" {
		t.Errorf("volumes (-got +want):\n%s", d)
	}
}

func TestUntracedContainers(t *testing.T) {
	traces := []trace.Trace{{Container: "a", Root: "init"}, {Container: "b", Root: "exec"}}
	if d := cmp.Diff(untraced([]string{"a", "b", "c"}, traces), []string{"b", "c"}); d != "" {
		t.Errorf("untraced (-got +want):\n%s", d)
	}
}
