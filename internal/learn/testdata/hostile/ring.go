package main

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

const (
	ringSetup = 425 // on every architecture
	ringEnter = 426
	opMkdirAt = 37 // IORING_OP_MKDIRAT
	getEvents = 1
	sqes      = 0x10000000 // offset in the ring's descriptor
)

type ringParams struct {
	sqEntries, cqEntries, flags, cpu, idle, features, wq uint32
	resv                                                 [3]uint32
	sq                                                   struct {
		head, tail, mask, entries, flags, dropped, array, resv uint32
		user                                                   uint64
	}
	cq [10]uint32
}

type ringEntry struct {
	op, flags byte
	prio      uint16
	fd        int32
	off, addr uint64
	len, how  uint32
	user      uint64
	rest      [3]uint64
}

// ring creates a directory by a request that is not a system call.
func ring() {
	var p ringParams
	fd, _, errno := syscall.Syscall(ringSetup, 4, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		fail("io_uring_setup: %v", errno)
	}
	area, err := syscall.Mmap(int(fd), 0, int(p.sq.array+p.sqEntries*4), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	must(err)
	entries, err := syscall.Mmap(int(fd), sqes, int(p.sqEntries)*64, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	must(err)
	path := append([]byte(app+"/ring"), 0)
	const atCWD = -100
	*(*ringEntry)(unsafe.Pointer(&entries[0])) = ringEntry{op: opMkdirAt, fd: atCWD, addr: uint64(uintptr(unsafe.Pointer(&path[0]))), len: 0o755}
	*(*uint32)(unsafe.Pointer(&area[p.sq.array])) = 0
	atomic.AddUint32((*uint32)(unsafe.Pointer(&area[p.sq.tail])), 1)
	if _, _, errno := syscall.Syscall6(ringEnter, fd, 1, 1, getEvents, 0, 0); errno != 0 {
		fail("io_uring_enter: %v", errno)
	}
}
