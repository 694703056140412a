package observe

import (
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// x32Bit marks the numbers of the x32 table, which is otherwise equal to that
// of x86-64 for the calls decoded here.
const x32Bit = 0x40000000

const clone32 = 120 // clone of 32-bit programs

// decodes32 reports whether the calls of 32-bit programs are decoded.
const decodes32 = true

// abis are the system call tables that are decoded.
func abis() []abi {
	return []abi{
		{arch: unix.AUDIT_ARCH_X86_64, clear: x32Bit, calls: append(commonCalls(), legacyCalls()...)},
		{arch: unix.AUDIT_ARCH_I386, calls: i386Calls()},
	}
}

// legacyCalls are the calls that newer architectures do not have.
func legacyCalls() []sysCall {
	return []sysCall{
		open(unix.SYS_OPEN, none, 0, 1),
		{nr: unix.SYS_CREAT, form: creats, dir: none, path: 0, to: none, flags: none, test: none},
		name(unix.SYS_MKDIR, trace.Mkdir, none, 0),
		name(unix.SYS_MKNOD, trace.Mknod, none, 0),
		name(unix.SYS_UNLINK, trace.Unlink, none, 0),
		name(unix.SYS_RMDIR, trace.Rmdir, none, 0),
		name(unix.SYS_SYMLINK, trace.Symlink, none, 1),
		{nr: unix.SYS_LINK, form: hardlinks, op: trace.Link, dir: none, path: 0, to: 1, flags: none, test: none},
		rename(unix.SYS_RENAME, none, 0, 1),
		check(unix.SYS_ACCESS, none, 0, 1, none),
		inode(unix.SYS_CHMOD, trace.Chmod, none, 0, none),
		inode(unix.SYS_CHOWN, trace.Chown, none, 0, none),
		link(unix.SYS_LCHOWN, trace.Chown, 0),
		inode(unix.SYS_UTIME, trace.Utime, none, 0, none),
		inode(unix.SYS_UTIMES, trace.Utime, none, 0, none),
		inode(unix.SYS_FUTIMESAT, trace.Utime, 0, 1, none),
	}
}

// i386Calls are the calls of 32-bit x86 programs
// (arch/x86/entry/syscalls/syscall_32.tbl).
func i386Calls() []sysCall {
	return []sysCall{
		open(5, none, 0, 1),
		open(295, 0, 1, 2),
		{nr: 437, form: opens2, dir: 0, path: 1, flags: 2, to: none, test: none},
		{nr: 342, form: handles, dir: none, path: none, to: none, flags: 2, test: 2, mask: openFlags},
		{nr: 8, form: creats, dir: none, path: 0, to: none, flags: none, test: none},
		name(39, trace.Mkdir, none, 0), name(296, trace.Mkdir, 0, 1),
		name(14, trace.Mknod, none, 0), name(297, trace.Mknod, 0, 1),
		name(10, trace.Unlink, none, 0),
		{nr: 301, form: names, op: trace.Unlink, dir: 0, path: 1, to: none, flags: 2, test: none},
		name(40, trace.Rmdir, none, 0),
		name(83, trace.Symlink, none, 1), name(304, trace.Symlink, 1, 2),
		{nr: 9, form: hardlinks, op: trace.Link, dir: none, path: 0, to: 1, flags: none, test: none},
		{nr: 303, form: hardlinks, op: trace.Link, dir: 0, path: 1, to: 3, flags: 4, test: none},
		rename(38, none, 0, 1), rename(302, 0, 1, 3), rename(353, 0, 1, 3),
		inode(15, trace.Chmod, none, 0, none), inode(306, trace.Chmod, 0, 1, none), inode(452, trace.Chmod, 0, 1, 3),
		inode(182, trace.Chown, none, 0, none), inode(212, trace.Chown, none, 0, none), inode(298, trace.Chown, 0, 1, 4),
		link(16, trace.Chown, 0), link(198, trace.Chown, 0),
		inode(30, trace.Utime, none, 0, none), inode(271, trace.Utime, none, 0, none), inode(299, trace.Utime, 0, 1, none),
		{nr: 320, form: times32, op: trace.Utime, dir: 0, path: 1, to: none, flags: 3, test: none}, {nr: 412, form: times, op: trace.Utime, dir: 0, path: 1, to: none, flags: 3, test: none},
		inode(92, trace.Truncate, none, 0, none), inode(193, trace.Truncate, none, 0, none),
		inode(226, trace.Xattr, none, 0, none), link(227, trace.Xattr, 0),
		inode(235, trace.Xattr, none, 0, none), link(236, trace.Xattr, 0),
		inode(463, trace.Xattr, 0, 1, 2), inode(466, trace.Xattr, 0, 1, 2), inode(469, trace.Xattr, 0, 1, 4),
		check(33, none, 0, 1, none), check(307, 0, 1, 2, none), check(439, 0, 1, 2, 3),
		descriptor(94, trace.Chmod), descriptor(95, trace.Chown), descriptor(207, trace.Chown),
		descriptor(228, trace.Xattr), descriptor(237, trace.Xattr),
		{nr: 54, form: fds, op: trace.Xattr, dir: 0, path: none, to: none, flags: none, test: 1,
			values: []uint32{fsIocSetFlags, fsIocFsSetXattr, fsIocSetFlags32}},
		{nr: 361, form: binds, op: trace.Bind, dir: none, path: 1, to: none, flags: none, test: none},
		{nr: 102, form: sockets, op: trace.Bind, dir: none, path: 1, to: none, flags: none, test: 0, values: []uint32{2}},
		event(425, rings),
		event(23, creds), event(213, creds), event(70, creds), event(203, creds), event(164, creds), event(208, creds),
		event(61, roots), event(217, roots), event(346, roots),
		{nr: 310, form: roots, dir: none, path: none, to: none, flags: none, test: 0, mask: unix.CLONE_NEWNS},
		{nr: clone32, form: clones, dir: none, path: none, to: none, flags: none, test: 0, mask: unix.CLONE_NEWNS | untraced},
		event(435, clones3),
		event(26, tracers),
		{nr: 354, form: listens, dir: none, path: none, to: none, flags: none, test: 1, mask: listener},
		event(21, mounts), event(22, mounts), event(52, mounts), event(429, mounts),
	}
}
