//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/test/appimage"
	"github.com/adamant-sh/adamant/test/podsecurity"
)

// sealedApps are pods of applications, as root and as another user, each with the
// level of Pod Security that it meets before it is sealed.
var sealedApps = []struct{ app, level, pod, container string }{
	{"nginx-container", "baseline", "", ""},
	{"redis-user", "restricted",
		"securityContext: {runAsNonRoot: true, runAsUser: %d, seccompProfile: {type: RuntimeDefault}}",
		"securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}"},
}

// TestSealedPodsRun learns applications and runs what seal wrote under the real
// kubelet, in a namespace that enforces the level that they met before.
func TestSealedPodsRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	adamant := builtAdamant(t)
	for _, a := range sealedApps {
		t.Run(a.app, func(t *testing.T) {
			archive, err := appimage.Build(ctx, a.app)
			if err != nil {
				t.Fatal(err)
			}
			adamant(t, "load", archive)
			if err := shared.cluster.Load(ctx, archive); err != nil {
				t.Fatal(err)
			}
			app, err := appimage.Lookup(a.app)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			file, profile := filepath.Join(dir, "pod.yaml"), filepath.Join(dir, "pod.profile")
			text := podOf(app, "", "")
			if a.pod != "" {
				text = podOf(app, fmt.Sprintf(a.pod, userOf(t, adamant, dir, text, app.Name)), a.container)
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			if level := levelOf(t, text); level != a.level {
				t.Fatalf("the pod meets %s before it is sealed, want %s", level, a.level)
			}
			adamant(t, "learn", file, "--save", profile, "--quiet", "1s")
			sealed := adamant(t, "seal", file, "--profile", profile)

			n, err := shared.cluster.Enforce(ctx, a.app, a.level)
			if err != nil {
				t.Fatal(err)
			}
			if err := n.Create(ctx, sealed); err != nil {
				t.Fatalf("%v\n%s", err, sealed)
			}
			defer func() {
				if err := n.DeletePods(context.WithoutCancel(ctx)); err != nil {
					t.Error(err)
				}
			}()
			ready, cancel := context.WithTimeout(ctx, 2*time.Minute)
			defer cancel()
			if err := n.Ready(ready, a.app); err != nil {
				t.Fatalf("%v\n%s", err, sealed)
			}
		})
	}
}

// builtAdamant builds the real program and returns a function that runs it with
// images and pods of its own.
func builtAdamant(t *testing.T) func(t *testing.T, args ...string) []byte {
	t.Helper()
	program := filepath.Join(t.TempDir(), "adamant")
	build := exec.Command("go", "build", "-o", program, "github.com/adamant-sh/adamant/cmd/adamant")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	root, err := os.MkdirTemp(shared.dir, "adamant-")
	if err != nil {
		t.Fatal(err)
	}
	state, err := os.MkdirTemp("/run", "adamant-")
	if err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, args ...string) []byte {
		t.Helper()
		cmd := exec.Command(program, append([]string{"--data-dir", root, "--state-dir", state}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			stderr := ""
			if exit, ok := err.(*exec.ExitError); ok {
				stderr = string(exit.Stderr)
			}
			t.Fatalf("adamant %q: %v: %s%s", args, err, out, stderr)
		}
		return out
	}
	t.Cleanup(func() { run(t, "reset", "--yes") })
	return run
}

// podOf returns a pod of an application that is ready once its port is open.
func podOf(app appimage.App, pod, container string) string {
	text := fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n", app.Name)
	if pod != "" {
		text += "  " + pod + "\n"
	}
	text += fmt.Sprintf("  terminationGracePeriodSeconds: 1\n  containers:\n  - name: app\n    image: %s\n    imagePullPolicy: Never\n", appimage.Reference(app.Name))
	if container != "" {
		text += "    " + container + "\n"
	}
	return text + fmt.Sprintf("    readinessProbe:\n      exec: {command: [bash, -c, '</dev/tcp/127.0.0.1/%d']}\n      periodSeconds: 1\n", app.Port)
}

// userOf returns the number of the user of a pod's image.
func userOf(t *testing.T, adamant func(*testing.T, ...string) []byte, dir, text, pod string) int {
	t.Helper()
	file := filepath.Join(dir, "user.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	adamant(t, "run", "-d", file)
	defer adamant(t, "rm", pod)
	uid, err := strconv.Atoi(strings.TrimSpace(string(adamant(t, "exec", pod, "--", "id", "-u"))))
	if err != nil || uid == 0 {
		t.Fatalf("the user is %d, %v", uid, err)
	}
	return uid
}

func levelOf(t *testing.T, text string) string {
	t.Helper()
	f, err := manifest.Parse("pod.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	level, _, err := podsecurity.Level(f.Workloads()[0].Template)
	if err != nil {
		t.Fatal(err)
	}
	return level
}
