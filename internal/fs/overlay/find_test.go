package overlay_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/drift/inspect"
	"github.com/adamant-sh/adamant/internal/fs/overlay"
)

// The test binary also runs as the processes of containers. This variable contains its
// role and arguments; it exits at the end of its standard input.
const roleVariable = "OVERLAY_TEST_ROLE"

func TestMain(m *testing.M) {
	role := strings.Split(os.Getenv(roleVariable), "\n")
	var err error
	switch role[0] {
	case "init":
		err = playInit(role[1])
	case "runtime":
		err = playRuntime(role[1])
	case "hermit":
		if err = mountPrivately(role[1]); err == nil {
			err = playInit(role[1] + "/merged")
		}
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// playInit is the first process of a container.
func playInit(root string) error {
	if err := errors.Join(unix.Chroot(root), unix.Chdir("/")); err != nil {
		return err
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// mountPrivately mounts an overlay, at merged in a directory, that only its own
// mount namespace sees.
func mountPrivately(dir string) error {
	err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("tmpfs", dir, "tmpfs", 0, ""),
		unix.Chdir(dir),
	)
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		err = errors.Join(err, os.Mkdir(name, 0o755))
	}
	return errors.Join(err, os.WriteFile("lower/file", []byte("a"), 0o644),
		unix.Mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work"),
		os.WriteFile("merged/file", []byte("b"), 0o644))
}

// playRuntime starts a container in a mount namespace of its own.
func playRuntime(dir string) error {
	if err := mountPrivately(dir); err != nil {
		return err
	}
	child := play("init", dir+"/merged")
	child.Stdin, child.Stderr = os.Stdin, os.Stderr
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		return fmt.Errorf("%q: %w", line, err)
	}
	fmt.Println(child.Process.Pid)
	return child.Wait()
}

func play(role ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"="+strings.Join(role, "\n"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// start runs a role until the test ends and returns its process and first line.
func start(t *testing.T, cmd *exec.Cmd) (pid int, line string) {
	t.Helper()
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		must(t, in.Close())
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	line, err = bufio.NewReader(out).ReadString('\n')
	must(t, err)
	return cmd.Process.Pid, strings.TrimSpace(line)
}

func TestFindProcess(t *testing.T) {
	l := newLab(t, "", image(t))
	pid, line := start(t, play("init", l.merged))
	if line != "ready" {
		t.Fatal(line)
	}
	got, err := overlay.Find(pid)
	must(t, err)
	want := overlay.Mount{Upper: l.upper, Work: l.dir + "/work1", Lower: l.lower}
	if diff := cmp.Diff(got, want, cmpopts.IgnoreFields(overlay.Mount{}, "Points")); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

func TestFindSomethingElse(t *testing.T) {
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
	defer func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) }()
	pid, _ := start(t, play("init", dir))
	if _, err := overlay.Find(pid); !errors.Is(err, overlay.ErrNoOverlay) {
		t.Errorf("process on tmpfs: %v", err)
	}
	if _, err := overlay.Find(1 << 30); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no process: %v", err)
	}
}

// TestFindInOtherNamespace finds a container of a runtime in another mount namespace,
// whose paths are not valid in this one.
func TestFindInOtherNamespace(t *testing.T) {
	dir := t.TempDir()
	cmd := play("runtime", dir)
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS
	runtime, line := start(t, cmd)
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(line)
	}
	m, err := overlay.Find(pid)
	must(t, err)
	want := overlay.Mount{Upper: dir + "/upper", Work: dir + "/work", Lower: []string{dir + "/lower"}, Namespace: runtime}
	if diff := cmp.Diff(m, want, cmpopts.IgnoreFields(overlay.Mount{}, "Points")); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
	r, err := inspect.Overlay(context.Background(), m)
	must(t, err)
	if diff := cmp.Diff(listed(r), []string{"changed /file content"}); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

// TestFindRefusesWhatAContainerMountedItself checks that an overlay that a container
// mounted itself is refused, because its options may name any directories.
func TestFindRefusesWhatAContainerMountedItself(t *testing.T) {
	pid, line := start(t, play("hermit", t.TempDir()))
	if line != "ready" {
		t.Fatal(line)
	}
	m, err := overlay.Find(pid)
	if err == nil || errors.Is(err, overlay.ErrNoOverlay) {
		t.Errorf("got %+v, %v", m, err)
	}
	list, err := overlay.Containers(context.Background())
	must(t, err)
	for _, c := range list {
		if c.PID == pid && c.Err != nil {
			return
		}
	}
	t.Error("it is not listed with an error")
}

func TestFindNamesTheKernelEscapes(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{`l,o:w e\r`, "second", `u,p:\x`, "work", "merged"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	esc := strings.NewReplacer(`\`, `\\`, ",", `\,`, ":", `\:`)
	under := func(name string) string { return esc.Replace(filepath.Join(dir, name)) }
	merged := dir + "/merged"
	options := "lowerdir=" + under(`l,o:w e\r`) + ":" + under("second") + ",upperdir=" + under(`u,p:\x`) + ",workdir=" + under("work")
	must(t, unix.Mount("overlay", merged, "overlay", 0, options))
	defer func() { must(t, unix.Unmount(merged, 0)) }()
	got, err := overlay.FindDir(merged)
	must(t, err)
	want := overlay.Mount{
		Upper: dir + `/u,p:\x`, Work: dir + "/work", Lower: []string{dir + `/l,o:w e\r`, dir + "/second"},
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

// TestFindLayersGivenOneByOne mounts with fsconfig(2), as containerd 2 does.
func TestFindLayersGivenOneByOne(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a,b:c", "second", "data", "upper", "work", "merged"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	must(t, err)
	defer unix.Close(fs)
	for _, option := range [][2]string{
		{"lowerdir+", dir + "/a,b:c"}, {"lowerdir+", dir + "/second"}, {"datadir+", dir + "/data"},
		{"upperdir", dir + "/upper"}, {"workdir", dir + "/work"}, {"metacopy", "on"},
	} {
		err := unix.FsconfigSetString(fs, option[0], option[1])
		if errors.Is(err, unix.EINVAL) && isBefore(t, 6, 8) {
			t.Skip("this kernel takes all layers at once")
		}
		must(t, err)
	}
	must(t, unix.FsconfigCreate(fs))
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(mount)
	merged := dir + "/merged"
	must(t, unix.MoveMount(mount, "", unix.AT_FDCWD, merged, unix.MOVE_MOUNT_F_EMPTY_PATH))
	defer func() { must(t, unix.Unmount(merged, unix.MNT_DETACH)) }()
	got, err := overlay.FindDir(merged)
	must(t, err)
	want := overlay.Mount{
		Upper: dir + "/upper", Work: dir + "/work", Lower: []string{dir + "/a,b:c", dir + "/second"}, Data: []string{dir + "/data"},
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

func isBefore(t *testing.T, major, minor int) bool {
	t.Helper()
	var name unix.Utsname
	must(t, unix.Uname(&name))
	var a, b int
	_, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &a, &b)
	must(t, err)
	return a < major || a == major && b < minor
}

// TestFindRelativeLayers mounts as Docker does if the paths would be too long: relative
// to a directory that is not in mountinfo, through symbolic links.
func TestFindRelativeLayers(t *testing.T) {
	tests := map[string]struct{ lower, upper, work string }{
		"all as in Docker":       {"l/AB:l/CD", "id/diff", "id/work"},
		"lower as in containerd": {"l/AB:l/CD", "DIR/id/diff", "DIR/id/work"},
		"upward":                 {"id/../l/AB:l/CD", "DIR/id/diff", "DIR/id/work"},
		"none but through links": {"DIR/l/AB:DIR/l/CD", "DIR/id/diff", "DIR/id/work"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{"l", "one/diff", "two/diff", "id/diff", "id/work", "id/merged"} {
				must(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
			}
			must(t, os.Symlink("../one/diff", dir+"/l/AB"))
			must(t, os.Symlink("../two/diff", dir+"/l/CD"))
			write(t, dir+"/two/diff/file", "a")
			options := strings.ReplaceAll("lowerdir="+tt.lower+",upperdir="+tt.upper+",workdir="+tt.work, "DIR", dir)
			merged := dir + "/id/merged"
			mount := exec.Command("mount", "-t", "overlay", "overlay", "-o", options, merged)
			mount.Dir = dir
			if out, err := mount.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			defer func() { must(t, unix.Unmount(merged, 0)) }()
			write(t, merged+"/file", "b")
			m, err := overlay.FindDir(merged)
			must(t, err)
			r, err := inspect.Overlay(context.Background(), m)
			must(t, err)
			if diff := cmp.Diff(listed(r), []string{"changed /file content"}); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
		})
	}
}

func TestFindTellsMountPoints(t *testing.T) {
	l := newLab(t, "", image(t))
	write(t, l.path("etc/hosts"), "")
	must(t, unix.Mount(l.lower[0]+"/etc/passwd", l.path("etc/hosts"), "", unix.MS_BIND, ""))
	defer func() { must(t, unix.Unmount(l.path("etc/hosts"), 0)) }()
	pid, _ := start(t, play("init", l.merged))
	m, err := overlay.Find(pid)
	must(t, err)
	if diff := cmp.Diff(m.Points, []string{"/etc/hosts"}); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

func TestContainers(t *testing.T) {
	l := &lab{t: t, dir: t.TempDir() + "/io.containerd.runtime.v2.task/test/web1"}
	l.lower = []string{l.mkdir("lower")}
	image(t)(l.lower[0])
	l.merged = l.mkdir("rootfs")
	l.mountAt(l.merged)
	write(t, l.path("etc/new"), "x")
	pid, _ := start(t, play("init", l.merged))
	got, err := overlay.Lookup(context.Background(), "web1")
	must(t, err)
	want := overlay.Container{ID: "web1", Runtime: "containerd", Namespace: "test", PID: pid}
	if diff := cmp.Diff(got, want, cmpopts.IgnoreFields(overlay.Container{}, "Mount")); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
	if got.Mount.Upper != l.upper {
		t.Errorf("got upper directory %s", got.Mount.Upper)
	}
	byPID, err := overlay.Lookup(context.Background(), strconv.Itoa(pid))
	must(t, err)
	if byPID.ID != "web1" {
		t.Errorf("process %d: got %v", pid, byPID)
	}
	if _, err := overlay.Lookup(context.Background(), "no-such-container"); !errors.Is(err, overlay.ErrNoContainer) {
		t.Errorf("got %v", err)
	}
	if _, err := overlay.Lookup(context.Background(), strconv.Itoa(os.Getpid())); !errors.Is(err, overlay.ErrNoContainer) {
		t.Errorf("a process of the host: got %v", err)
	}
}
