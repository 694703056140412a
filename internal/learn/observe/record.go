package observe

import (
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/learn/trace"
	"github.com/adamant-sh/adamant/internal/text"
)

// peers returns the directories of both paths of a rename or link as "dir/*",
// or "" unless they are two directories that must be on the same mount.
func peers(from, to place, errno syscall.Errno) (fromDir, toDir string) {
	related := errno == unix.EXDEV || errno == 0 && from.mount == "" && to.mount == ""
	fromDir, toDir = path.Join(path.Dir(from.path), "*"), path.Join(path.Dir(to.path), "*")
	if !related || !from.known || !to.known || fromDir == toDir {
		return "", ""
	}
	return text.EscapeInvalid(fromDir), text.EscapeInvalid(toDir)
}

// record adds one access.
func (t *tracer) record(tid int, th *thread, op trace.Op, at place, errno syscall.Errno) {
	t.recordPeer(tid, th, op, at, "", errno)
}

func (t *tracer) recordPeer(tid int, th *thread, op trace.Op, at place, peer string, errno syscall.Errno) {
	t.identify(tid, th)
	if !at.known {
		if errno == 0 || errno == unix.EROFS { // what failed otherwise may be a pipe
			t.note("a path could not be resolved: " + string(op) + " by " + th.exe)
		}
		return
	}
	name := ""
	if errno != 0 {
		name = errnoString(errno)
	}
	t.add(trace.Access{Op: op, Path: text.EscapeInvalid(at.path), Peer: peer, Mount: at.mount, Exe: th.exe, UID: th.uid, Errno: name, Bytes: at.size})
}

// identify reads the program and the user of a thread, once after each execve
// and change of user.
func (t *tracer) identify(tid int, th *thread) {
	if th.who {
		return
	}
	th.exe, th.who = "", true
	if exe, ok := t.view.link(procDir(tid) + "exe"); ok {
		th.exe = text.EscapeInvalid(strings.TrimSuffix(exe, " (deleted)"))
	}
	data, err := os.ReadFile(procDir(tid) + "status")
	if err != nil {
		th.who = false
		return
	}
	th.uid = t.view.users.inside(effectiveUser(data))
}

// effectiveUser returns the second number in the line "Uid:" of a status file.
func effectiveUser(status []byte) uint32 {
	_, rest, _ := strings.Cut(string(status), "\nUid:")
	line, _, _ := strings.Cut(rest, "\n")
	if f := strings.Fields(line); len(f) > 1 {
		n, _ := strconv.ParseUint(f[1], 10, 32)
		return uint32(n)
	}
	return 0
}

func errnoString(e syscall.Errno) string {
	if name := unix.ErrnoName(e); name != "" {
		return name
	}
	return "E" + strconv.Itoa(int(e))
}

// is32Bit reads the class of the ELF file that a process runs.
func is32Bit(pid int) bool {
	f, err := os.Open(procDir(pid) + "exe")
	if err != nil {
		return false
	}
	defer f.Close()
	var ident [5]byte
	_, err = f.ReadAt(ident[:], 0)
	return err == nil && ident[4] == 1
}

// A userMap translates users of the host into those of the container
// (user_namespaces(7), /proc/PID/uid_map).
type userMap []struct{ in, out, count uint64 }

const overflowUser = 65534 // of users without a number in a user namespace

func parseUserMap(data []byte) userMap {
	var m userMap
	for line := range strings.Lines(string(data)) {
		var n [3]uint64
		f := strings.Fields(line)
		if len(f) != len(n) {
			continue
		}
		for i := range n {
			n[i], _ = strconv.ParseUint(f[i], 10, 32)
		}
		m = append(m, struct{ in, out, count uint64 }{n[0], n[1], n[2]})
	}
	return m
}

func (m userMap) inside(host uint32) uint32 {
	u := uint64(host)
	for _, r := range m {
		if u >= r.out && u < r.out+r.count {
			return uint32(r.in + u - r.out)
		}
	}
	return overflowUser
}
