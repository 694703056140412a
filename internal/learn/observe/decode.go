package observe

import (
	"encoding/binary"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

func addressOf[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

// enter handles the stop before a call and returns the request with which to
// go on: PTRACE_SYSCALL if the result matters, else PTRACE_CONT.
func (t *tracer) enter(tid int, th *thread) int {
	if !th.recorded || t.view == nil {
		return unix.PTRACE_CONT
	}
	var info callInfo
	if errno := syscallInfo(tid, &info); errno != 0 {
		if errno != unix.ESRCH {
			t.note("system calls cannot be read: " + errnoString(errno))
		}
		return unix.PTRACE_CONT
	}
	c := t.lookup(&info)
	if c == nil {
		t.note("another seccomp filter of the container asks for a tracer")
		return unix.PTRACE_CONT
	}
	th.pending = pending{args: info.args, op: c.op}
	if !t.prepare(tid, th, c) {
		return unix.PTRACE_CONT
	}
	th.call = c
	return unix.PTRACE_SYSCALL
}

// lookup finds the call a stop is for; the filter has told which it is.
func (t *tracer) lookup(info *callInfo) *sysCall {
	table, call := int(info.data>>8)-1, int(info.data&0xff)-1
	if table < 0 || table >= len(t.abis) || call < 0 || call >= len(t.abis[table].calls) {
		return nil
	}
	a := &t.abis[table]
	c := &a.calls[call]
	if a.arch != info.arch || uint32(info.nr)&^a.clear != c.nr {
		return nil
	}
	return c
}

// prepare reads the arguments of a call at its entry stop, because the program or
// another thread may change them during the call. It reports whether the result
// is needed, too.
func (t *tracer) prepare(tid int, th *thread, c *sysCall) bool {
	p := &th.pending
	switch c.form {
	case creds:
		th.who = false
		return false
	case roots:
		t.view.moved = true
		return true
	case spaces:
		t.view.moved = true
		return false
	case mounts, rings, tracers:
		return true
	case handles:
		p.flags = p.args[c.flags]
		return true
	case fds:
		p.at, _ = t.view.opened(tid, descriptorPath(tid, int(int32(p.args[c.dir]))))
		return p.at.path != ""
	case binds, sockets:
		return t.prepareBind(tid, p, c)
	case opens, creats, opens2:
		return t.prepareOpen(tid, p, c)
	}
	return t.preparePath(tid, p, c)
}

// preparePath resolves the paths of calls that act on names and inodes.
func (t *tracer) preparePath(tid int, p *pending, c *sysCall) bool {
	flags := uint64(0)
	if c.flags != none {
		flags = p.args[c.flags]
	}
	given, ok := t.argument(tid, p, c.path)
	if !ok && p.args[c.path] != 0 {
		return false // EFAULT: nothing can come of it
	}
	dirfd := directory(p, c.dir)
	byFD := c.form == inodes && dirfd != unix.AT_FDCWD && (given == nil || flags&unix.AT_EMPTY_PATH != 0)
	if len(given) == 0 && !byFD {
		return false // ENOENT, as is any empty path
	}
	where := t.view.target(tid, dirfd, given)
	switch c.form {
	case names:
		if c.op == trace.Unlink && flags&unix.AT_REMOVEDIR != 0 {
			p.op = trace.Rmdir
		}
		p.at = t.view.name(tid, where)
	case renames:
		p.at = t.view.name(tid, where)
		to, ok := t.argument(tid, p, c.to)
		if !ok {
			return false
		}
		newDir := int8(none)
		if c.dir != none {
			newDir = c.to - 1
		}
		p.to = t.view.name(tid, t.view.target(tid, directory(p, newDir), to))
	case inodes:
		p.at = t.view.object(tid, where, flags&unix.AT_SYMLINK_NOFOLLOW == 0)
	case links:
		p.at = t.view.object(tid, where, false)
	}
	return true
}

// argument reads the path that an argument points to.
func (t *tracer) argument(tid int, p *pending, i int8) ([]byte, bool) {
	s := readString(tid, p.args[i], t.buf[:])
	return s, s != nil
}

func directory(p *pending, i int8) int {
	if i == none {
		return unix.AT_FDCWD
	}
	return int(int32(p.args[i]))
}

// prepareOpen remembers whether the file is there already.
func (t *tracer) prepareOpen(tid int, p *pending, c *sysCall) bool {
	switch c.form {
	case creats:
		p.flags = unix.O_CREAT | unix.O_WRONLY | unix.O_TRUNC
	case opens:
		p.flags = p.args[c.flags]
	case opens2:
		var how [24]byte
		if readMemory(tid, p.args[c.flags], how[:]) != len(how) {
			return false
		}
		p.flags = binary.LittleEndian.Uint64(how[:])
	}
	if p.flags&unix.O_PATH != 0 || p.flags&openFlags == 0 {
		return false
	}
	given, ok := t.argument(tid, p, c.path)
	if !ok || len(given) == 0 {
		return false
	}
	p.target = t.view.target(tid, directory(p, c.dir), given)
	switch {
	case p.flags&tmpfile != 0:
		p.op = trace.Tmpfile
	case p.flags&unix.O_CREAT != 0 && p.flags&unix.O_EXCL != 0:
		p.op = trace.Create
	case p.flags&(unix.O_CREAT|unix.O_TRUNC) == 0:
		p.op = trace.Write
	default:
		t.prepareCreate(tid, p)
	}
	return true
}

func (t *tracer) prepareCreate(tid int, p *pending) {
	p.at = t.view.object(tid, p.target, p.flags&unix.O_NOFOLLOW == 0)
	switch {
	case !p.at.exists && p.flags&unix.O_CREAT != 0:
		p.op = trace.Create
	case p.flags&unix.O_TRUNC != 0:
		p.op = trace.Truncate
	default:
		p.op = trace.Write
	}
}

// prepareBind resolves the path of a unix socket.
func (t *tracer) prepareBind(tid int, p *pending, c *sysCall) bool {
	address, length := p.args[c.path], p.args[c.path+1]
	if c.form == sockets {
		var in [12]byte
		if readMemory(tid, address, in[:]) != len(in) {
			return false
		}
		address = uint64(binary.LittleEndian.Uint32(in[4:]))
		length = uint64(binary.LittleEndian.Uint32(in[8:]))
	}
	var sun [110]byte
	n := readMemory(tid, address, sun[:min(uint64(uint32(length)), uint64(len(sun)))])
	if n < 3 || binary.LittleEndian.Uint16(sun[:]) != unix.AF_UNIX || sun[2] == 0 {
		return false // another family, or a name that is no path
	}
	name, _, _ := strings.Cut(string(sun[2:n]), "\x00")
	p.at = t.view.name(tid, t.view.target(tid, unix.AT_FDCWD, []byte(name)))
	return true
}

// leave handles the stop after a call.
func (t *tracer) leave(tid int, th *thread) {
	if th.call == nil {
		return
	}
	var info callInfo
	if syscallInfo(tid, &info) != 0 {
		return // killed meanwhile: gone will count the call
	}
	t.finish(tid, th, &info)
}

// Results between these are for the kernel itself: the call is made again.
const (
	restartFirst = 512
	restartLast  = 516
)

// finish records a call. A nil info means that its result is not known because
// the thread was killed; it then counts as one that succeeded.
func (t *tracer) finish(tid int, th *thread, info *callInfo) {
	c, p := th.call, &th.pending
	th.call = nil
	result, errno := int64(-1), syscall.Errno(0)
	if info != nil {
		result, errno = info.result()
	}
	if errno >= restartFirst && errno <= restartLast {
		return
	}
	switch c.form {
	case roots, mounts:
		t.view.mounts.forget()
	case rings:
		if errno == 0 {
			t.note("io_uring: its requests are not seen")
		}
	case tracers:
		if errno == unix.EPERM {
			t.note("a program wants to trace another, which it cannot while it is traced itself")
		}
	case opens, creats, opens2, handles:
		t.finishOpen(tid, th, result, errno)
	case renames:
		t.recordPair(tid, th, p.at, p.to, errno)
	default:
		t.record(tid, th, p.op, p.at, errno)
	}
}

func (t *tracer) finishOpen(tid int, th *thread, fd int64, errno syscall.Errno) {
	p := &th.pending
	before := p.at.size
	if fd < 0 {
		if th.pending.target == (target{}) {
			return // open_by_handle_at failed: no name, nothing written
		}
		if p.at.path == "" {
			p.at = t.view.object(tid, p.target, p.flags&unix.O_NOFOLLOW == 0)
		}
		t.record(tid, th, p.op, p.at, errno)
		return
	}
	at, kind := t.view.opened(tid, descriptorPath(tid, int(fd)))
	if kind != 0 && (kind != unix.S_IFREG || at.path == "") {
		return // writing to a pipe, device, socket or memory file changes no file system
	}
	if kind != 0 && !at.known && strings.HasPrefix(at.path, "/memfd:") {
		return
	}
	if p.op == "" {
		p.op = trace.Write
	}
	switch p.op {
	case trace.Tmpfile:
		at.path = parent(at.path)
	case trace.Create:
		if p.flags&unix.O_EXCL == 0 && t.throughOwnLink(tid, p, at.path) {
			p.op = trace.Write
		}
	}
	at.size = max(at.size, before)
	t.record(tid, th, p.op, at, 0)
}

// throughOwnLink reports whether a file that seemed not to exist was opened
// through a link to a descriptor of the caller, like /dev/stdout, and so did
// exist. Its name then differs from the argument.
func (t *tracer) throughOwnLink(tid int, p *pending, opened string) bool {
	_, name := split(p.target.rest)
	if _, base := split(opened); base == name {
		return false
	}
	_, own := t.view.ownTarget(tid, p.target)
	return own
}

func split(p string) (dir, name string) {
	i := strings.LastIndexByte(p, '/')
	return p[:i+1], p[i+1:]
}

func parent(p string) string {
	dir, _ := split(p)
	if len(dir) > 1 {
		return dir[:len(dir)-1]
	}
	return "/"
}
