package observe

import (
	"bytes"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The options of every traced thread. The death of the tracer kills all of them:
// without a tracer, their traced calls would fail with ENOSYS.
const traceOptions = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK |
	unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_EXITKILL

// ptrace makes one request. All requests must come from the thread that seized.
func ptrace(request, tid int, addr, data uintptr) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, data, 0, 0)
	return errno
}

// A callInfo is struct ptrace_syscall_info (linux/ptrace.h, kernel 5.3). At an
// exit stop nr is the result, and the low byte of args[0] is not 0 if the
// result is an error.
type callInfo struct {
	op      uint8 // the kind of stop
	_       [3]uint8
	arch    uint32
	pointer uint64
	stack   uint64
	nr      uint64
	args    [6]uint64
	data    uint32 // of the seccomp filter's answer
	_       uint32
}

func syscallInfo(tid int, info *callInfo) syscall.Errno {
	return ptrace(unix.PTRACE_GET_SYSCALL_INFO, tid, unsafe.Sizeof(*info), uintptr(unsafe.Pointer(info)))
}

// result returns the result of a call and, if it failed, its error.
func (c *callInfo) result() (int64, syscall.Errno) {
	if uint8(c.args[0]) != 0 {
		return -1, syscall.Errno(-int64(c.nr))
	}
	return int64(c.nr), 0
}

const pageSize = 4096 // the smallest page there is; larger ones only mean more pieces

// readMemory copies from a thread's memory up to the first unmapped page.
func readMemory(tid int, addr uint64, buf []byte) int {
	total := 0
	for total < len(buf) {
		// A transfer is never partial within one part of the vector
		// (process_vm_readv(2)), so each page is read by itself.
		piece := min(len(buf)-total, int(pageSize-addr%pageSize))
		local := unix.Iovec{Base: &buf[total], Len: uint64(piece)}
		remote := unix.RemoteIovec{Base: uintptr(addr), Len: piece}
		n, _, errno := syscall.RawSyscall6(unix.SYS_PROCESS_VM_READV, uintptr(tid),
			uintptr(unsafe.Pointer(&local)), 1, uintptr(unsafe.Pointer(&remote)), 1, 0)
		if errno != 0 || n == 0 {
			return total
		}
		total += int(n)
		addr += uint64(n)
	}
	return total
}

// readString copies a NUL-terminated string, of at most the length of buf, from
// a thread's memory. It returns nil if there is none.
func readString(tid int, addr uint64, buf []byte) []byte {
	// Most paths are short, so the first read is, too.
	for start, step := 0, 128; start < len(buf); step = len(buf) {
		want := min(len(buf)-start, step)
		n := readMemory(tid, addr+uint64(start), buf[start:start+want])
		if end := bytes.IndexByte(buf[start:start+n], 0); end >= 0 {
			return buf[:start+end]
		}
		if n < want {
			return nil
		}
		start += n
	}
	return nil
}
