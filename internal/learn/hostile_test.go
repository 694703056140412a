package learn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/pod/containerd"
)

// hostileImage is the image with the program in testdata/hostile.
const hostileImage = "adamant.test/hostile:1"

// buildHostile builds the image archive, once for all tests.
var buildHostile = sync.OnceValues(func() (string, error) {
	if _, err := program(); err != nil { // makes the directory
		return "", err
	}
	bin := filepath.Join(programDir, "hostile")
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", bin, "./testdata/hostile")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build hostile: %w\n%s", err, out)
	}
	content, err := os.ReadFile(bin)
	if err != nil {
		return "", err
	}
	layer, err := image.NewLayer(hostileFiles(content)...)
	if err != nil {
		return "", err
	}
	img, err := image.New(image.Config{Cmd: []string{"/hostile", "wait"}, Env: []string{"PATH=/"}}, layer)
	if err != nil {
		return "", err
	}
	archive := filepath.Join(programDir, "hostile.tar")
	return archive, image.WriteArchive(context.Background(), archive, map[string]v1.Image{hostileImage: img})
})

func hostileFiles(program []byte) []image.File {
	dir := func(path string, mode uint32, gid uint32) image.File {
		return image.File{Entry: tree.Entry{Path: path, Kind: tree.Directory, Mode: mode, GID: gid}}
	}
	file := func(path string, mode uint32, content []byte) image.File {
		return image.File{Entry: tree.Entry{Path: path, Kind: tree.Regular, Mode: mode}, Content: content}
	}
	return []image.File{
		file("/hostile", 0o755, program), file("/setuid", 0o4755, program),
		dir("/etc", 0o755, 0), dir("/etc/app", 0o755, 0), file("/etc/app/app.conf", 0o644, []byte("a = 1\n")),
		file("/etc/passwd", 0o644, []byte("root:x:0:0::/:\nuser:x:1000:1000::/:\n")),
		file("/etc/group", 0o644, []byte("root:x:0:\nuser:x:1000:\nextra:x:1500:\n")),
		dir("/srv", 0o755, 0), dir("/srv/we\nird\x1b[2J", 0o755, 0), file("/srv/we\nird\x1b[2J/kept", 0o644, nil),
		dir("/tmp", 0o1777, 0), dir("/var", 0o755, 0), dir("/var/tmp", 0o1777, 0), dir("/var/lib", 0o755, 0),
		dir("/var/lib/app", 0o755, 0), dir("/var/lib/root", 0o700, 0), dir("/var/lib/shared", 0o2775, 1500),
		file("/var/lib/app/kept", 0o644, nil),
	}
}

// openHostile opens an engine with the image, in a lab that only this test uses
// and that is closed with it.
func openHostile(t *testing.T) (*lab, *pod.Engine) {
	t.Helper()
	requireRoot(t)
	l, err := newLab()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
	e := l.open(t)
	archive, err := buildHostile()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Daemon().Import(t.Context(), archive, containerd.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	// All images are there, as on a machine that ran a pod before: the content of a
	// load that was killed stays until the next one, which is not what these tests check.
	if err := e.Daemon().EnsureCopyUpImage(t.Context(), l.options.Executable); err != nil {
		t.Fatal(err)
	}
	return l, e
}

// hostilePod returns a pod whose container runs the program with args. more
// holds further fields of the container, at its indentation.
func hostilePod(args, more string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata:\n  name: hostile\nspec:\n  terminationGracePeriodSeconds: 1\n"+
		"  containers:\n  - name: main\n    image: %s\n    command: [/hostile, %s]\n%s", hostileImage, args, more)
}

func hostileOptions(t *testing.T, e *pod.Engine) Options {
	return Options{Engine: e, Load: Load{Quiet: 300 * time.Millisecond}, Ready: 20 * time.Second, Disk: 64 << 20, Say: t.Logf}
}

// TestHostileLearns runs programs that are hard to learn. Each must be learned
// and proven.
func TestHostileLearns(t *testing.T) {
	t.Parallel()
	lab, e := openHostile(t)
	t.Cleanup(func() { lab.checkNothing(t, e) }) // after all that run at once
	for _, c := range []struct {
		name, manifest string
		needs          []string // paths that a volume must cover
		weak           string   // what the profile must admit not to have seen
	}{
		{name: "removes and replaces itself", manifest: hostilePod("unlink", ""), needs: nil},
		{name: "daemonizes", manifest: hostilePod("daemon", ""), needs: []string{"/var/lib/app/daemon.pid"}},
		{name: "ignores SIGTERM", manifest: hostilePod("stubborn", "")},
		{name: "random names", manifest: hostilePod("temps", ""), needs: []string{"/var/tmp/x"}},
		{name: "hostile names", manifest: hostilePod("names", ""), needs: []string{"/var/lib/app/*", "/srv/we\nird\x1b[2J/dir"}, weak: "could not be resolved"},
		{name: "io_uring", manifest: hostilePod("ring", ""), needs: []string{"/var/lib/app/ring"}, weak: "io_uring"},
		{name: "link swapped", manifest: hostilePod("swap", ""), needs: []string{"/var/lib/app/link", "/etc/app/x"}},
		{name: "FIFO for a file", manifest: hostilePod("fifo", ""), needs: []string{"/etc/app/app.conf", "/var/lib/app/made"}},
		{name: "device for a file", manifest: hostilePod("device", ""), needs: []string{"/etc/app/app.conf", "/var/lib/app/made"}},
		{name: "setuid program", manifest: hostilePod("setuid", "    securityContext: {runAsUser: 1000}\n"), needs: []string{"/var/lib/root/x"}},
		{name: "supplementary groups", needs: []string{"/var/lib/shared/x"},
			manifest: hostilePod("write, /var/lib/shared/x", "    securityContext: {runAsUser: 1000}\n  securityContext: {supplementalGroups: [1500]}\n")},
		{name: "group of the image", needs: nil, manifest: hostilePod("wait", "    securityContext: {runAsUser: 1000, runAsGroup: 1500}\n")},
		{name: "shared emptyDir", manifest: sharedManifest, needs: []string{"/var/lib/app/x", "/var/tmp/y"}},
		{name: "init and sidecar", manifest: initManifest, needs: []string{"/var/lib/app/init", "/var/lib/app/side"}},
		{name: "job", manifest: jobManifest, needs: []string{"/var/lib/app/done"}},
		{name: "read-only mount", manifest: hostilePod("write, /var/lib/app/x", "    volumeMounts: [{name: v, mountPath: /srv, readOnly: true}]\n  volumes: [{name: v, emptyDir: {}}]\n"),
			needs: []string{"/var/lib/app/x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, err := Learn(t.Context(), hostileOptions(t, e), parseWorkload(t, c.manifest))
			if err != nil {
				t.Fatal(err)
			}
			checkRoundTrip(t, l.Profile)
			if c.name == "removes and replaces itself" {
				// A name in the root directory that is removed cannot be a
				// mount point. The profile must report that.
				if len(l.Profile.Containers[0].Unsolved) == 0 || l.Proof.Passed {
					t.Errorf("passed %v, unsolved %v", l.Proof.Passed, l.Profile.Containers[0].Unsolved)
				}
				return
			}
			if !l.Proof.Passed {
				t.Fatalf("not proven: %s\n%v", strings.Join(l.Proof.Reasons, "\n"), l.Proof.Logs)
			}
			checkProfile(t, l.Profile, c.needs, c.weak)
		})
	}
}

const sharedManifest = `apiVersion: v1
kind: Pod
metadata:
  name: shared
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: one
    image: adamant.test/hostile:1
    command: [/hostile, write, /var/lib/app/x]
    volumeMounts: [{name: between, mountPath: /srv}]
  - name: two
    image: adamant.test/hostile:1
    command: [/hostile, write, /var/tmp/y]
    volumeMounts: [{name: between, mountPath: /srv}]
  volumes: [{name: between, emptyDir: {}}]
`

const initManifest = `apiVersion: v1
kind: Pod
metadata:
  name: init
spec:
  terminationGracePeriodSeconds: 1
  initContainers:
  - name: first
    image: adamant.test/hostile:1
    command: [/hostile, write, /var/lib/app/init, once]
  - name: side
    image: adamant.test/hostile:1
    command: [/hostile, write, /var/lib/app/side]
    restartPolicy: Always
  containers:
  - name: main
    image: adamant.test/hostile:1
`

const jobManifest = `apiVersion: batch/v1
kind: Job
metadata:
  name: job
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: main
        image: adamant.test/hostile:1
        command: [/hostile, write, /var/lib/app/done, once]
`

// checkRoundTrip reads a profile back from its YAML.
func checkRoundTrip(t *testing.T, p profile.Profile) {
	t.Helper()
	text, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if i := bytes.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f || r == '\u202e' }); i >= 0 {
		t.Errorf("the profile has %q in it: %s", text[i], text)
	}
	back, err := profile.Parse(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	again, err := back.Marshal()
	if err != nil || !bytes.Equal(again, text) {
		t.Errorf("read and written again (%v):\n%s\nwas:\n%s", err, again, text)
	}
}

func checkProfile(t *testing.T, p profile.Profile, needs []string, weak string) {
	t.Helper()
	var volumes []profile.Volume
	var admitted []string
	for _, c := range p.Containers {
		volumes = append(volumes, c.Volumes...)
		admitted = append(admitted, c.Weak...)
		if len(c.Writes) > 200 {
			t.Errorf("container %s: %d writes: they were not folded", c.Name, len(c.Writes))
		}
	}
	for _, path := range needs {
		if !slices.ContainsFunc(volumes, covers(path)) {
			t.Errorf("no volume covers %q: %+v", path, volumes)
		}
	}
	if len(needs) == 0 && len(volumes) > 0 {
		t.Errorf("volumes that nothing needs: %+v", volumes)
	}
	if weak != "" && !strings.Contains(strings.Join(admitted, "\n"), weak) {
		t.Errorf("admits %q, want %q", admitted, weak)
	}
}

// TestHostileFails runs programs that cannot be learned. The error must name the
// reason, and nothing may be left behind.
func TestHostileFails(t *testing.T) {
	t.Parallel()
	l, e := openHostile(t)
	t.Cleanup(func() { l.checkNothing(t, e) })
	t.Run("tracer killed", func(t *testing.T) {
		t.Parallel()
		testTracerKilled(t, e)
	})
	for _, c := range []struct{ name, manifest, want string }{
		{"never ready", hostilePod("wait", "    readinessProbe: {exec: {command: [/hostile, exit, x]}, periodSeconds: 1}\n"), "readiness probe failed"},
		{"fills its root", hostilePod("fill, /var/lib/app/big", ""), "to its root file system, more than the 64Mi that a trial may"},
		{"fills a volume", hostilePod("fill, /srv/big", "    volumeMounts: [{name: v, mountPath: /srv}]\n  volumes: [{name: v, emptyDir: {sizeLimit: 8Mi}}]\n"), "more than its sizeLimit of 8Mi"},
		{"fills it before it starts", strings.Replace(initManifest, "write, /var/lib/app/init, once", "fill, /var/lib/app/init", 1), "more than the 64Mi that a trial may"},
		{"crashes under load", hostilePod("crash", "    ports: [{containerPort: 8080}]\n"), "exit code 7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := hostileOptions(t, e)
			if c.name == "never ready" {
				o.Ready = 12 * time.Second
			}
			if strings.Contains(c.manifest, "fill") {
				o.Load.Quiet = 30 * time.Second // it ends once the limit is exceeded, which may take so long
			}
			_, err := Learn(t.Context(), o, parseWorkload(t, c.manifest))
			if !errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestForks runs a program that forks without end: it gets as many processes as
// its pod may have, and none is left.
func TestForks(t *testing.T) {
	t.Parallel()
	l, _ := openHostile(t)
	o := l.options
	o.PIDs = 60
	e, err := pod.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	lesson, err := Learn(t.Context(), hostileOptions(t, e), parseWorkload(t, hostilePod("forks", "")))
	if err != nil {
		t.Fatal(err)
	}
	if !lesson.Proof.Passed {
		t.Errorf("not proven: %q", lesson.Proof.Reasons)
	}
	l.checkNothing(t, e)
}

// TestLate runs a program that needs more time to answer on a read-only root than a
// sealed run has at first. No call fails, so it is run once more.
func TestLate(t *testing.T) {
	t.Parallel()
	l, e := openHostile(t)
	o := hostileOptions(t, e)
	o.Ready, o.noKills = 40*time.Second, true
	o.Load.HTTP = []string{":8080/"}
	lesson, err := Learn(t.Context(), o, parseWorkload(t, hostilePod("late", "    ports: [{containerPort: 8080}]\n")))
	if err != nil {
		t.Fatal(err)
	}
	weak := strings.Join(lesson.Proof.Weak, "\n")
	if want := "its load failed in a first sealed run, which no failed call explains: load GET :8080/: connect: connection refused when sealed"; !lesson.Proof.Passed || !strings.Contains(weak, want) {
		t.Errorf("passed %t, reasons %q, weak %q, want %q", lesson.Proof.Passed, lesson.Proof.Reasons, weak, want)
	}
	l.checkNothing(t, e)
}

// TestProveFills proves a sealed manifest whose program fills its volume.
func TestProveFills(t *testing.T) {
	t.Parallel()
	l, e := openHostile(t)
	text := hostilePod("fill, /srv/big", "    securityContext: {readOnlyRootFilesystem: true}\n    volumeMounts: [{name: v, mountPath: /srv}]\n  volumes: [{name: v, emptyDir: {sizeLimit: 8Mi}}]\n")
	o := hostileOptions(t, e)
	o.Load.Quiet = 30 * time.Second // as in TestHostileFails
	_, err := Prove(t.Context(), o, parseWorkload(t, text))
	if err == nil || !strings.Contains(err.Error(), "more than its sizeLimit of 8Mi") {
		t.Errorf("got %v", err)
	}
	l.checkNothing(t, e)
}

// TestHarmlessOutput prints the writes of a program with hostile file names. No
// output may contain terminal control characters.
func TestHarmlessOutput(t *testing.T) {
	t.Parallel()
	l, _ := openHostile(t)
	dir := t.TempDir()
	file, save := filepath.Join(dir, "pod.yaml"), filepath.Join(dir, "profile")
	if err := os.WriteFile(file, []byte(hostilePod("names", "")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"learn", file, "--quiet", "300ms", "--save", save},
		{"seal", file, "--profile", save, "--diff"},
		{"run", "-d", "-f", file},
		{"drift", "hostile"},
		{"rm", "hostile"},
	} {
		out, err := l.command(t.Context(), args...).CombinedOutput()
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || args[0] != "learn" && args[0] != "drift" && args[0] != "seal") {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		if i := bytes.IndexFunc(out, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == '\u202e' }); i >= 0 {
			t.Errorf("%v prints %q in:\n%q", args, out[i], out)
		}
	}
}
