package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ErrLocked is returned if another process, or another part of this one, holds a lock.
var ErrLocked = errors.New("locked by another process")

// Lock makes a file if it is not there, and locks it once nobody else does. The
// lock ends when the file is closed, or with the process and those that inherited
// it: it is one of the open file description (fcntl(2), Linux 3.15).
func Lock(path string) (*os.File, error) { return lock(path, unix.F_OFD_SETLKW) }

// TryLock is Lock that does not wait: the error wraps ErrLocked if somebody else
// holds the lock.
func TryLock(path string) (*os.File, error) { return lock(path, unix.F_OFD_SETLK) }

// IsLocked reports whether somebody holds the lock of a file; nobody does of one
// that is not there. It takes no lock for that, so that it is in nobody's way.
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
