package manifest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fill runs the script of OwnImage for one volume, which is a directory.
func fill(t *testing.T, image, path, volume, name, mode, without string) {
	t.Helper()
	out, err := exec.Command("sh", "-c", copyScript, "adamant-copy-up", filepath.Join(image, path)+path[len(strings.TrimRight(path, "/")):],
		filepath.Join(volume, name), mode, "", without).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
}

func write(t *testing.T, name, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

func contentOf(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func modeOf(t *testing.T, name string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

// The script copies content with its modes and links, once.
func TestCopyScript(t *testing.T) {
	image, volume := t.TempDir(), t.TempDir()
	write(t, filepath.Join(image, "srv/app/conf"), "of the image", 0o640)
	write(t, filepath.Join(image, "srv/app/it's a \"$name\""), "odd", 0o644)
	write(t, filepath.Join(image, "srv/app/secrets/kubernetes.io/token"), "secret", 0o600)
	if err := os.Symlink("conf", filepath.Join(image, "srv/app/link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(image, "srv/app"), 0o750); err != nil {
		t.Fatal(err)
	}
	// A copy that was killed has left a part.
	write(t, filepath.Join(volume, "app.part/conf"), "cut", 0o600)
	if err := os.Chmod(filepath.Join(volume, "app.part"), 0o500); err != nil {
		t.Fatal(err)
	}
	fill(t, image, "/srv/app/", volume, "app", "", "secrets/kubernetes.io")

	app := filepath.Join(volume, "app")
	if got := contentOf(t, filepath.Join(app, "conf")); got != "of the image" || modeOf(t, filepath.Join(app, "conf")) != 0o640 || modeOf(t, app) != os.ModeDir|0o750 {
		t.Errorf("conf is %q with %v in %v", got, modeOf(t, filepath.Join(app, "conf")), modeOf(t, app))
	}
	if got := contentOf(t, filepath.Join(app, "it's a \"$name\"")); got != "odd" {
		t.Error(got)
	}
	if to, err := os.Readlink(filepath.Join(app, "link")); err != nil || to != "conf" {
		t.Error(to, err)
	}
	if _, err := os.Lstat(filepath.Join(app, "secrets/kubernetes.io")); !os.IsNotExist(err) {
		t.Error("the token of the service account is copied")
	}
	if names, _ := filepath.Glob(filepath.Join(volume, "*")); len(names) != 1 {
		t.Errorf("the volume has %q", names)
	}

	// What the container changed stays when its pod is restarted.
	write(t, filepath.Join(app, "conf"), "of the container", 0o600)
	if err := os.Remove(filepath.Join(app, "link")); err != nil {
		t.Fatal(err)
	}
	fill(t, image, "/srv/app/", volume, "app", "0755", "")
	if got := contentOf(t, filepath.Join(app, "conf")); got != "of the container" || modeOf(t, app) != os.ModeDir|0o750 {
		t.Errorf("conf is %q after a restart, in %v", got, modeOf(t, app))
	}
	if _, err := os.Lstat(filepath.Join(app, "link")); !os.IsNotExist(err) {
		t.Error("what was removed is there again")
	}
}

// What the image does not have is made: with the mode that is asked for, or that
// of a kubelet.
func TestCopyScriptMakesWhatIsMissing(t *testing.T) {
	image, volume := t.TempDir(), t.TempDir()
	fill(t, image, "/data/", volume, "data", "2750", "")
	fill(t, image, "/any/", volume, "any", "", "")
	fill(t, image, "/app.log", volume, "app.log", "0640", "")
	if got := modeOf(t, filepath.Join(volume, "data")); got != os.ModeDir|os.ModeSetgid|0o750 {
		t.Errorf("data: %v", got)
	}
	if got := modeOf(t, filepath.Join(volume, "any")); got != os.ModeDir|0o777 {
		t.Errorf("any: %v", got)
	}
	if got := modeOf(t, filepath.Join(volume, "app.log")); got != 0o640 {
		t.Errorf("app.log: %v", got)
	}
}

// A copy that fails leaves no content that looks complete.
func TestCopyScriptFails(t *testing.T) {
	image, volume := t.TempDir(), t.TempDir()
	write(t, filepath.Join(image, "srv/a"), "a", 0o644)
	out, err := exec.Command("sh", "-c", copyScript, "adamant-copy-up", filepath.Join(image, "srv")+"/", filepath.Join(volume, "srv"), "", "", "").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Setenv("PATH", broken(t, "cp")+":"+os.Getenv("PATH"))
	if err := exec.Command("sh", "-c", copyScript, "adamant-copy-up", filepath.Join(image, "srv")+"/", filepath.Join(volume, "again"), "", "", "").Run(); err == nil {
		t.Error("a failed cp is no error")
	}
	if _, err := os.Lstat(filepath.Join(volume, "again")); !os.IsNotExist(err) {
		t.Error("half a copy has its name")
	}
}

// broken returns a directory with a program that writes half of its work and fails.
func broken(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, program), "#!/bin/sh\nfor last; do :; done\nmkdir \"$last\"\nexit 1\n", 0o755)
	return dir
}
