package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const cwd = ^uintptr(99) // AT_FDCWD

func init() {
	for name, call := range map[string]func() (int, error){
		"open":      func() (int, error) { return raw(unix.SYS_OPEN, text("new"), unix.O_CREAT|unix.O_WRONLY, 0o600) },
		"creat":     func() (int, error) { return raw(unix.SYS_CREAT, text("new"), 0o600) },
		"creat-old": func() (int, error) { return raw(unix.SYS_CREAT, text("old"), 0o600) },
		"mkdir":     func() (int, error) { return raw(unix.SYS_MKDIR, text("new"), 0o700) },
		"mknod":     func() (int, error) { return raw(unix.SYS_MKNOD, text("new"), unix.S_IFREG|0o600, 0) },
		"unlink":    func() (int, error) { return raw(unix.SYS_UNLINK, text("old")) },
		"rmdir":     func() (int, error) { return raw(unix.SYS_RMDIR, text("empty")) },
		"symlink":   func() (int, error) { return raw(unix.SYS_SYMLINK, text("x"), text("new")) },
		"link":      func() (int, error) { return raw(unix.SYS_LINK, text("old"), text("new")) },
		"rename":    func() (int, error) { return raw(unix.SYS_RENAME, text("old"), text("new")) },
		"chmod":     func() (int, error) { return raw(unix.SYS_CHMOD, text("old"), 0o600) },
		"chown":     func() (int, error) { return raw(unix.SYS_CHOWN, text("link"), 1, 1) },
		"lchown":    func() (int, error) { return raw(unix.SYS_LCHOWN, text("link"), 1, 1) },
		"utime":     func() (int, error) { return raw(unix.SYS_UTIME, text("old"), 0) },
		"utimes":    func() (int, error) { return raw(unix.SYS_UTIMES, text("old"), 0) },
		"futimesat": func() (int, error) { return raw(unix.SYS_FUTIMESAT, cwd, text("old"), 0) },
	} {
		kinds[name] = func() { _, err := call(); must(err) }
	}
	kinds["access-legacy"] = func() { _, err := raw(unix.SYS_ACCESS, text("old"), unix.W_OK); must(err) }
	kinds["int80"] = func() {
		// Its pointers have 32 bits.
		low, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_32BIT)
		must(err)
		copy(low, "new\x00")
		const mkdir = 39
		if errno := -int80(mkdir, uintptr(unsafe.Pointer(&low[0])), 0o700); errno != 0 {
			must(unix.Errno(errno))
		}
	}
}

// int80 makes a system call of 32-bit programs.
func int80(nr, a, b uintptr) int32
