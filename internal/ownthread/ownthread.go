// Package ownthread runs functions on operating system threads of their own.
package ownthread

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Run calls do on a thread that ends when do returns. What belongs to a thread ends with
// it: namespaces, user and group IDs, filters, and the processes that it traces. Programs
// that do starts begin with them. Run panics if do exits its goroutine.
//
// The thread is never the main one. A Go program cannot end that one, and
// /proc/self and /proc/net are its view: if it had moved to the namespace of a container,
// the whole program would take the container's mounts and routes for those of the machine.
func Run(do func()) {
	done := make(chan bool)
	go run(do, done)
	if !<-done { // runtime.Goexit, as by t.Fatal
		panic("ownthread: the function has exited its goroutine")
	}
}

func run(do func(), done chan<- bool) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// This goroutine has the main thread, so the next one has another.
		next := make(chan bool)
		go run(do, next)
		returned := <-next
		runtime.UnlockOSThread()
		done <- returned
		return
	}
	returned := false
	defer func() { done <- returned }()
	do()
	returned = true
}
