// Package durable writes files atomically and durably: after a crash or a power
// failure a file has either its old or its new content. It writes a temporary file
// and calls fsync, rename, and fsync of the directory. It also locks files.
package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile creates or replaces the file at path with the given content and mode.
func WriteFile(path string, content []byte, mode fs.FileMode) error {
	return Write(path, mode, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// WriteTarget is WriteFile for a path that a user named. If it is a symbolic link,
// the file that the link leads to is replaced.
func WriteTarget(path string, content []byte, mode fs.FileMode) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	return WriteFile(path, content, mode)
}

// Rewrite is WriteTarget for a file that exists and keeps its mode.
func Rewrite(path string, content []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return WriteTarget(path, content, info.Mode().Perm())
}

// Write is WriteFile for content that the function write streams. If it fails,
// nothing has changed. A device or FIFO at path is opened and written to, not
// replaced: /dev/null must not become a file.
func Write(path string, mode fs.FileMode, write func(io.Writer) error) error {
	if info, err := os.Lstat(path); err == nil && info.Mode()&(fs.ModeDevice|fs.ModeNamedPipe) != 0 {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Chmod(mode)
	}
	// Before the rename: the new name could otherwise become durable before the
	// content, and the file be empty after a power failure.
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
