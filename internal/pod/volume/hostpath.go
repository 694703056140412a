package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// HostPath checks that the file at path has the type of a hostPath volume: "" for
// any file, Directory, DirectoryOrCreate, File, FileOrCreate, Socket, CharDevice
// or BlockDevice. It creates a directory with mode 0755 or a file with mode 0644
// if the type is one of the OrCreate types.
func HostPath(path, kind string) error {
	if !strings.HasPrefix(path, "/") || hasBackstep(path) {
		return fmt.Errorf("hostPath %q must be absolute and without \"..\"", path)
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path, kind)
	}
	if err != nil {
		return fmt.Errorf("hostPath: %w", err)
	}
	if want, ok := match(info.Mode(), kind); !ok {
		return fmt.Errorf("hostPath %s is not a %s", path, want)
	}
	return nil
}

func create(path, kind string) error {
	switch kind {
	case "":
		return nil // the runtime creates a directory
	case "DirectoryOrCreate":
		if err := os.MkdirAll(path, 0o755); err != nil {
			return fmt.Errorf("hostPath: %w", err)
		}
		return os.Chmod(path, 0o755) // the umask of this process applies to MkdirAll
	case "FileOrCreate":
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return fmt.Errorf("hostPath: %w", err)
		}
		return errors.Join(f.Chmod(0o644), f.Close())
	}
	return fmt.Errorf("hostPath %s does not exist, type %s", path, kind)
}

func match(mode fs.FileMode, kind string) (want string, ok bool) {
	switch kind {
	case "":
		return "", true
	case "Directory", "DirectoryOrCreate":
		return "directory", mode.IsDir()
	case "File", "FileOrCreate":
		return "file", mode.IsRegular()
	case "Socket":
		return "socket", mode&fs.ModeSocket != 0
	case "CharDevice":
		return "character device", mode&fs.ModeCharDevice != 0
	case "BlockDevice":
		return "block device", mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0
	}
	return "known type of hostPath: " + kind, false
}

func hasBackstep(path string) bool {
	for e := range strings.SplitSeq(path, "/") {
		if e == ".." {
			return true
		}
	}
	return false
}
