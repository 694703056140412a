package observe

import "golang.org/x/sys/unix"

// abis are the system call tables that are decoded. Executing a 32-bit program
// (arm) is recorded as a weakness of the trace.
func abis() []abi {
	return []abi{{arch: unix.AUDIT_ARCH_AARCH64, calls: commonCalls()}}
}

// decodes32 reports whether the calls of 32-bit programs are decoded.
const decodes32 = false
