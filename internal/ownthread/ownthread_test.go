package ownthread_test

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/ownthread"
)

// The tests begin on the main thread, which TestMain never gives away.
func TestMain(m *testing.M) {
	runtime.LockOSThread()
	onMain()
	os.Exit(m.Run())
}

// onMain gives Run no other thread than the main one to begin with. It panics, as there is no
// test yet.
func onMain() {
	if unix.Gettid() != unix.Getpid() {
		panic("TestMain is not called on the main thread")
	}
	runtime.UnlockOSThread()
	defer runtime.LockOSThread()
	for range 1000 { // a goroutine that is started last runs first, on the thread of its parent
		ownthread.Run(func() {
			if unix.Gettid() == unix.Getpid() {
				panic("the function was called on the main thread")
			}
		})
	}
}

// What a function does to its thread is seen by no other code.
func TestEnds(t *testing.T) {
	before, err := os.Readlink("/proc/self/ns/uts")
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		var moved error
		var inside string
		ownthread.Run(func() {
			if moved = unix.Unshare(unix.CLONE_NEWUTS); moved == nil {
				inside, moved = os.Readlink("/proc/thread-self/ns/uts")
			}
		})
		if moved != nil || inside == before {
			t.Fatalf("%v; the namespace is %s, as before", moved, inside)
		}
		after, err := os.Readlink("/proc/thread-self/ns/uts")
		if err != nil || after != before {
			t.Fatalf("the namespace became %s, want %s (%v)", after, before, err)
		}
	}
}

func TestExits(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	ownthread.Run(runtime.Goexit)
}
