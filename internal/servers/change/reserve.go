package change

import (
	"os"

	"golang.org/x/sys/unix"
)

// reserveSize is the space on the disk that a change cannot fill, in bytes. The states of
// the change and restored files need it.
const reserveSize = 32 << 20

// reserve allocates the space. A disk that is full before the change is no error: files
// of the change are then in memory.
func (s Store) reserve(id string) {
	f, err := os.OpenFile(s.path(id, "reserve"), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, reserveSize); err != nil {
		s.releaseReserve(id)
	}
}

// releaseReserve frees the space.
func (s Store) releaseReserve(id string) {
	_ = os.Remove(s.path(id, "reserve")) // the file may have been removed before
}
