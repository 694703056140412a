package observe

import "golang.org/x/sys/unix"

// abis are the system call tables that are decoded. A 32-bit program (arm) is
// noted as a weakness when it is executed.
func abis() []abi {
	return []abi{{arch: unix.AUDIT_ARCH_AARCH64, calls: commonCalls()}}
}

// decodes32 is whether the calls of 32-bit programs are decoded.
const decodes32 = false
