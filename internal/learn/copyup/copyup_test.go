package copyup

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCopyIsLikeTheImage(t *testing.T) {
	memory, err := os.MkdirTemp("/dev/shm", "copyup-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(memory) })
	for name, to := range map[string]string{"disk": t.TempDir(), "memory": memory} {
		t.Run(name, func(t *testing.T) {
			image := newImage(t)
			newVolumesIn(t, to, "/data")
			if lines := run(t, Options{From: image, To: to, Targets: targets(t, "/data"), Strict: true}); lines != nil {
				t.Errorf("warns: %q", lines)
			}
			sameTree(t, to+"/data", image+"/data")
			var st unix.Stat_t
			must(t, unix.Stat(to+"/data/sparse", &st))
			if st.Size != 64<<30 || st.Blocks > 1024 {
				t.Errorf("the sparse file has %d bytes in %d blocks", st.Size, st.Blocks)
			}
		})
	}
}

func TestCompleteVolumeIsLeftAlone(t *testing.T) {
	for _, tc := range []struct {
		name   string
		arg    string
		change func(dir string) error
	}{
		{"edited", "/data", func(d string) error { return os.WriteFile(d+"/plain", []byte("edited"), 0o600) }},
		{"removed", "/data", func(d string) error { return os.Remove(d + "/plain") }},
		{"mode of the root", "/data", func(d string) error { return os.Chmod(d, 0o711) }},
		{"all removed", "/data", func(d string) error {
			entries, err := os.ReadDir(d)
			for _, e := range entries {
				err = errors.Join(err, os.RemoveAll(d+"/"+e.Name()))
			}
			return err
		}},
		{"removed in a subdirectory", "/data:subpath=x", func(d string) error { return os.RemoveAll(d + "/x/plain") }},
		{"nothing", "/data", func(string) error { return nil }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			image, to := newImage(t), newVolumes(t, "/data")
			opts := Options{From: image, To: to, Targets: targets(t, tc.arg)}
			run(t, opts)
			must(t, tc.change(to+"/data"))
			before := walk(t, to)
			run(t, opts)
			after := walk(t, to)
			if len(before) != len(after) {
				t.Errorf("%d entries became %d", len(before), len(after))
			}
			for p, e := range before {
				if !e.Same(after[p]) || !e.ModTime.Equal(after[p].ModTime) {
					t.Errorf("%s was %+v and is now %+v", p, e, after[p])
				}
			}
		})
	}
}

// TestOtherFilesInTheVolume fills a part of a volume that has other files, as a
// claim may have.
func TestOtherFilesInTheVolume(t *testing.T) {
	image, to := newImage(t), newVolumes(t, "/data")
	writeFile(t, to+"/data/other/file", "kept", 0o600)
	must(t, os.Mkdir(to+"/data/lost+found", 0o700))
	opts := Options{From: image, To: to, Targets: targets(t, "/data:subpath=x")}
	for range 2 {
		run(t, opts)
		for name, want := range map[string]string{"/data/other/file": "kept", "/data/x/plain": "plain\n"} {
			if got, err := os.ReadFile(to + name); string(got) != want {
				t.Errorf("%s is %q, error %v, want %q", name, got, err, want)
			}
		}
	}
	if _, err := os.Lstat(to + "/data/" + staging); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the staging directory is still there: %v", err)
	}
}

func TestTargets(t *testing.T) {
	image := newImage(t)
	writeFile(t, image+"/etc/app.conf", "conf\n", 0o640)
	must(t, os.Chown(image+"/etc/app.conf", 7, 8), os.Symlink("data", image+"/linked"))
	to := newVolumes(t, "/data", "/etc/app.conf", "/run/made", "/run/sub", "/note", "/linked", "/run/plain")
	run(t, Options{From: image, To: to, Targets: targets(t,
		"/data:subpath=data,mode=0700,uid=5,gid=6",
		"/etc/app.conf:subpath=app.conf,file",
		"/run/made:mode=0750,uid=5,gid=6",
		"/run/sub:subpath=x,mode=2770,uid=5,gid=6",
		"/note:subpath=note,file,mode=0600,uid=5,gid=6",
		"/linked",
		"/run/plain",
	)})
	for name, want := range map[string]string{
		"/data":                   "0777 0:0",
		"/data/data":              "0700 5:6",
		"/data/data/secret":       "0600 999:998",
		"/etc/app.conf":           "0777 0:0",
		"/etc/app.conf/app.conf":  "0640 7:8",
		"/run/made":               "0750 5:6",
		"/run/sub":                "0777 0:0",
		"/run/sub/x":              "2770 5:6",
		"/note/note":              "0600 5:6",
		"/linked/secret":          "0600 999:998",
		"/run/plain":              "0777 0:0",
		"/data/data/sub/outwards": "0777 0:0",
	} {
		if got := modeOf(t, to+name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	must(t, os.Chmod(to+"/data/data", 0), os.Chmod(image+"/data", 0))
	sameBelow(t, to+"/data/data", image+"/data")
}

// sameBelow is sameTree without the root directories themselves.
func sameBelow(t *testing.T, got, want string) {
	t.Helper()
	for _, dir := range []string{got, want} {
		must(t, os.Chown(dir, 0, 0), os.Chmod(dir, 0o755), os.Chtimes(dir, unixEpoch, unixEpoch))
	}
	sameTree(t, got, want)
}

func TestErrors(t *testing.T) {
	image := newImage(t)
	must(t, os.Symlink("/etc", image+"/out"), os.Mkdir(image+"/bad", 0o755), os.Mkdir(image+"/bad/"+staging, 0o755))
	for _, tc := range []struct {
		name    string
		target  Target
		volumes []string
		want    string
	}{
		{"no volume", Target{Path: "/data"}, nil, "open volume: no such file"},
		{"a file where a directory is asked for", Target{Path: "/data/plain"}, []string{"/data/plain"}, "no directory in the image"},
		{"a directory where a file is asked for", Target{Path: "/data", File: true, SubPath: "data"}, []string{"/data"}, "no regular file in the image"},
		{"not clean", Target{Path: "/data/../x"}, nil, "not absolute and clean"},
		{"the root", Target{Path: "/"}, nil, "cannot be a volume"},
		{"a path as a name", Target{Path: "/data", SubPath: "../x"}, []string{"/data"}, "not the name of a directory entry"},
		{"our own name", Target{Path: "/data", SubPath: staging}, []string{"/data"}, "not the name of a directory entry"},
		{"our own name in the image", Target{Path: "/bad"}, []string{"/bad"}, "kept for an incomplete volume"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := Run(context.Background(), Options{From: image, To: newVolumes(t, tc.volumes...), Targets: []Target{tc.target}})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want one with %q", err, tc.want)
			}
		})
	}
}

// TestLinksLeadNowhere plants symbolic links in the image and in the volume.
func TestLinksLeadNowhere(t *testing.T) {
	outside := t.TempDir()
	writeFile(t, outside+"/data/passwd", "outside", 0o644)
	t.Run("in the image", func(t *testing.T) {
		image, to := t.TempDir(), newVolumes(t, "/data")
		must(t, os.Symlink(outside+"/data", image+"/data")) // leads to nothing inside of the image
		run(t, Options{From: image, To: to, Targets: targets(t, "/data")})
		if exists(to + "/data/passwd") {
			t.Error("copied what is outside of the image")
		}
	})
	t.Run("in place of the volume", func(t *testing.T) {
		image, to := newImage(t), t.TempDir()
		must(t, os.Symlink(outside+"/data", to+"/data"))
		err := Run(context.Background(), Options{From: image, To: to, Targets: targets(t, "/data")})
		if !errors.Is(err, unix.ELOOP) {
			t.Errorf("error is %v, want ELOOP", err)
		}
	})
	t.Run("in an incomplete volume", func(t *testing.T) {
		image, to := newImage(t), newVolumes(t, "/data/"+staging)
		must(t, os.Symlink(outside+"/data", to+"/data/sub"))
		err := Run(context.Background(), Options{From: image, To: to, Targets: targets(t, "/data")})
		if err == nil {
			t.Error("no error for a link in place of a directory")
		}
	})
	t.Run("in place of the staging directory", func(t *testing.T) {
		image, to := newImage(t), newVolumes(t, "/data")
		must(t, os.Symlink(outside+"/data", to+"/data/"+staging))
		if err := Run(context.Background(), Options{From: image, To: to, Targets: targets(t, "/data")}); err == nil {
			t.Error("no error for a link in place of the staging directory")
		}
	})
	if got := len(walk(t, outside)); got != 3 {
		t.Errorf("%d entries outside, want 3", got)
	}
}

func TestSocketsAreLeftOut(t *testing.T) {
	image, to := t.TempDir(), newVolumes(t, "/run")
	writeFile(t, image+"/run/file", "x", 0o644)
	must(t, unix.Mknod(image+"/run/socket", unix.S_IFSOCK|0o666, 0))
	lines := run(t, Options{From: image, To: to, Targets: targets(t, "/run"), Strict: true})
	if len(lines) != 1 || !strings.Contains(lines[0], "/run/socket: left out") {
		t.Errorf("says %q", lines)
	}
	if exists(to + "/run/socket") {
		t.Error("the socket was copied")
	}
}

func TestWhatIsMountedOverIsLeftOut(t *testing.T) {
	image, to := newImage(t), newVolumes(t, "/data")
	j := job{Options: Options{From: image, To: to, Targets: targets(t, "/data")}, Cover: image + "/data/sub"}
	cmd := command(t, j)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	code, out := finish(t, cmd)
	if code != 0 || !strings.Contains(out, "/data/sub: left out: it is mounted over the image") {
		t.Errorf("exit %d: %s", code, out)
	}
	if exists(to+"/data/sub") || !exists(to+"/data/plain") {
		t.Error("want all but what is mounted over")
	}
	j.Options.To, j.Cover = newVolumes(t, "/data"), image+"/data"
	cmd = command(t, j)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if code, out := finish(t, cmd); code != 1 || !strings.Contains(out, "something is mounted over the image's own") {
		t.Errorf("exit %d: %s", code, out)
	}
}

func TestFewCapabilities(t *testing.T) {
	image, to := newImage(t), newVolumes(t, "/data")
	must(t, os.Remove(image+"/data/null"))
	j := job{Options: Options{From: image, To: to, Targets: targets(t, "/data"), Strict: true}}
	code, out := finish(t, command(t, j, "setpriv", "--bounding-set", "-all,+chown,+fowner,+dac_override", "--inh-caps", "-all"))
	if code != 3 || out != "/data/able: extended attribute security.capability: operation not permitted\n" {
		t.Errorf("exit %d, want 3 for the file capability alone: %s", code, out)
	}
	must(t, unix.Removexattr(image+"/data/able", "security.capability"))
	sameTree(t, to+"/data", image+"/data")
}

func TestSetGIDFileWithoutFSETID(t *testing.T) {
	image, to := t.TempDir(), newVolumes(t, "/data")
	writeFile(t, image+"/data/mail", "x", 0o755)
	must(t, os.Chown(image+"/data/mail", 0, 8), unix.Chmod(image+"/data/mail", 0o2755))
	j := job{Options: Options{From: image, To: to, Targets: targets(t, "/data")}}
	code, out := finish(t, command(t, j, "setpriv", "--clear-groups", "--bounding-set", "-all,+chown,+fowner,+dac_override", "--inh-caps", "-all"))
	if code != 0 || !strings.Contains(out, "/data/mail: mode is 0755, not 2755") {
		t.Errorf("exit %d, want 0 and a word on the lost bit: %s", code, out)
	}
}

func TestNotRoot(t *testing.T) {
	image, to := newImage(t), newVolumes(t, "/data")
	must(t, os.Remove(image+"/data/null"), os.Chmod(image+"/data", 0o755), os.Chmod(image, 0o755), os.Chmod(to, 0o755))
	openUp(t, image)
	openUp(t, to)
	j := job{Options: Options{From: image, To: to, Targets: targets(t, "/data:subpath=data")}}
	code, out := finish(t, command(t, j, "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", "-all"))
	if code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	for _, want := range []string{"/data/secret: left out: it may not be read", "/data/closed: its content is left out", "/data/a-first: owner is 65534:65534, not 0:0", "/data/setuid: mode is 0755, not 4755"} {
		if !strings.Contains(out, want) {
			t.Errorf("does not say %q:\n%s", want, out)
		}
	}
	for name, want := range map[string]string{"plain": "0644 65534:65534", "sub/deep/er/file": ""} {
		if want == "" {
			if exists(to + "/data/data/" + name) {
				t.Errorf("%s was copied, and nobody else may read it", name)
			}
		} else if got := modeOf(t, to+"/data/data/"+name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if exists(to + "/data/" + staging) {
		t.Error("the volume is not complete")
	}
}

// openUp makes a test's temporary directory accessible for all users.
func openUp(t *testing.T, dir string) {
	t.Helper()
	for d := dir; d != "/tmp" && d != "/"; d = parent(d) {
		must(t, os.Chmod(d, 0o755))
	}
}

func TestOnlyOneAtATime(t *testing.T) {
	image, to := newImage(t), newVolumes(t, "/data")
	fd, err := unix.Open(to+"/data", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	must(t, err, unix.Flock(fd, unix.LOCK_EX))
	defer unix.Close(fd)
	err = Run(context.Background(), Options{From: image, To: to, Targets: targets(t, "/data")})
	if err == nil || !strings.Contains(err.Error(), "another copy-up") {
		t.Errorf("error is %v", err)
	}
}

func TestCancelled(t *testing.T) {
	image, to := newImage(t), newVolumes(t, "/data")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	opts := Options{From: image, To: to, Targets: targets(t, "/data")}
	if err := Run(ctx, opts); !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v, want %v", err, context.Canceled)
	}
	run(t, opts)
	sameTree(t, to+"/data", image+"/data")
}
