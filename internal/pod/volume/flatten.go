package volume

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Flatten moves directories that are nested deeply below dir to the top of dir, so that a
// program which has one file open for each level can remove it. There must be no mounts
// and no running processes in dir. Names that disappear meanwhile are passed over.
func Flatten(dir string) error {
	top, err := openDirAt(unix.AT_FDCWD, dir)
	if err != nil {
		return err
	}
	defer top.Close()
	f := flattener{top: top}
	if err := f.flatten(int(top.Fd()), ".", 1); err != nil {
		return fmt.Errorf("flatten %s: %w", dir, err)
	}
	for n := 0; n < f.moved; n++ {
		if err := f.flatten(int(top.Fd()), movedName(n), 1); err != nil {
			return fmt.Errorf("flatten %s: %w", dir, err)
		}
	}
	return nil
}

type flattener struct {
	top   *os.File
	moved int // directories that were moved to top; the names of some belong to the container
}

func movedName(n int) string { return fmt.Sprintf(".deep-%d", n) }

// flatten moves the directories that are raiseEvery levels below a directory.
func (f *flattener) flatten(parent int, name string, depth int) error {
	at, err := openDirAt(parent, name)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil
	}
	if err != nil {
		return err
	}
	defer at.Close()
	for {
		entries, err := at.ReadDir(256)
		for _, e := range entries {
			switch {
			case !e.IsDir():
			case depth == raiseEvery:
				if err := f.raise(at, e.Name()); err != nil {
					return err
				}
			default:
				if err := f.flatten(int(at.Fd()), e.Name(), depth+1); err != nil {
					return err
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// raise moves a directory to the top, under a name that is free.
func (f *flattener) raise(from *os.File, name string) error {
	for {
		err := unix.Renameat2(int(from.Fd()), name, int(f.top.Fd()), movedName(f.moved), unix.RENAME_NOREPLACE)
		f.moved++
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		if !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
}
