package ssh_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// TestMain fails if a test leaves goroutines or descriptors behind.
func TestMain(m *testing.M) {
	descriptors, goroutines := openDescriptors(), runtime.NumGoroutine()
	code := m.Run()
	if code == 0 {
		code = leftovers(descriptors, goroutines)
	}
	os.Exit(code)
}

// leftovers waits for goroutines and descriptors that are about to end, and returns
// the others.
func leftovers(descriptors, goroutines int) int {
	for range 100 {
		if openDescriptors() <= descriptors && runtime.NumGoroutine() <= goroutines {
			return 0
		}
		time.Sleep(50 * time.Millisecond)
	}
	fmt.Fprintf(os.Stderr, "%d descriptors and %d goroutines were left\n", openDescriptors()-descriptors, runtime.NumGoroutine()-goroutines)
	pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
	return 1
}

// openDescriptors counts files and sockets; the runtime's own (epoll, eventfd)
// come and go.
func openDescriptors() int {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	n := 0
	for _, fd := range fds {
		target, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if err == nil && (target[0] == '/' || target[:6] == "socket" || target[:4] == "pipe") {
			n++
		}
	}
	return n
}
