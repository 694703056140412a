package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/test/appimage"
)

// A lab is the real, static program and a private containerd. Scripts share one
// that has images. A test that needs all pods of a containerd, or that kills
// something, has its own lab, so that all tests can run at the same time.
type lab struct {
	dir, bin, root, state string
	container, debian     string // archives of nginx
}

var (
	theLab  = sync.OnceValues(newLab)
	labMade atomic.Bool
)

func TestMain(m *testing.M) {
	code := m.Run()
	if labMade.Load() {
		if err := closeLab(); err != nil {
			fmt.Fprintln(os.Stderr, "clean up:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

func newLab() (_ *lab, err error) {
	dir, err := os.MkdirTemp("/var/tmp", "adamant-cli-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	l := &lab{dir: dir, bin: filepath.Join(dir, "bin"), root: filepath.Join(dir, "root"), state: filepath.Join(dir, "state")}
	build := exec.Command("../../scripts/build", filepath.Join(l.bin, "adamant"))
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // the copy-up image has no libraries
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build adamant: %w\n%s", err, out)
	}
	ctx := context.Background()
	if l.container, err = appimage.Build(ctx, "nginx-container"); err != nil {
		return nil, err
	}
	if l.debian, err = appimage.Build(ctx, "nginx-debian"); err != nil {
		return nil, err
	}
	if err := l.adamant("load", l.debian, l.container); err != nil {
		return nil, errors.Join(err, l.adamant("reset", "--yes"))
	}
	return l, nil
}

// command returns a command of the program on the lab's containerd.
func (l *lab) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(l.bin, "adamant"), args...)
	cmd.Env = append(os.Environ(), "ADAMANT_ROOT="+l.root, "ADAMANT_STATE="+l.state)
	return cmd
}

// adamant runs the program, which must succeed.
func (l *lab) adamant(args ...string) error {
	if out, err := l.command(args...).CombinedOutput(); err != nil {
		return fmt.Errorf("adamant %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// openLab returns the shared lab, which the first call creates.
func openLab(t *testing.T) *lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test runs pods: it needs root")
	}
	labMade.Store(true)
	l, err := theLab()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// ownLab returns a lab with its own data directory: root, unless that is empty. It
// has no images.
func ownLab(t *testing.T, root string) *lab {
	t.Helper()
	shared := openLab(t)
	dir, err := os.MkdirTemp("/var/tmp", "adamant-own-")
	check(t, err)
	return &lab{
		dir: dir, bin: shared.bin, root: cmp.Or(root, filepath.Join(dir, "root")), state: filepath.Join(dir, "state"),
		container: shared.container, debian: shared.debian,
	}
}

// closeLab resets the shared lab.
func closeLab() error {
	l, err := theLab()
	if err != nil {
		return err
	}
	return l.close()
}

// close resets the lab and fails if anything is left behind.
func (l *lab) close() error {
	network, err := l.network()
	if err != nil {
		return err
	}
	if err := l.adamant("reset", "--yes"); err != nil {
		return err
	}
	for _, dir := range []string{l.root, l.state} {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("reset left %s: %v", dir, err)
		}
	}
	return errors.Join(l.mountsLeft(), l.processesLeft(), network.left(), os.RemoveAll(l.dir))
}

// mountsLeft returns an error if mounts of the lab are left.
func (l *lab) mountsLeft() error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err == nil && strings.Contains(string(mounts), l.dir) {
		err = fmt.Errorf("reset left mounts below %s", l.dir)
	}
	return err
}

// processesLeft returns an error if processes of the lab are left. Killed
// processes may take a moment to end.
func (l *lab) processesLeft() error {
	var left []string
	for range 50 {
		left = nil
		all, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			return err
		}
		for _, p := range all {
			if line, err := os.ReadFile(p); err == nil && strings.Contains(string(line), l.dir) {
				left = append(left, strings.ReplaceAll(string(line), "\x00", " "))
			}
		}
		if len(left) == 0 {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("reset left processes: %q", left)
}

// A network identifies the lab's network by its bridge and the first bytes of its
// addresses.
type network struct{ bridge, prefix string }

func (l *lab) network() (network, error) {
	var instance struct{ Subnet string }
	data, err := os.ReadFile(filepath.Join(l.root, "instance.json"))
	if err == nil {
		err = json.Unmarshal(data, &instance)
	}
	if err != nil {
		return network{}, err
	}
	files, err := filepath.Glob(filepath.Join(l.root, "cni", "*"))
	if err != nil || len(files) == 0 {
		return network{}, fmt.Errorf("find the network: %d files, %v", len(files), err)
	}
	conf, err := os.ReadFile(files[0])
	bridge := regexp.MustCompile(`"bridge":\s*"([^"]+)"`).FindSubmatch(conf)
	if err != nil || bridge == nil || instance.Subnet == "" {
		return network{}, fmt.Errorf("find the network in %s: %v", files[0], err)
	}
	return network{string(bridge[1]), strings.TrimSuffix(instance.Subnet, "0/24")}, nil
}

// left returns an error if the bridge, namespaces or firewall rules of the network
// are left.
func (n network) left() error {
	var errs []error
	if _, err := os.Stat("/sys/class/net/" + n.bridge); err == nil {
		errs = append(errs, fmt.Errorf("reset left the bridge %s", n.bridge))
	}
	rules, err := exec.Command("iptables-save").Output()
	errs = append(errs, err)
	for rule := range strings.Lines(string(rules)) {
		isOther := strings.Contains(rule, `"adm-`) && !strings.Contains(rule, n.bridge) // has the subnet now
		if !isOther && (strings.Contains(rule, n.prefix) || strings.Contains(rule, n.bridge)) {
			errs = append(errs, fmt.Errorf("reset left the rule %s of iptables", rule))
		}
	}
	spaces, err := filepath.Glob("/run/netns/*")
	errs = append(errs, err)
	for _, space := range spaces {
		out, err := exec.Command("nsenter", "--net="+space, "ip", "-4", "-o", "addr").Output()
		if err == nil && strings.Contains(string(out), n.prefix) {
			errs = append(errs, fmt.Errorf("reset left the network namespace %s", space))
		}
	}
	return errors.Join(errs...)
}
