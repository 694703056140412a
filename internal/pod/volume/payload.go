package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A File is one file of a volume with data of the API.
type File struct {
	Data []byte
	Mode int32  // permission bits
	User *int64 // owner; root if nil
}

// dataDir is the name of the symbolic link to the current version of a volume.
const dataDir = "..data"

// Limits of a path in a payload.
const (
	maxName = 255
	maxPath = 4096
)

// WritePayload writes files, by their relative paths, to dir, which is an EmptyDir
// already. The layout is the kubelet's: the files are in a directory named for the
// time, ..data is a link to it, and each first path element is a link through
// ..data. A kubelet replaces all files atomically by replacing ..data. nested are
// directories to create for mounts inside this volume.
func WritePayload(dir string, files map[string]File, group *int64, nested []string) error {
	for path := range files {
		if err := checkPath(path); err != nil {
			return err
		}
	}
	if err := makeNested(dir, nested); err != nil {
		return err
	}
	version, err := os.MkdirTemp(dir, time.Now().UTC().Format("..2006_01_02_15_04_05."))
	if err != nil {
		return err
	}
	if err := os.Chmod(version, 0o755); err != nil {
		return err
	}
	if err := writeFiles(version, files); err != nil {
		return err
	}
	// Before the links are created: as with a kubelet, only the setgid directory
	// determines the group of the links.
	if err := setGroupBelow(dir, group, true); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Base(version), filepath.Join(dir, dataDir)); err != nil {
		return err
	}
	return linkFiles(dir, files)
}

func writeFiles(version string, files map[string]File) error {
	root, err := os.OpenRoot(version)
	if err != nil {
		return err
	}
	defer root.Close()
	for path, f := range files {
		path = filepath.Clean(path)
		if err := mkdirAll(root, filepath.Dir(path)); err != nil {
			return err
		}
		mode := os.FileMode(f.Mode & 0o777)
		if err := root.WriteFile(path, f.Data, mode); err != nil {
			return err
		}
		if err := root.Chmod(path, mode); err != nil {
			return err
		}
		if f.User != nil {
			if err := root.Lchown(path, int(*f.User), -1); err != nil {
				return err
			}
		}
	}
	return nil
}

func makeNested(dir string, nested []string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, path := range nested {
		if err := mkdirAll(root, filepath.Clean(path)); err != nil {
			return err
		}
	}
	return nil
}

// mkdirAll creates directories with mode 0755, regardless of the umask.
func mkdirAll(root *os.Root, path string) error {
	if path == "." {
		return nil
	}
	if err := mkdirAll(root, filepath.Dir(path)); err != nil {
		return err
	}
	err := root.Mkdir(path, 0o755)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return root.Chmod(path, 0o755)
}

// linkFiles creates the links to the files. It keeps a name that exists already,
// which is the directory of a nested mount.
func linkFiles(dir string, files map[string]File) error {
	for path, f := range files {
		name, _, _ := strings.Cut(filepath.Clean(path), "/")
		link := filepath.Join(dir, name)
		err := os.Symlink(filepath.Join(dataDir, name), link)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		if f.User != nil {
			if err := os.Lchown(link, int(*f.User), -1); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkPath returns an error if a path leads out of the volume or collides with
// the names that begin with "..".
func checkPath(path string) error {
	elements := strings.Split(path, "/")
	switch {
	case path == "" || path[0] == '/':
		return fmt.Errorf("path %q must be relative and not empty", path)
	case len(path) > maxPath:
		return fmt.Errorf("path %q... is longer than %d bytes", path[:32], maxPath)
	case slices.Contains(elements, "..") || strings.HasPrefix(path, ".."):
		return fmt.Errorf("path %q must not contain or begin with \"..\"", path)
	case strings.Contains(path, "\x00"):
		return fmt.Errorf("path %q has a zero byte in it", path)
	case filepath.Clean(path) == ".":
		return fmt.Errorf("path %q names no file", path)
	}
	for _, e := range elements {
		if len(e) > maxName {
			return fmt.Errorf("path element %q... is longer than %d bytes", e[:32], maxName)
		}
	}
	return nil
}
