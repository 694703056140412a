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

// enter handles the stop before a call and returns the ptrace request to
// continue with: PTRACE_SYSCALL if the result is needed, else PTRACE_CONT.
func (t *tracer) enter(tid int, th *thread) int {
	if !th.recorded || t.view == nil {
		return unix.PTRACE_CONT
	}
	var info callInfo
	// ESRCH means that the thread was killed, which prevents the call.
	if errno := syscallInfo(tid, &info); errno != 0 {
		if errno != unix.ESRCH {
			t.note("system calls cannot be read: " + errnoString(errno))
		}
		return unix.PTRACE_CONT
	}
	c := t.lookup(&info)
	if c == nil {
		// A filter of the container asks for a tracer. Without one, which it
		// does not expect to be this one, the call fails.
		if errno := skipCall(tid, unix.ENOSYS); errno != 0 && errno != unix.ESRCH {
			t.note("a call for which another seccomp filter asks for a tracer cannot be refused: " + errnoString(errno))
		}
		return unix.PTRACE_CONT
	}
	th.pending = pending{args: info.args, op: c.op}
	if !t.prepare(tid, th, c) {
		return unix.PTRACE_CONT
	}
	th.call = c
	return unix.PTRACE_SYSCALL
}

// lookup returns the call of a stop, which the filter identifies by its data.
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
		// The user may change, so the next access reads it again. If the call
		// fails, that costs only time.
		th.who = false
		return false
	case roots:
		t.view.moved = true
		return true
	case clones, clones3:
		return t.prepareClone(tid, th, c)
	case mounts, rings, tracers, listens:
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
	case times:
		return !omitsTimes(tid, p.args[2], 8) && t.preparePath(tid, p, c)
	case times32:
		return !omitsTimes(tid, p.args[2], 4) && t.preparePath(tid, p, c)
	case checks:
		// The kernel never refuses it with EROFS for other types of files.
		return t.preparePath(tid, p, c) && (p.at.kind == unix.S_IFDIR || p.at.kind == unix.S_IFREG)
	}
	return t.preparePath(tid, p, c)
}

// omitsTimes reports whether both struct timespec at an address, with fields of
// size bytes, are UTIME_OMIT. The call then changes nothing, and succeeds on a
// read-only file system, too.
func omitsTimes(tid int, addr uint64, size int) bool {
	const utimeOmit = 1<<30 - 2
	var buf [32]byte
	spec := buf[:4*size]
	return addr != 0 && readMemory(tid, addr, spec) == len(spec) &&
		binary.LittleEndian.Uint32(spec[size:]) == utimeOmit && binary.LittleEndian.Uint32(spec[3*size:]) == utimeOmit
}

// preparePath resolves the paths of calls that change names and inodes.
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
	// A null path (utimensat(2)), or an empty one with AT_EMPTY_PATH, means the
	// object that the descriptor refers to.
	byFD := c.form != names && c.form != renames && dirfd != unix.AT_FDCWD && (given == nil || flags&unix.AT_EMPTY_PATH != 0)
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
	case renames, hardlinks:
		if c.form == renames {
			p.at = t.view.name(tid, where)
		} else {
			p.at = t.view.object(tid, where, flags&unix.AT_SYMLINK_FOLLOW != 0)
		}
		to, ok := t.argument(tid, p, c.to)
		if !ok {
			return false
		}
		newDir := int8(none)
		if c.dir != none {
			// The descriptor of the second directory is the argument before its
			// path (renameat(2)).
			newDir = c.to - 1
		}
		p.to = t.view.name(tid, t.view.target(tid, directory(p, newDir), to))
	case inodes, times, times32, checks:
		p.at = t.view.object(tid, where, flags&unix.AT_SYMLINK_NOFOLLOW == 0)
	case links:
		p.at = t.view.object(tid, where, false)
	}
	return true
}

// argument reads the path at the address in an argument.
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

// prepareOpen records whether the file exists before the call.
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
	// The filter cannot read the flags of openat2, which are in memory, and so
	// it stops at all of these calls.
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
	// With O_EXCL the call creates the file or fails, so it need not be looked
	// up before.
	case p.flags&unix.O_CREAT != 0 && p.flags&unix.O_EXCL != 0:
		p.op = trace.Create
	case p.flags&(unix.O_CREAT|unix.O_TRUNC) == 0:
		p.op = trace.Write
	default:
		return t.prepareCreate(tid, p)
	}
	return true
}

// prepareCreate looks up whether the file exists. It reports false for an open
// that only reads an existing file, which works on a read-only file system, too.
func (t *tracer) prepareCreate(tid int, p *pending) bool {
	p.at = t.view.object(tid, p.target, p.flags&unix.O_NOFOLLOW == 0)
	switch {
	case p.at.exists && p.flags&(unix.O_ACCMODE|unix.O_TRUNC) == unix.O_RDONLY:
		return false
	case !p.at.exists && p.flags&unix.O_CREAT != 0:
		p.op = trace.Create
	case p.flags&unix.O_TRUNC != 0:
		p.op = trace.Truncate
	default:
		p.op = trace.Write
	}
	return true
}

// prepareBind resolves the path of a unix socket.
func (t *tracer) prepareBind(tid int, p *pending, c *sysCall) bool {
	address, length := p.args[c.path], p.args[c.path+1]
	if c.form == sockets {
		// socketcall(2) of 32-bit x86 passes a pointer to the arguments of
		// bind: descriptor, address and length.
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
		return false // another family, or a name that is not a path
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

// Results in this range never reach the program: the kernel repeats the call.
const (
	restartFirst = 512
	restartLast  = 516
)

// finish records a call. A nil info means that the thread was killed, so its
// result is unknown. Such a call counts as successful.
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
			t.identify(tid, th)
			t.note("io_uring of " + th.exe + ": its requests are not seen")
		}
	case clones, clones3:
		t.finishClone(tid, th, c, info)
	case listens:
		if errno == 0 {
			t.identify(tid, th)
			t.note("a seccomp listener of " + th.exe + " answers system calls, which are not seen")
		}
	case tracers:
		if errno == unix.EPERM {
			t.note("a program wants to trace another, which it cannot while it is traced itself")
		}
	case opens, creats, opens2, handles:
		t.finishOpen(tid, th, result, errno)
	case renames:
		from, to := peers(p.at, p.to, errno)
		t.recordPeer(tid, th, trace.Rename, p.at, to, errno)
		t.recordPeer(tid, th, trace.Rename, p.to, from, errno)
	case hardlinks:
		from, _ := peers(p.at, p.to, errno)
		t.recordPeer(tid, th, trace.Link, p.to, from, errno)
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
	// The path of the new descriptor is exact. The argument led elsewhere before
	// the call if a directory was renamed since.
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
		// The file has no name, so the access is one to its directory.
		at.path = parent(at.path)
	case trace.Create:
		if p.flags&unix.O_EXCL == 0 && t.throughOwnLink(tid, p, at.path) {
			p.op = trace.Write
		}
	}
	// O_TRUNC has already emptied the file, whose volume must hold the content
	// all the same.
	at.size = max(at.size, before)
	t.record(tid, th, p.op, at, 0)
}

// throughOwnLink reports whether a file that did not seem to exist was opened
// through a link to a descriptor of the caller, such as /dev/stdout, and
// therefore existed. Its name then differs from the argument.
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
