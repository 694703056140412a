package observe

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setFirstArgument sets the first argument of a call, before or after it: the
// program may rely on its register being preserved.
func setFirstArgument(tid int, value uint64, c *sysCall) {
	if c.nr == clone32 {
		setRegister(tid, unsafe.Offsetof(unix.PtraceRegs{}.Rbx), value)
	} else {
		setRegister(tid, unsafe.Offsetof(unix.PtraceRegs{}.Rdi), value)
	}
}

// skipCall makes a call that was not made yet fail.
func skipCall(tid int, with syscall.Errno) syscall.Errno {
	if errno := setRegister(tid, unsafe.Offsetof(unix.PtraceRegs{}.Orig_rax), ^uint64(0)); errno != 0 {
		return errno
	}
	return setRegister(tid, unsafe.Offsetof(unix.PtraceRegs{}.Rax), uint64(-int64(with)))
}

// setRegister sets one register by its offset in struct user. PTRACE_SETREGS
// would need another structure for 32-bit programs.
func setRegister(tid int, offset uintptr, value uint64) syscall.Errno {
	return ptrace(unix.PTRACE_POKEUSR, tid, offset, uintptr(value))
}
