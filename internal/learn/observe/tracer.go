package observe

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// A tracer follows a tree of processes and folds their writes into a table. All
// its methods except snapshot run on the one locked thread that seized the
// processes.
type tracer struct {
	// starts reports whether the program that process pid just executed is the
	// first one to record. From then on every process that inside accepts is
	// recorded.
	starts func(pid int) bool
	inside func(tid int) bool
	// exec is set for a command in a running container. If it is killed before it
	// begins, it has written nothing. Of a container that never began the same would
	// be true, but would prove nothing about it.
	exec bool
	// ended is called once, when the process seized first has ended.
	ended func(syscall.WaitStatus)

	first   int
	abis    []abi
	threads map[int]*thread
	view    *view // nil until recording starts
	blind   error // why it could not start
	unborn  bool  // the process was killed before it executed the first program to record
	buf     [unix.PathMax]byte

	killing atomic.Bool // whatever stops next is killed

	measures bool // files are measured when they are closed

	mu      sync.Mutex // guards table and closed
	table   *table
	closed  *meter        // nil if files are not measured
	changed chan struct{} // holds one token if the table changed
}

// A thread is one traced thread.
type thread struct {
	recorded bool
	who      bool   // exe and uid are known
	exe      string // path of the program in the container
	uid      uint32 // effective, in the container
	begot    bool   // the call under way started a child that is traced
	call     *sysCall
	pending  pending
}

// pending holds the facts about a call that were read before it was made.
type pending struct {
	args   [6]uint64
	op     trace.Op
	flags  uint64
	target target
	at, to place
}

func newTracer() *tracer {
	return &tracer{
		starts:  func(int) bool { return true },
		inside:  func(int) bool { return true },
		ended:   func(syscall.WaitStatus) {},
		abis:    abis(),
		threads: map[int]*thread{},
		table:   newTable(),
		changed: make(chan struct{}, 1),
	}
}

// loop handles stops until no traced process is left.
func (t *tracer) loop() error {
	quietStops()
	defer func() { t.closed.stop() }() // the processes have ended and closed all files
	for {
		var status syscall.WaitStatus
		// Children that other threads of this process started are not traced by
		// this tracer.
		tid, err := syscall.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ECHILD):
			return nil
		case err != nil:
			return fmt.Errorf("wait for traced processes: %w", err)
		default:
			t.handle(tid, status)
		}
	}
}

func (t *tracer) handle(tid int, status syscall.WaitStatus) {
	if status.Exited() || status.Signaled() {
		t.gone(tid, status)
		return
	}
	if !status.Stopped() {
		return
	}
	th := t.threads[tid]
	if th == nil {
		// A new thread may stop before its parent reports PTRACE_EVENT_CLONE, so
		// threads are added when they are seen first.
		th = &thread{recorded: t.view != nil && t.inside(tid)}
		t.threads[tid] = th
	}
	if t.killing.Load() {
		syscall.Kill(tid, unix.SIGKILL)
	}
	signal, event := int(status>>8&0xff), int(status>>16)
	switch {
	case event == unix.PTRACE_EVENT_SECCOMP:
		// Before a call. enter requests a stop after it only if the result is
		// needed: each stop costs two context switches.
		resume(tid, t.enter(tid, th), 0)
	case signal == int(unix.SIGTRAP)|0x80:
		// After a call. PTRACE_O_TRACESYSGOOD sets bit 7: a program may send
		// itself a plain SIGTRAP.
		t.leave(tid, th)
		resume(tid, unix.PTRACE_CONT, 0)
	case event == unix.PTRACE_EVENT_STOP && signal != int(unix.SIGTRAP):
		// This is a group stop. PTRACE_CONT would end it although the program
		// was told to stop; PTRACE_LISTEN leaves it stopped until SIGCONT.
		resume(tid, unix.PTRACE_LISTEN, 0)
	case event == unix.PTRACE_EVENT_EXEC:
		t.executed(tid, th)
		resume(tid, unix.PTRACE_CONT, 0)
	case event == unix.PTRACE_EVENT_FORK || event == unix.PTRACE_EVENT_VFORK || event == unix.PTRACE_EVENT_CLONE:
		th.begot = true
		if th.call != nil {
			resume(tid, unix.PTRACE_SYSCALL, 0) // the call has not ended
			return
		}
		resume(tid, unix.PTRACE_CONT, 0)
	case event != 0:
		resume(tid, unix.PTRACE_CONT, 0)
	default:
		// This is a signal for the program, which receives it only if it is
		// passed on here.
		resume(tid, unix.PTRACE_CONT, signal)
	}
}

// resume continues a thread. An error is ignored: the thread was killed, which the
// next wait returns.
func resume(tid, request, signal int) { ptrace(request, tid, 0, uintptr(signal)) }

// gone removes a thread. A call in which it was killed is recorded, because the
// kernel may have carried it out.
func (t *tracer) gone(tid int, status syscall.WaitStatus) {
	if th := t.threads[tid]; th != nil && th.call != nil {
		t.finish(tid, th, nil)
	}
	delete(t.threads, tid)
	if t.view == nil && t.blind == nil && status.Signaled() && tid != t.first && t.exec {
		t.unborn = true
	}
	if t.killing.Load() {
		// A thread that never stops does not reach handle, so it is killed
		// here.
		for other := range t.threads {
			syscall.Kill(other, unix.SIGKILL)
		}
	}
	if tid == t.first {
		t.first = 0
		t.ended(status)
	}
}

// executed handles a stop after a successful execve by process pid.
func (t *tracer) executed(pid int, th *thread) {
	var former uint64
	if ptrace(unix.PTRACE_GETEVENTMSG, pid, 0, addressOf(&former)) == 0 && int(former) != pid {
		// Another thread made the call and goes on under the leader's number.
		delete(t.threads, int(former))
	}
	// execve ended the other threads, so a call that was pending in the leader
	// never returns.
	th.call, th.who = nil, false
	if t.view == nil && t.starts(pid) {
		t.begin(pid)
	}
	if !th.recorded && t.view != nil {
		th.recorded = t.inside(pid)
	}
	if th.recorded && !decodes32 && is32Bit(pid) {
		t.note("a 32-bit program, whose system calls are not decoded")
	}
}

func (t *tracer) begin(pid int) {
	v, err := openView(pid)
	if err != nil {
		t.blind = fmt.Errorf("look into the container: %w", err)
		return
	}
	t.view, t.blind = v, nil
	if t.measures {
		t.mu.Lock()
		t.closed = newMeter(v)
		t.mu.Unlock()
	}
}

// NotSeen is noted in the trace of a container that was created, and whose program was not
// executed or not recognized.
const NotSeen = "the container's program was not seen"

// missed returns why nothing was recorded of a container that was created,
// because an empty trace would otherwise pass as proof that nothing was
// written.
func (t *tracer) missed() error {
	if t.unborn {
		return nil
	}
	if t.view == nil && t.blind == nil {
		return errors.New(NotSeen)
	}
	return t.blind
}

func (t *tracer) note(reason string) {
	t.mu.Lock()
	t.table.note(reason)
	t.mu.Unlock()
	t.touch()
}

func (t *tracer) add(a trace.Access) {
	t.mu.Lock()
	t.table.add(a, 1)
	t.mu.Unlock()
	t.touch()
}

func (t *tracer) touch() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// snapshot returns everything that was recorded so far. Any goroutine may call
// it.
func (t *tracer) snapshot() (accesses []trace.Access, weak []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	accesses = t.table.accesses()
	t.closed.enlarge(accesses)
	return accesses, t.table.reasons()
}

func (t *tracer) close() {
	if t.view != nil {
		t.view.close()
	}
}
