// Package sshd is a lab of real SSH servers for tests. Each server is Debian's
// sshd as the first process of its own mount, process, host name, IPC and
// network namespaces, with its own disk over one shared system. The lab needs
// root and the machine's package sources, and fails a test without them.
//
// A lab is a network and a process namespace, which one process holds that ends
// with the test's process in any case. Its end also ends the servers, with
// their mounts and links, so nothing can be left behind; Open checks that
// nevertheless. The machine has one additional network link while a lab is
// open.
package sshd

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/adamant-sh/adamant/test/appimage"
)

// T has the methods of testing.TB that a lab uses, so that programs can open
// one, too.
type T interface {
	Context() context.Context
	TempDir() string
	Cleanup(func())
	Helper()
	Failed() bool
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// A Lab holds servers that reach each other and that the machine reaches.
type Lab struct {
	// Key logs in as root, admin, ops and guest on every server. KeyFile holds
	// it in the format of ssh(1).
	Key     ssh.Signer
	KeyFile string

	t          T
	dir        string // disks of the servers
	lower      string // the lower layers of all disks
	holder     *exec.Cmd
	namespaces []string  // the holder's
	leash      io.Closer // the holder ends when this is closed
	link       string    // the machine's end of the link to the lab
	subnet     netip.Prefix
	servers    []*Server
	watchers   sync.WaitGroup // goroutines that wait for servers

	mu    sync.Mutex
	ended map[string]uint64 // when each namespace of the lab ended, in ticks of startOf, or stillThere
}

// Open creates an empty lab that ends with the test. Its servers have the given
// Debian packages in addition to those of every server.
func Open(t T, packages ...string) *Lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatalf("sshd: servers need namespaces and mounts: run the test as root")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	l := &Lab{t: t, dir: t.TempDir(), ended: map[string]uint64{}}
	var err error
	if l.lower, err = appimage.Root(ctx, system(packages)); err != nil {
		t.Fatalf("sshd: %v", err)
	}
	if l.Key, l.KeyFile, err = newKey(filepath.Join(t.TempDir(), "id_ed25519")); err != nil {
		t.Fatalf("sshd: client key: %v", err)
	}
	t.Cleanup(l.close)
	if err := l.hold(); err != nil {
		t.Fatalf("sshd: %v", err)
	}
	if err := l.connect(); err != nil {
		t.Fatalf("sshd: %v", err)
	}
	return l
}

// hold starts the process that holds the lab's namespaces.
func (l *Lab) hold() error {
	// cat ends when its standard input is closed, and the kernel closes that
	// when this process ends.
	holder := exec.Command("cat")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID}
	leash, err := holder.StdinPipe()
	if err != nil {
		return err
	}
	if err := holder.Start(); err != nil {
		return fmt.Errorf("hold namespaces: %w", err)
	}
	l.holder, l.leash = holder, leash
	l.namespaces, err = l.remember(holder.Process.Pid, "net", "pid")
	return err
}

// namespace returns the path of one of the lab's namespaces.
func (l *Lab) namespace(kind string) string {
	return fmt.Sprintf("/proc/%d/ns/%s", l.holder.Process.Pid, kind)
}

// remember records the namespaces of a process for leftovers, and returns their
// names.
func (l *Lab) remember(pid int, kinds ...string) ([]string, error) {
	var ids []string
	for _, kind := range kinds {
		id, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
		if err != nil {
			return ids, err
		}
		l.mu.Lock()
		l.ended[id] = stillThere
		l.mu.Unlock()
		ids = append(ids, id)
	}
	return ids, nil
}

// forget records that all processes of these namespaces have ended.
func (l *Lab) forget(ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		l.ended[id] = ticks()
	}
}

// close ends all servers and the lab, and fails the test if anything is left.
func (l *Lab) close() {
	for _, s := range l.servers {
		s.Kill()
	}
	l.watchers.Wait()
	if l.holder != nil {
		l.forget(l.namespaces)
		l.leash.Close()
		l.holder.Wait()
	}
	for _, left := range l.leftovers() {
		l.t.Errorf("sshd: the lab left %s", left)
	}
	if l.t.Failed() {
		for _, s := range l.servers {
			l.t.Logf("%s (%s):\n%s", s.Name, s.Addr, s.Log())
		}
	}
}

// run runs a program and shows its output only if it fails.
func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
