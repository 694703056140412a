package observe

import (
	"encoding/binary"
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// The register sets of ptrace (linux/elf.h), and a kind of stop.
const (
	exitStop         = 2     // PTRACE_SYSCALL_INFO_EXIT
	generalRegisters = 1     // NT_PRSTATUS
	callRegister     = 0x404 // NT_ARM_SYSTEM_CALL
)

// setFirstArgument sets the first argument of a call before it. After the call
// the register holds the result.
func setFirstArgument(tid int, value uint64, _ *sysCall) {
	var info callInfo
	if syscallInfo(tid, &info) != 0 || info.op == exitStop {
		return
	}
	var regs unix.PtraceRegsArm64
	if unix.PtraceGetRegSetArm64(tid, generalRegisters, &regs) == nil {
		regs.Regs[0] = value
		unix.PtraceSetRegSetArm64(tid, generalRegisters, &regs)
	}
}

// skipCall makes a call that was not made yet fail.
func skipCall(tid int, with syscall.Errno) syscall.Errno {
	number := binary.LittleEndian.AppendUint32(nil, ^uint32(0))
	vector := unix.Iovec{Base: &number[0], Len: uint64(len(number))}
	if errno := ptrace(unix.PTRACE_SETREGSET, tid, callRegister, addressOf(&vector)); errno != 0 {
		return errno
	}
	var regs unix.PtraceRegsArm64
	err := unix.PtraceGetRegSetArm64(tid, generalRegisters, &regs)
	if err == nil {
		regs.Regs[0] = uint64(-int64(with))
		err = unix.PtraceSetRegSetArm64(tid, generalRegisters, &regs)
	}
	var errno syscall.Errno
	errors.As(err, &errno)
	return errno
}
