package main

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kinds are the kinds of write. "old", "sub" and "sub/in" exist; "link" leads
// to "old".
var kinds = map[string]func(){
	"openat-create":            func() { write(fd(unix.Open("new", unix.O_CREAT|unix.O_WRONLY, 0o644))) },
	"openat-excl":              func() { write(fd(unix.Open("new", unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0o644))) },
	"openat-write":             func() { write(fd(unix.Open("old", unix.O_WRONLY|unix.O_APPEND, 0))) },
	"openat-creating-old":      func() { write(fd(unix.Open("old", unix.O_CREAT|unix.O_WRONLY, 0o644))) },
	"openat-truncate":          func() { write(fd(unix.Open("old", unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC, 0o644))) },
	"openat-readonly-truncate": func() { fd(unix.Open("old", unix.O_RDONLY|unix.O_TRUNC, 0)) },
	"openat-locking":           func() { fd(unix.Open("old", unix.O_RDONLY|unix.O_CREAT, 0o644)) },
	"openat-locking-new":       func() { fd(unix.Open("new", unix.O_RDONLY|unix.O_CREAT, 0o644)) },
	"openat-read":              func() { file(); dir() },
	"openat-absolute":          func() { write(fd(unix.Open(here()+"/new", unix.O_CREAT|unix.O_WRONLY, 0o644))) },
	"openat-absolute-up":       func() { write(fd(unix.Open("/../tmp/../../tmp/new", unix.O_CREAT|unix.O_WRONLY, 0o644))) },
	"openat-dots":              func() { write(fd(unix.Open("sub/../sub/./new", unix.O_CREAT|unix.O_WRONLY, 0o644))) },
	"openat-dirfd":             func() { write(fd(unix.Openat(dir(), "new", unix.O_CREAT|unix.O_WRONLY, 0o644))) },
	"openat-dirfd-up":          func() { write(fd(unix.Openat(dir(), "../new", unix.O_CREAT|unix.O_WRONLY, 0o644))) },
	"openat-link":              func() { write(fd(unix.Open("link", unix.O_WRONLY, 0))) },
	"openat-fd":                func() { write(fd(unix.Open(own(file()), unix.O_WRONLY, 0))) },
	"openat-fd-creating":       func() { write(fd(unix.Open(own(file()), unix.O_WRONLY|unix.O_CREAT, 0o644))) },
	"openat-dirlink":           func() { write(fd(unix.Open("dirlink/new", unix.O_CREAT|unix.O_WRONLY, 0o644))) },
	"openat-path":              func() { fd(unix.Open("old", unix.O_PATH|unix.O_CREAT|unix.O_RDWR, 0)) },
	"openat2": func() {
		fd(unix.Openat2(unix.AT_FDCWD, "old", &unix.OpenHow{Flags: unix.O_RDONLY}))
		write(fd(unix.Openat2(dir(), "new", &unix.OpenHow{Flags: unix.O_CREAT | unix.O_WRONLY, Mode: 0o600, Resolve: unix.RESOLVE_BENEATH})))
	},
	"handle": func() {
		h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, "old", 0)
		must(err)
		write(fd(unix.OpenByHandleAt(dir(), h, unix.O_WRONLY)))
	},
	"tmpfile": func() { write(fd(unix.Open("sub", unix.O_TMPFILE|unix.O_RDWR, 0o600))) },
	"tmpfile-linkat": func() {
		n := fd(unix.Open("sub", unix.O_TMPFILE|unix.O_RDWR, 0o600))
		must(unix.Linkat(unix.AT_FDCWD, own(n), unix.AT_FDCWD, "new", unix.AT_SYMLINK_FOLLOW))
	},
	"mmap": func() {
		n := fd(unix.Open("old", unix.O_RDWR, 0))
		m, err := unix.Mmap(n, 0, 3, unix.PROT_WRITE|unix.PROT_READ, unix.MAP_SHARED)
		must(err)
		m[0] = 'X'
		must(unix.Munmap(m))
	},
	"unlinked": func() {
		n := fd(unix.Open("new", unix.O_CREAT|unix.O_RDWR, 0o600))
		must(unix.Unlink("new"))
		write(fd(unix.Open(own(n), unix.O_WRONLY, 0)))
	},
	"tmpfile-grows": func() {
		n := fd(unix.Open("sub", unix.O_TMPFILE|unix.O_RDWR, 0o600))
		must(unix.Ftruncate(n, 3_000_000))
		copied := fd(unix.Dup(n))
		must(unix.Close(n))
		must(unix.Ftruncate(copied, 5_000_000))
	},
	"unlinked-grows": func() {
		n := fd(unix.Open("new", unix.O_CREAT|unix.O_RDWR, 0o600))
		must(unix.Unlink("new"))
		must(unix.Ftruncate(n, 5_000_000))
		must(unix.Close(n))
	},
	"access": func() {
		must(unix.Faccessat(unix.AT_FDCWD, "old", unix.W_OK|unix.R_OK, 0))
		must(unix.Faccessat(unix.AT_FDCWD, "sub", unix.W_OK, unix.AT_EACCESS))
	},
	"access-old":   func() { _, err := raw(unix.SYS_FACCESSAT, uintptr(dir()), text("in"), unix.W_OK); must(err) },
	"access-empty": func() { must(unix.Faccessat(dir(), "", unix.W_OK, unix.AT_EMPTY_PATH)) },
	"access-other": func() {
		must(unix.Faccessat(unix.AT_FDCWD, "old", unix.R_OK, 0))
		must(unix.Faccessat(unix.AT_FDCWD, "fifo", unix.W_OK, 0))
		must(unix.Faccessat(unix.AT_FDCWD, "/dev/null", unix.W_OK, 0))
		fails(unix.Faccessat(unix.AT_FDCWD, "none", unix.W_OK, 0))
	},
	"mkdirat":     func() { must(unix.Mkdirat(dir(), "new", 0o755)) },
	"mkdir-slash": func() { must(unix.Mkdirat(unix.AT_FDCWD, "new/", 0o755)) },
	"mknodat":     func() { must(unix.Mknodat(dir(), "new", unix.S_IFREG|0o600, 0)) },
	"mkfifo":      func() { must(unix.Mkfifo("new", 0o600)) },
	"fifo-open":   func() { fd(unix.Open("fifo", unix.O_RDWR, 0)) },
	"unlinkat":    func() { must(unix.Unlinkat(dir(), "in", 0)) },
	"rmdirat":     func() { must(unix.Unlinkat(unix.AT_FDCWD, "empty", unix.AT_REMOVEDIR)) },
	"symlinkat":   func() { must(unix.Symlinkat("/nowhere", dir(), "new")) },
	"linkat":      func() { must(unix.Linkat(unix.AT_FDCWD, "old", dir(), "new", 0)) },
	"renameat":    func() { must(unix.Renameat(unix.AT_FDCWD, "old", dir(), "new")) },
	"renameat2":   func() { must(unix.Renameat2(unix.AT_FDCWD, "old", dir(), "in", unix.RENAME_EXCHANGE)) },
	"fchmodat":    func() { must(unix.Fchmodat(dir(), "in", 0o600, 0)) },
	"fchmodat2": func() {
		_, err := raw(unix.SYS_FCHMODAT2, uintptr(dir()), text("in"), 0o600, unix.AT_SYMLINK_NOFOLLOW)
		must(err)
	},
	"fchmod":         func() { must(unix.Fchmod(file(), 0o600)) },
	"chmod-fd":       func() { must(unix.Fchmodat(unix.AT_FDCWD, own(file()), 0o600, 0)) },
	"chmod-link":     func() { must(unix.Fchmodat(unix.AT_FDCWD, "link", 0o600, 0)) },
	"fchownat":       func() { must(unix.Fchownat(dir(), "in", 1, 1, 0)) },
	"fchownat-empty": func() { must(unix.Fchownat(file(), "", 1, 1, unix.AT_EMPTY_PATH)) },
	"fchownat-link":  func() { must(unix.Fchownat(unix.AT_FDCWD, "link", 1, 1, unix.AT_SYMLINK_NOFOLLOW)) },
	"fchown":         func() { must(unix.Fchown(dir(), 1, 1)) },
	"utimensat":      func() { must(unix.UtimesNanoAt(dir(), "in", []unix.Timespec{{Sec: 1}, {Sec: 1}}, 0)) },
	"futimens":       func() { _, err := raw(unix.SYS_UTIMENSAT, uintptr(file()), 0, 0, 0); must(err) },
	"utimensat-omit": func() {
		omit := unix.Timespec{Nsec: unix.UTIME_OMIT}
		must(unix.UtimesNanoAt(unix.AT_FDCWD, "old", []unix.Timespec{omit, omit}, 0))
	},
	"truncate":     func() { must(unix.Truncate("old", 1)) },
	"ftruncate":    func() { must(unix.Ftruncate(fd(unix.Open("old", unix.O_RDWR, 0)), 1)) },
	"setxattr":     func() { must(unix.Setxattr("link", "user.a", []byte("b"), 0)) },
	"lsetxattr":    func() { must(unix.Lsetxattr("link", "trusted.a", []byte("b"), 0)) },
	"fsetxattr":    func() { must(unix.Fsetxattr(file(), "user.a", []byte("b"), 0)) },
	"removexattr":  func() { fails(unix.Removexattr("old", "user.none")) },
	"lremovexattr": func() { fails(unix.Lremovexattr("old", "user.none")) },
	"fremovexattr": func() { fails(unix.Fremovexattr(file(), "user.none")) },
	"setxattrat": func() {
		v := []byte("b")
		args := struct {
			value       uint64
			size, flags uint32
		}{uint64(uintptr(unsafe.Pointer(&v[0]))), 1, 0}
		_, err := raw(unix.SYS_SETXATTRAT, uintptr(dir()), text("in"), 0, text("user.a"), uintptr(unsafe.Pointer(&args)), 16)
		must(err)
	},
	"setflags": func() {
		n := file()
		f, err := unix.IoctlGetInt(n, unix.FS_IOC_GETFLAGS)
		must(err)
		must(unix.IoctlSetPointerInt(n, unix.FS_IOC_SETFLAGS, f|0x80))
	},
	"bind": func() {
		s := fd(unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0))
		must(unix.Bind(s, &unix.SockaddrUnix{Name: "sub/new"}))
	},
	"bind-other": func() {
		must(unix.Bind(fd(unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)), &unix.SockaddrUnix{Name: "@adamant-test-" + here()}))
		must(unix.Bind(fd(unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)), &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	},
	"io_uring": func() {
		var p [120]byte
		_, err := raw(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&p)))
		must(err)
	},
	"traceme":  func() { _, err := raw(unix.SYS_PTRACE, unix.PTRACE_TRACEME, 0, 0, 0); fails(err) },
	"listener": func() { filtered(unix.SECCOMP_RET_ALLOW, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER) },
	"asks-tracer": func() {
		filtered(unix.SECCOMP_RET_TRACE|7, 0)
		if err := unix.Mkdirat(unix.AT_FDCWD, "new", 0o700); err != unix.ENOSYS {
			must(fmt.Errorf("mkdirat: %v", err))
		}
	},
	"device": func() { write(fd(unix.Open("/dev/null", unix.O_RDWR, 0))) },
	"proc":   func() { write(fd(unix.Open("/proc/self/comm", unix.O_WRONLY, 0))) },
	"memfd": func() {
		n := fd(unix.MemfdCreate("m", 0))
		write(fd(unix.Open(own(n), unix.O_RDWR, 0)))
	},
	"pipe":     func() { var p [2]int; must(unix.Pipe(p[:])); write(fd(unix.Open(own(p[1]), unix.O_WRONLY, 0))) },
	"odd-name": func() { write(fd(unix.Open("bad\xff\"\n", unix.O_CREAT|unix.O_WRONLY, 0o600))) },

	"no-directory": func() { fails(unix.Mkdir("none/such/new", 0o755)) },
	"no-file": func() {
		_, err := unix.Open("none/new", unix.O_CREAT|unix.O_WRONLY, 0o600)
		fails(err)
		fails(unix.Unlink("none"))
		fails(unix.Fchmodat(unix.AT_FDCWD, "none", 0o600, 0))
	},
	"exists": func() {
		fails(unix.Mkdir("sub", 0o755))
		_, err := unix.Open("old", unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o600)
		fails(err)
	},
	"a-directory": func() { _, err := unix.Open("sub", unix.O_WRONLY, 0); fails(err) },
	"refused": func() {
		must(unix.Fchmod(dir(), 0o755))
		must(unix.Setresuid(-1, 12345, -1))
		_, err := unix.Open("sub/new", unix.O_CREAT|unix.O_WRONLY, 0o600)
		fails(err)
		_, err = unix.Open("old", unix.O_WRONLY, 0)
		fails(err)
	},
	"bad-pointer": func() {
		_, err := raw(unix.SYS_MKDIRAT, 0, 1, 0)
		fails(err)
		_, err = raw(unix.SYS_OPENAT, ^uintptr(99), 8, unix.O_WRONLY, 0)
		fails(err)
	},
	"fails-chown": func() { fails(unix.Fchownat(unix.AT_FDCWD, "sub", 1, 1, 0)) },
	"empty-path":  func() { fails(unix.Mkdirat(unix.AT_FDCWD, "", 0)); fails(unix.Fchmodat(unix.AT_FDCWD, "", 0, 0)) },
	"read-only": func() {
		_, err := unix.Open("/ro/new", unix.O_CREAT|unix.O_WRONLY, 0o600)
		fails(err)
		fails(unix.Unlink("/ro/in"))
	},

	"chroot": func() {
		must(unix.Chroot("sub"))
		unix.Close(fd(unix.Open("/new", unix.O_CREAT|unix.O_WRONLY, 0o600)))
		must(unix.Unlink("/new"))
		must(unix.Symlink("/in", "/abs"))
		must(unix.Fchmodat(unix.AT_FDCWD, "/abs", 0o600, 0))
		must(unix.Mkdir("outside", 0o700))
		must(os.Chdir("/"))
		must(unix.Mkdir("inside", 0o700))
	},
	"unshare": func() {
		runtime.LockOSThread()
		must(unix.Unshare(unix.CLONE_NEWNS))
		unix.Close(fd(unix.Creat("new", 0o600)))
		must(unix.Mount("none", "sub", "tmpfs", 0, ""))
		unix.Close(fd(unix.Creat("sub/new", 0o600)))
	},
	"mount": func() {
		must(unix.Mount("none", "sub", "tmpfs", 0, ""))
		unix.Close(fd(unix.Creat("sub/new", 0o600)))
		must(unix.Unlink("sub/new"))
		must(unix.Unmount("sub", 0))
		must(unix.Unlink("sub/in"))
	},
	"many": func() {
		for i := range 100 {
			unix.Close(fd(unix.Creat("sub/f"+string(rune('a'+i%26))+string(rune('a'+i/26)), 0o600)))
		}
	},
	"clone-space": func() {
		none, sub, name, kind := text("none"), text("sub"), text("sub/new"), text("tmpfs")
		pid, _, errno := unix.RawSyscall(unix.SYS_CLONE, unix.CLONE_NEWNS|uintptr(unix.SIGCHLD), 0, 0)
		if errno == 0 && pid == 0 {
			unix.RawSyscall6(unix.SYS_MOUNT, none, sub, kind, 0, 0, 0)
			unix.RawSyscall(unix.SYS_MKDIRAT, ^uintptr(99), name, 0o700)
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
		if errno != 0 {
			must(errno)
		}
		_, err := unix.Wait4(int(pid), nil, 0, nil)
		must(err)
	},
	"clone3":         func() { clone3(&[11]uint64{4: uint64(unix.SIGCHLD)}) },
	"vfork":          func() { clone(unix.CLONE_VFORK) },
	"untraced":       func() { clone(unix.CLONE_UNTRACED) },
	"untraced-vfork": func() { clone(unix.CLONE_UNTRACED | unix.CLONE_VFORK) },
	"untraced-clone3": func() {
		args := &[11]uint64{unix.CLONE_UNTRACED, 4: uint64(unix.SIGCHLD)}
		clone3(args)
		if args[0] != unix.CLONE_UNTRACED {
			must(fmt.Errorf("flags are %#x", args[0]))
		}
	},
	"untraced-constant": func() {
		page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		must(err)
		args := (*[11]uint64)(unsafe.Pointer(&page[0]))
		*args = [11]uint64{unix.CLONE_UNTRACED, 4: uint64(unix.SIGCHLD)}
		must(unix.Mprotect(page, unix.PROT_READ))
		clone3(args)
	},
}

// clone starts a process that makes a directory.
func clone(flags uintptr) {
	name := text("new")
	pid, _, errno := unix.RawSyscall(unix.SYS_CLONE, flags|uintptr(unix.SIGCHLD), 0, 0)
	child(name, pid, errno)
}

func clone3(args *[11]uint64) {
	name := text("new")
	pid, _, errno := unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(args)), 88, 0)
	child(name, pid, errno)
}

// child continues after a call that started a process, in both.
func child(name, pid uintptr, errno unix.Errno) {
	if errno == 0 && pid == 0 {
		_, _, errno = unix.RawSyscall(unix.SYS_MKDIRAT, ^uintptr(99), name, 0o700)
		unix.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(errno), 0, 0)
	}
	reap(pid, errno)
}

func reap(pid uintptr, errno unix.Errno) {
	if errno != 0 {
		must(errno)
	}
	var status unix.WaitStatus
	_, err := unix.Wait4(int(pid), &status, 0, nil)
	must(err)
	if status.ExitStatus() != 0 {
		must(unix.Errno(status.ExitStatus()))
	}
}

// filtered installs a filter with an answer to mkdirat.
func filtered(answer uint32, flags uintptr) {
	runtime.LockOSThread()
	must(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_MKDIRAT, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: answer},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, err := raw(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	must(err)
}
