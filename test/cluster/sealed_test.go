//go:build cluster

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/test/appimage"
	"github.com/adamant-sh/adamant/test/podsecurity"
)

// sealedApps returns the applications that the tests learn.
func sealedApps() []appimage.App {
	// Each test of odd gives it another command, and shop needs its other tiers.
	return slices.DeleteFunc(appimage.Apps(), func(a appimage.App) bool { return a.Name == "odd" || a.Name == "shop" })
}

// everyForm has an application of root and one of another user, with content in
// their images that is copied in each form.
var everyForm = []string{"nginx-debian", "redis-user"}

// TestSealedPodsRun learns applications and runs what seal wrote under the real
// kubelet, in a namespace that enforces the level of Pod Security that they met
// before: "restricted" for those that run as a user, "baseline" for those of root.
// They are ready once they have served a client.
func TestSealedPodsRun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
	t.Cleanup(cancel)
	adamant := builtAdamant(t)
	tool := filepath.Join(t.TempDir(), "copy-up.tar")
	adamant(t, "copy-up-image", "--out", tool)
	if err := shared.cluster.Load(ctx, tool); err != nil {
		t.Fatal(err)
	}
	slots := make(chan struct{}, 2) // one for each processor
	for _, app := range sealedApps() {
		t.Run(app.Name, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			archive, err := appimage.Build(ctx, app.Name)
			if err != nil {
				t.Fatal(err)
			}
			adamant(t, "load", archive)
			if err := shared.cluster.Load(ctx, archive); err != nil {
				t.Fatal(err)
			}
			// All of them together would need several GB of disk, twice.
			t.Cleanup(func() {
				adamant(t, "images", "rm", appimage.Reference(app.Name))
				if err := shared.cluster.Remove(context.WithoutCancel(ctx), appimage.Reference(app.Name)); err != nil {
					t.Error(err)
				}
			})
			dir := t.TempDir()
			file, profile := filepath.Join(dir, "pod.yaml"), filepath.Join(dir, "pod.profile")
			user, want := 0, "baseline"
			if app.User != "" {
				user, want = userOf(t, adamant, dir, app), "restricted"
			}
			text := podOf(t, app, user)
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			level := levelOf(t, text)
			if level != want {
				t.Fatalf("the pod meets %s before it is sealed, want %s", level, want)
			}
			n, err := shared.cluster.Enforce(ctx, app.Name, level)
			if err != nil {
				t.Fatal(err)
			}
			adamant(t, "learn", file, "--save", profile, "--quiet", "1s")
			sealed := adamant(t, "seal", file, "--profile", profile)
			runSealed(ctx, t, n, app.Name, sealed)
			sealedByServer(ctx, t, serverSealing{
				namespace: n, pod: app.Name, unsealed: []byte(text), sealed: sealed,
				policies: adamant(t, "policy", "--profile", profile, "--any-digest", "--namespaces", "kubernetes.io/metadata.name="+app.Name),
				run:      slices.Contains(everyForm, app.Name),
			})
			if !slices.Contains(everyForm, app.Name) {
				return
			}
			for _, form := range []manifest.CopyUpForm{manifest.ImageVolume, manifest.InstalledTool} {
				sealed := adamant(t, "seal", file, "--profile", profile, "--copy-up", string(form), "--copy-up-image", manifest.CopyUpImage)
				if !strings.Contains(string(sealed), manifest.CopyUpImage) {
					t.Errorf("nothing is copied in the form %s:\n%s", form, sealed)
				}
				runSealed(ctx, t, n, app.Name, sealed)
			}
		})
	}
}

// runSealed runs a sealed pod until it is ready.
func runSealed(ctx context.Context, t *testing.T, n *enforced, pod string, sealed []byte) {
	t.Helper()
	if err := n.Create(ctx, sealed); err != nil {
		t.Fatalf("%v\n%s", err, sealed)
	}
	ready, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := n.Ready(ready, pod); err != nil {
		t.Errorf("%v\n%s\n%s", err, logOf(context.WithoutCancel(ctx), n, pod), sealed)
	}
	if err := n.DeletePods(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
}

// builtAdamant builds the real program, with the tool of its copy-up image, and
// returns a function that runs it with images and pods of its own.
func builtAdamant(t *testing.T) func(t *testing.T, args ...string) []byte {
	t.Helper()
	program := filepath.Join(t.TempDir(), "adamant")
	build := exec.Command("../../scripts/build", program)
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
		// What was learned is weak, with exit code 4, if a program uses io_uring.
		if err != nil && !(args[0] == "learn" && cmd.ProcessState.ExitCode() == 4) {
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

// podOf returns a pod of an application, which has served a client once it is
// ready. If user is not 0, it meets Pod Security "restricted".
func podOf(t *testing.T, app appimage.App, user int) string {
	t.Helper()
	text := fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n  terminationGracePeriodSeconds: 1\n", app.Name)
	// squid is asked for a page of this host, and no name server answers here.
	text += "  hostAliases: [{ip: 127.0.0.1, hostnames: [adamant.invalid]}]\n"
	if user != 0 {
		text += fmt.Sprintf("  securityContext: {runAsNonRoot: true, runAsUser: %d, seccompProfile: {type: RuntimeDefault}}\n", user)
	}
	text += fmt.Sprintf("  containers:\n  - name: app\n    image: %s\n    imagePullPolicy: Never\n", appimage.Reference(app.Name))
	if user != 0 {
		text += "    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}\n"
	}
	if app.HTTP != "" {
		return text + fmt.Sprintf("    readinessProbe: {httpGet: {path: %s, port: %d}, periodSeconds: 1}\n", app.HTTP, app.Port)
	}
	if app.Port != 0 {
		text += fmt.Sprintf("    startupProbe:\n      exec: {command: [bash, -c, '</dev/tcp/127.0.0.1/%d']}\n      periodSeconds: 1\n      failureThreshold: 60\n", app.Port)
	}
	client, err := json.Marshal(app.Exercise)
	if err != nil {
		t.Fatal(err)
	}
	return text + fmt.Sprintf("    readinessProbe: {exec: {command: %s}, periodSeconds: 5, timeoutSeconds: 60}\n", client)
}

// userOf returns the number of the user of an application's image.
func userOf(t *testing.T, adamant func(*testing.T, ...string) []byte, dir string, app appimage.App) int {
	t.Helper()
	file, pod := filepath.Join(dir, "user.yaml"), app.Name+"-user"
	text := fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n  terminationGracePeriodSeconds: 0\n"+
		"  containers: [{name: app, image: %s, command: [sleep, infinity]}]\n", pod, appimage.Reference(app.Name))
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

// logOf returns the last lines of the output of a pod's containers, or why there are
// none, for a message.
func logOf(ctx context.Context, n *enforced, pod string) string {
	var p podStatus
	if err := n.cluster.api.get(ctx, n.path+"pods/"+pod, &p); err != nil {
		return err.Error()
	}
	text := ""
	for _, c := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
		out, err := n.cluster.api.call(ctx, http.MethodGet, n.path+"pods/"+pod+"/log?tailLines=20&container="+c.Name, nil)
		text += fmt.Sprintln(c.Name+":", string(out), err)
	}
	return text
}
