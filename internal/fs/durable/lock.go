package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ErrLocked is returned if the lock is held, by another process or by another open
// file of this process.
var ErrLocked = errors.New("locked by another process")

// Lock creates a file if it does not exist, and waits for its exclusive lock. The
// lock belongs to the open file description (F_OFD_SETLK in fcntl(2), Linux 3.15): it
// is released when the file is closed, or when this process and all that inherited
// the file have ended. Unlike a POSIX lock, it is not released when another
// descriptor of the file is closed.
func Lock(path string) (*os.File, error) { return lock(path, unix.F_OFD_SETLKW) }

// TryLock is Lock without waiting. The error wraps ErrLocked if the lock is held.
func TryLock(path string) (*os.File, error) { return lock(path, unix.F_OFD_SETLK) }

// Unlock releases a lock and closes its file. Close alone would not release it while a
// child process has the file: each one has it for a moment, between its creation and its
// execve. A file that was passed on to a child must be closed instead.
func Unlock(f *os.File) error {
	return errors.Join(fcntl(f, unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK}), f.Close())
}

// IsLocked reports whether the lock of a file is held. It reports false if the file
// does not exist. It does not take the lock, which would make a concurrent TryLock
// fail.
func IsLocked(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	found := unix.Flock_t{Type: unix.F_WRLCK}
	if err := fcntl(f, unix.F_OFD_GETLK, &found); err != nil {
		return false, fmt.Errorf("look at the lock of %s: %w", path, err)
	}
	return found.Type != unix.F_UNLCK, nil
}

func lock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = fcntl(f, how, &unix.Flock_t{Type: unix.F_WRLCK})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		err = ErrLocked
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

func fcntl(f *os.File, cmd int, lock *unix.Flock_t) error {
	for {
		if err := unix.FcntlFlock(f.Fd(), cmd, lock); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
