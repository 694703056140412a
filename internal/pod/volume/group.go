package volume

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// setGroupBelow changes the group of dir and everything below it. The group may
// read and write files and search directories, which become setgid; in a read-only
// volume it may not write files. A nil group changes nothing.
func setGroupBelow(dir string, group *int64, readOnly bool) error {
	if group == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return setGroup(path, d, int(*group), readOnly)
	})
}

func setGroup(path string, d fs.DirEntry, group int, readOnly bool) error {
	if err := os.Lchown(path, -1, group); err != nil {
		return err
	}
	if d.Type()&fs.ModeSymlink != 0 {
		return nil // chmod follows symbolic links
	}
	info, err := d.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	add := os.FileMode(0o660)
	if readOnly {
		add = 0o440
	}
	if d.IsDir() {
		add |= os.ModeSetgid | 0o110
	}
	return os.Chmod(path, info.Mode()|add)
}
