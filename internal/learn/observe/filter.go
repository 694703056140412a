package observe

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data (linux/seccomp.h). The low half of a 64-bit
// argument comes first: both architectures are little-endian.
const (
	dataNr   = 0
	dataArch = 4
	dataArgs = 16
)

const (
	loadWord   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	jumpEqual  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	jumpAny    = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
	jumpAlways = unix.BPF_JMP | unix.BPF_JA
	andWith    = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	answer     = unix.BPF_RET | unix.BPF_K
)

// filter returns the seccomp program that stops exactly at the calls of all.
// Its data holds the index of the table in the upper byte and that of the call
// in the lower byte, both counted from 1. It tests the flags of open in the
// kernel, because most opens only read and a stop costs far more than the call.
// The kernel answers calls that never stop from its bitmap (Linux 5.11) without
// running the program.
func filter(all []abi) []unix.SockFilter {
	var prog []unix.SockFilter
	for i, a := range all {
		section := tableFilter(a, uint32(i+1)<<8)
		// The offsets of conditional jumps have only 8 bits, and a section is
		// longer.
		prog = append(prog,
			unix.SockFilter{Code: loadWord, K: dataArch},
			unix.SockFilter{Code: jumpEqual, K: a.arch, Jt: 1},
			unix.SockFilter{Code: jumpAlways, K: uint32(len(section))})
		prog = append(prog, section...)
	}
	return append(prog, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW})
}

func tableFilter(a abi, data uint32) []unix.SockFilter {
	prog := []unix.SockFilter{{Code: loadWord, K: dataNr}}
	if a.clear != 0 {
		// An x32 call has the number of the 64-bit call with one more bit set.
		prog = append(prog, unix.SockFilter{Code: andWith, K: ^a.clear})
	}
	for i, c := range a.calls {
		body := callFilter(c, unix.SECCOMP_RET_TRACE|data|uint32(i+1))
		// A body has only a few instructions, so the offset fits into 8 bits.
		prog = append(prog, unix.SockFilter{Code: jumpEqual, K: c.nr, Jf: uint8(len(body))})
		prog = append(prog, body...)
	}
	return append(prog, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW})
}

// callFilter returns the instructions for a call whose number matched that of
// c. They end with a return, so no other call is compared.
func callFilter(c sysCall, trace uint32) []unix.SockFilter {
	stop := unix.SockFilter{Code: answer, K: trace}
	if c.test == none {
		return []unix.SockFilter{stop}
	}
	prog := []unix.SockFilter{{Code: loadWord, K: dataArgs + 8*uint32(c.test)}}
	if c.mask != 0 {
		prog = append(prog, unix.SockFilter{Code: jumpAny, K: c.mask, Jt: 1})
	}
	for i, v := range c.values {
		// A match jumps over the remaining comparisons and the ALLOW after
		// them, to the stop.
		prog = append(prog, unix.SockFilter{Code: jumpEqual, K: v, Jt: uint8(len(c.values) - i)})
	}
	return append(prog, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW}, stop)
}

// install installs the filter on the calling thread, which must be locked. It
// needs CAP_SYS_ADMIN. The alternative, no_new_privs, would break setuid programs.
func install(prog []unix.SockFilter, flags uintptr) (int, error) {
	p := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	fd, _, errno := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&p)))
	if errno != 0 {
		return -1, fmt.Errorf("install seccomp filter: %w", errno)
	}
	return int(fd), nil
}
