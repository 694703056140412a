package inspect

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// An Entry is one file below an inspected path.
type Entry struct {
	Path    string `json:"path"`
	Mode    string `json:"mode"` // type and permissions, in octal
	UID     uint32 `json:"uid"`
	GID     uint32 `json:"gid"`
	Target  string `json:"target,omitempty"`
	Content string `json:"content,omitempty"` // of a regular file of at most 4 KiB
}

// walk lists a path and everything below it in the order of names. It also
// lists directories that cannot be read.
func walk(root string) ([]Entry, error) {
	var all []Entry
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil && d != nil {
			return fs.SkipDir
		}
		if err != nil {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil {
			return fmt.Errorf("stat %s: %w", path, err)
		}
		e := Entry{Path: path, Mode: fmt.Sprintf("%06o", st.Mode), UID: st.Uid, GID: st.Gid}
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			if e.Target, err = os.Readlink(path); err != nil {
				return err
			}
		case d.Type().IsRegular() && st.Size <= 4096:
			e.Content = content(path)
		}
		all = append(all, e)
		return nil
	})
	return all, err
}

// writable tries to write to the path and undoes the change.
func writable(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return cause(err)
	}
	if !info.IsDir() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return cause(err)
		}
		f.Close()
		return "yes"
	}
	f, err := os.CreateTemp(path, "inspector-")
	if err != nil {
		return cause(err)
	}
	defer os.Remove(f.Name())
	f.Close()
	var st syscall.Stat_t
	if err := syscall.Stat(f.Name(), &st); err != nil {
		return cause(err)
	}
	// A directory with the set-group-ID bit passes its group to new files.
	return fmt.Sprintf("yes, as %d:%d", st.Uid, st.Gid)
}
