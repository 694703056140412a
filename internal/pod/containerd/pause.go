package containerd

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// The pause program holds a pod's namespaces. As PID 1 of a shared PID namespace
// it also has to reap orphans and to end on SIGTERM. The kernel delivers SIGTERM
// to a PID 1 only if it has a handler (pid_namespaces(7)). The program is short
// enough to be machine code here, which needs no compiler and no other binary:
//
//	      rt_sigaction(SIGCHLD, &ignore, 0, 8)  // the kernel reaps
//	      rt_sigaction(SIGTERM, &end, 0, 8)
//	      rt_sigaction(SIGINT, &end, 0, 8)
//	loop: pause()                               // arm64: ppoll(0, 0, 0, 0)
//	      goto loop
//	exit: exit_group(0)
//
// The handler is exit itself: it never returns.

// The load address of the program and offsets in its file.
const (
	pauseBase    = 0x400000
	elfHeader    = 64
	programEntry = 56
	pauseIgnore  = elfHeader + 2*programEntry // struct sigaction of SIGCHLD
	pauseEnd     = pauseIgnore + 32           // struct sigaction of SIGTERM and SIGINT
	pauseStart   = pauseEnd + 32              // the instructions
)

// Signal numbers, which are the same on both architectures.
const (
	sigInt  = 2
	sigTerm = 15
	sigChld = 17
)

// pauseSignals are the calls of rt_sigaction: the signal and the offset of its
// action in the file.
var pauseSignals = []struct{ signal, action uint32 }{{sigChld, pauseIgnore}, {sigTerm, pauseEnd}, {sigInt, pauseEnd}}

// pauseELF returns the program as a static executable for a Go architecture.
func pauseELF(arch string) ([]byte, error) {
	var machine uint16
	var text []byte
	var exit uint64
	switch arch {
	case "amd64":
		machine = 62
		text, exit = pauseAMD64()
	case "arm64":
		machine = 183
		text, exit = pauseARM64()
	default:
		return nil, fmt.Errorf("pause program: no instructions for %s", arch)
	}
	const restorer = 0x04000000 // SA_RESTORER: amd64 wants one, and it is never used
	exit += pauseBase + pauseStart
	size := uint64(pauseStart + len(text))
	var b bytes.Buffer
	b.Write([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}) // 64 bit, little endian
	for _, field := range []any{
		uint16(2), machine, uint32(1), uint64(pauseBase + pauseStart), // ET_EXEC, entry
		uint64(elfHeader), uint64(0), uint32(0), // program headers, no sections, flags
		uint16(elfHeader), uint16(programEntry), uint16(2), uint16(64), uint16(0), uint16(0),
		// PT_LOAD, readable and executable: the whole file.
		uint32(1), uint32(5), uint64(0), uint64(pauseBase), uint64(pauseBase), size, size, uint64(0x10000),
		// PT_GNU_STACK, readable and writable: the stack is not executable.
		uint32(0x6474e551), uint32(6), uint64(0), uint64(0), uint64(0), uint64(0), uint64(0), uint64(16),
		// struct sigaction: handler (1 is SIG_IGN), flags, restorer, mask.
		uint64(1), uint64(0), uint64(0), uint64(0),
		exit, uint64(restorer), exit, uint64(0),
	} {
		if err := binary.Write(&b, binary.LittleEndian, field); err != nil {
			return nil, err
		}
	}
	b.Write(text)
	return b.Bytes(), nil
}

// pauseAMD64 returns the instructions and where among them exit is.
func pauseAMD64() (text []byte, exit uint64) {
	word := func(op []byte, v uint32) {
		text = append(text, op...)
		text = binary.LittleEndian.AppendUint32(text, v)
	}
	syscall := []byte{0x0f, 0x05}
	for _, s := range pauseSignals {
		word([]byte{0xb8}, 13)                 // mov eax, rt_sigaction
		word([]byte{0xbf}, s.signal)           // mov edi, signal
		word([]byte{0xbe}, pauseBase+s.action) // mov esi, action
		text = append(text, 0x31, 0xd2)        // xor edx, edx
		word([]byte{0x41, 0xba}, 8)            // mov r10d, size of the mask
		text = append(text, syscall...)
	}
	word([]byte{0xb8}, 34) // mov eax, pause
	text = append(text, syscall...)
	text = append(text, 0xeb, 0xf7) // jmp to the mov, nine bytes back
	exit = uint64(len(text))
	word([]byte{0xb8}, 231)         // mov eax, exit_group
	text = append(text, 0x31, 0xff) // xor edi, edi
	return append(text, syscall...), exit
}

// pauseARM64 returns the instructions and where among them exit is.
func pauseARM64() (text []byte, exit uint64) {
	emit := func(instruction uint32) { text = binary.LittleEndian.AppendUint32(text, instruction) }
	movz := func(reg, v uint32) { emit(0xd2800000 | v<<5 | reg) }    // mov x, v
	movk := func(reg, v uint32) { emit(0xf2a00000 | v<<5 | reg) }    // movk x, v, lsl 16
	svc := func(number uint32) { movz(8, number); emit(0xd4000001) } // x8 = number; svc 0
	for _, s := range pauseSignals {
		movz(0, s.signal)
		movz(1, (pauseBase+s.action)&0xffff)
		movk(1, (pauseBase+s.action)>>16)
		movz(2, 0)
		movz(3, 8)
		svc(134) // rt_sigaction
	}
	for reg := range uint32(5) {
		movz(reg, 0)
	}
	svc(73)          // ppoll
	emit(0x17fffff9) // b seven instructions back
	exit = uint64(len(text))
	movz(0, 0)
	svc(94) // exit_group
	return text, exit
}
