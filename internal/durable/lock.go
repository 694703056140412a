package durable

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrLocked says that another process, or another part of this one, holds a lock.
var ErrLocked = errors.New("locked by another process")

// Lock makes a file if it is not there, and locks it once nobody else does. The
// lock ends when the file is closed, or with the process and those that inherited
// it (flock(2)).
func Lock(path string) (*os.File, error) { return lock(path, unix.LOCK_EX) }

// TryLock is Lock that does not wait: the error wraps ErrLocked if somebody else
// holds the lock.
func TryLock(path string) (*os.File, error) { return lock(path, unix.LOCK_EX|unix.LOCK_NB) }

func lock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}
