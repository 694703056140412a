package observe

import (
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// A form is how the arguments of a system call name the file that it changes.
type form uint8

const (
	opens     form = iota + 1 // open flags are args[flags]
	creats                    // open with O_CREAT|O_WRONLY|O_TRUNC
	opens2                    // struct open_how at args[flags]
	handles                   // open_by_handle_at: only the result names a file
	names                     // makes or removes the name itself: the last component is not followed
	renames                   // two names
	hardlinks                 // renames, but only the new name changes
	inodes                    // changes what the path leads to; args[flags] are AT_ flags
	links                     // inodes, but the last component is not followed
	fds                       // changes what the descriptor args[dir] refers to
	binds                     // socket address at args[path], its length at args[path+1]
	sockets                   // socketcall of i386: arguments of bind in memory
	rings                     // io_uring_setup
	checks                    // asks whether the file may be written; args[flags] are AT_ flags
	times                     // inodes, with two struct timespec of 64 bits at args[2]
	times32                   // times, of 32 bits
	listens                   // seccomp with a listener, which answers calls in place of the kernel
	creds                     // changes the effective user
	roots                     // may change the root directory or the mount namespace
	clones                    // starts a process in another mount namespace, or one that is not traced
	clones3                   // clones with struct clone_args at args[0]
	mounts                    // changes mounts
	tracers                   // ptrace
)

// none is the index of an argument that a system call does not have.
const none = -1

// A sysCall is a system call that the tracer stops at, and how to decode it.
// Arguments are given by index, none if there is no such argument.
type sysCall struct {
	nr   uint32
	form form
	op   trace.Op
	dir  int8 // directory descriptor, or the descriptor of an fds form; none: relative to the working directory
	path int8
	to   int8 // path of the new name of a rename; its directory descriptor is the argument before if dir is not none

	flags int8 // argument that holds flags
	// The tracer stops only if args[test]&mask is not 0 or, if there are
	// values, if args[test] is one of them. Without either it always stops.
	test   int8
	mask   uint32
	values []uint32
}

// An abi is one of the system call tables that a process can use.
type abi struct {
	arch  uint32 // AUDIT_ARCH_
	clear uint32 // bits of the number to ignore
	calls []sysCall
}

const (
	tmpfile   = 0x400000 // __O_TMPFILE: O_TMPFILE without O_DIRECTORY, the same on all architectures
	openFlags = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC | tmpfile

	untraced = 0x800000 // CLONE_UNTRACED
	listener = 0x8      // SECCOMP_FILTER_FLAG_NEW_LISTENER

	// The two ioctls that change inode attributes through a descriptor that
	// need not be writable (linux/fs.h).
	fsIocSetFlags   = 0x40086602
	fsIocSetFlags32 = 0x40046602
	fsIocFsSetXattr = 0x401c5820
)

// commonCalls returns the file system calls that all architectures have, with
// the numbers of this one. It leaves out ftruncate, fallocate, write and mmap,
// because they need a descriptor whose opening for writing was already
// recorded, and databases call them thousands of times a second.
func commonCalls() []sysCall {
	return []sysCall{
		open(unix.SYS_OPENAT, 0, 1, 2),
		{nr: unix.SYS_OPENAT2, form: opens2, dir: 0, path: 1, flags: 2, to: none, test: none},
		{nr: unix.SYS_OPEN_BY_HANDLE_AT, form: handles, dir: none, path: none, to: none, flags: 2, test: 2, mask: openFlags},
		name(unix.SYS_MKDIRAT, trace.Mkdir, 0, 1),
		name(unix.SYS_MKNODAT, trace.Mknod, 0, 1),
		{nr: unix.SYS_UNLINKAT, form: names, op: trace.Unlink, dir: 0, path: 1, to: none, flags: 2, test: none},
		name(unix.SYS_SYMLINKAT, trace.Symlink, 1, 2),
		{nr: unix.SYS_LINKAT, form: hardlinks, op: trace.Link, dir: 0, path: 1, to: 3, flags: 4, test: none},
		rename(unix.SYS_RENAMEAT, 0, 1, 3),
		rename(unix.SYS_RENAMEAT2, 0, 1, 3),
		inode(unix.SYS_FCHMODAT, trace.Chmod, 0, 1, none),
		inode(unix.SYS_FCHMODAT2, trace.Chmod, 0, 1, 3),
		inode(unix.SYS_FCHOWNAT, trace.Chown, 0, 1, 4),
		{nr: unix.SYS_UTIMENSAT, form: times, op: trace.Utime, dir: 0, path: 1, to: none, flags: 3, test: none},
		inode(unix.SYS_TRUNCATE, trace.Truncate, none, 0, none),
		inode(unix.SYS_SETXATTR, trace.Xattr, none, 0, none),
		inode(unix.SYS_REMOVEXATTR, trace.Xattr, none, 0, none),
		link(unix.SYS_LSETXATTR, trace.Xattr, 0),
		link(unix.SYS_LREMOVEXATTR, trace.Xattr, 0),
		inode(unix.SYS_SETXATTRAT, trace.Xattr, 0, 1, 2),
		inode(unix.SYS_REMOVEXATTRAT, trace.Xattr, 0, 1, 2),
		inode(unix.SYS_FILE_SETATTR, trace.Xattr, 0, 1, 4),
		check(unix.SYS_FACCESSAT, 0, 1, 2, none),
		check(unix.SYS_FACCESSAT2, 0, 1, 2, 3),
		descriptor(unix.SYS_FCHMOD, trace.Chmod),
		descriptor(unix.SYS_FCHOWN, trace.Chown),
		descriptor(unix.SYS_FSETXATTR, trace.Xattr),
		descriptor(unix.SYS_FREMOVEXATTR, trace.Xattr),
		{nr: unix.SYS_IOCTL, form: fds, op: trace.Xattr, dir: 0, path: none, to: none, flags: none, test: 1,
			values: []uint32{fsIocSetFlags, fsIocFsSetXattr, fsIocSetFlags32}},
		{nr: unix.SYS_BIND, form: binds, op: trace.Bind, dir: none, path: 1, to: none, flags: none, test: none},
		event(unix.SYS_IO_URING_SETUP, rings),
		event(unix.SYS_SETUID, creds),
		event(unix.SYS_SETREUID, creds),
		event(unix.SYS_SETRESUID, creds),
		event(unix.SYS_CHROOT, roots),
		event(unix.SYS_PIVOT_ROOT, roots),
		event(unix.SYS_SETNS, roots),
		{nr: unix.SYS_UNSHARE, form: roots, dir: none, path: none, to: none, flags: none, test: 0, mask: unix.CLONE_NEWNS},
		{nr: unix.SYS_CLONE, form: clones, dir: none, path: none, to: none, flags: none, test: 0, mask: unix.CLONE_NEWNS | untraced},
		// The flags of clone3 are in memory, which the filter cannot read.
		event(unix.SYS_CLONE3, clones3),
		event(unix.SYS_PTRACE, tracers),
		{nr: unix.SYS_SECCOMP, form: listens, dir: none, path: none, to: none, flags: none, test: 1, mask: listener},
		event(unix.SYS_MOUNT, mounts),
		event(unix.SYS_UMOUNT2, mounts),
		event(unix.SYS_MOVE_MOUNT, mounts),
	}
}

func open(nr uint32, dir, path, flags int8) sysCall {
	return sysCall{nr: nr, form: opens, dir: dir, path: path, to: none, flags: flags, test: flags, mask: openFlags}
}

func name(nr uint32, op trace.Op, dir, path int8) sysCall {
	return sysCall{nr: nr, form: names, op: op, dir: dir, path: path, to: none, flags: none, test: none}
}

func rename(nr uint32, dir, path, to int8) sysCall {
	return sysCall{nr: nr, form: renames, op: trace.Rename, dir: dir, path: path, to: to, flags: none, test: none}
}

func inode(nr uint32, op trace.Op, dir, path, flags int8) sysCall {
	return sysCall{nr: nr, form: inodes, op: op, dir: dir, path: path, to: none, flags: flags, test: none}
}

// check returns a call that the tracer stops at only if it asks about writing.
func check(nr uint32, dir, path, mode, flags int8) sysCall {
	return sysCall{nr: nr, form: checks, op: trace.Check, dir: dir, path: path, to: none, flags: flags, test: mode, mask: unix.W_OK}
}

func link(nr uint32, op trace.Op, path int8) sysCall {
	return sysCall{nr: nr, form: links, op: op, dir: none, path: path, to: none, flags: none, test: none}
}

func descriptor(nr uint32, op trace.Op) sysCall {
	return sysCall{nr: nr, form: fds, op: op, dir: 0, path: none, to: none, flags: none, test: none}
}

func event(nr uint32, f form) sysCall {
	return sysCall{nr: nr, form: f, dir: none, path: none, to: none, flags: none, test: none}
}
