package observe

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// prepareClone removes CLONE_UNTRACED from the flags of a call, because the
// writes of an untraced child would not be seen, and its traced calls would
// fail with ENOSYS. It reports whether the flags must be restored after the
// call.
func (t *tracer) prepareClone(tid int, th *thread, c *sysCall) bool {
	flags, ok := cloneFlags(tid, th.pending.args[0], c)
	if !ok {
		return false // EFAULT
	}
	if flags&unix.CLONE_NEWNS != 0 {
		t.view.moved = true
	}
	if flags&untraced == 0 {
		return false
	}
	th.pending.flags, th.begot = flags, false
	setCloneFlags(tid, th.pending.args[0], flags&^untraced, c)
	return true
}

// finishClone restores the flags, and checks that the child is traced: another
// thread may have changed flags in memory before the kernel read them.
func (t *tracer) finishClone(tid int, th *thread, c *sysCall, info *callInfo) {
	if info == nil {
		return
	}
	setCloneFlags(tid, th.pending.args[0], th.pending.flags, c)
	if child, _ := info.result(); child > 0 && !th.begot {
		t.identify(tid, th)
		t.note("a child of " + th.exe + " is not traced: its writes are not seen, and calls that write fail")
	}
}

func cloneFlags(tid int, arg uint64, c *sysCall) (uint64, bool) {
	if c.form == clones {
		return arg, true
	}
	var flags [8]byte
	n := readMemory(tid, arg, flags[:])
	return binary.LittleEndian.Uint64(flags[:]), n == len(flags)
}

// setCloneFlags ignores errors: finishClone notes a child that is not traced.
func setCloneFlags(tid int, arg, flags uint64, c *sysCall) {
	if c.form == clones {
		setFirstArgument(tid, flags, c)
		return
	}
	// Unlike process_vm_writev(2), this also writes to memory that the thread
	// itself may only read. It writes one word, which has the flags on the
	// supported architectures.
	ptrace(unix.PTRACE_POKEDATA, tid, uintptr(arg), uintptr(flags))
}
