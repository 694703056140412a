package rootfs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// Put creates the file that an entry describes, with its owner, mode, extended
// attributes and, unless it is zero, modification time. content is read to its end,
// for a regular file only; Size, Digest and Link are ignored. The parent must exist;
// symbolic links in it are followed within the root.
//
// If a directory exists, Put only sets its attributes. Any other file is created
// under a temporary name and renamed, so that it appears complete and replaces a
// file that exists. It never replaces a directory, and Put never writes through a
// symbolic link at the path. Sockets cannot be created.
func (r *Root) Put(ctx context.Context, e tree.Entry, content io.Reader) error {
	if err := r.put(ctx, e, content, followLinks); err != nil {
		return fmt.Errorf("put %s: %w", e.Path, err)
	}
	return nil
}

func (r *Root) put(ctx context.Context, e tree.Entry, content io.Reader, resolve uint64) error {
	if e.Path == "/" {
		return errors.New("the root itself")
	}
	if err := e.Validate(); err != nil {
		return err
	}
	dir, base, err := r.openParent(e.Path, resolve)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if e.Kind == tree.Directory {
		return putDir(dir, base, e)
	}
	temp := tempName()
	if err := putTemp(ctx, dir, temp, e, content); err != nil {
		_ = unix.Unlinkat(dir, temp, 0)
		return err
	}
	if err := unix.Renameat(dir, temp, dir, base); err != nil {
		_ = unix.Unlinkat(dir, temp, 0)
		return err
	}
	return nil
}

// openParent opens the parent directory of a path and returns its last component.
// Operations on the two cannot leave that directory.
func (r *Root) openParent(name string, resolve uint64) (int, string, error) {
	name = path.Clean("/" + name)
	if name == "/" {
		return -1, "", errors.New("the root itself")
	}
	dir, err := r.open(path.Dir(name), unix.O_PATH|unix.O_DIRECTORY, resolve)
	return dir, path.Base(name), err
}

func tempName() string { return ".adamant-" + rand.Text() }

func putDir(dir int, base string, e tree.Entry) error {
	if err := unix.Mkdirat(dir, base, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	fd, err := openat2(dir, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0, refuseLinks)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return setAttributes(fd, e)
}

// putTemp creates a file under a temporary name.
func putTemp(ctx context.Context, dir int, temp string, e tree.Entry, content io.Reader) error {
	var err error
	switch e.Kind {
	case tree.Regular:
		return putRegular(ctx, dir, temp, e, content)
	case tree.Symlink:
		err = unix.Symlinkat(e.Target, dir, temp)
	case tree.FIFO:
		err = unix.Mknodat(dir, temp, unix.S_IFIFO|0o600, 0)
	case tree.CharDevice:
		err = unix.Mknodat(dir, temp, unix.S_IFCHR|0o600, int(unix.Mkdev(e.Major, e.Minor)))
	case tree.BlockDevice:
		err = unix.Mknodat(dir, temp, unix.S_IFBLK|0o600, int(unix.Mkdev(e.Major, e.Minor)))
	default:
		err = fmt.Errorf("a %s: %w", e.Kind, unix.ENOTSUP)
	}
	if err != nil {
		return err
	}
	fd, err := openat2(dir, temp, unix.O_PATH|unix.O_NOFOLLOW, 0, refuseLinks)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// Another process that may write to the directory could have replaced the
	// file, even by a hard link to a file elsewhere.
	if st, err := statFD(fd); err != nil || st.kind() != e.Kind || st.Nlink != 1 {
		return errors.Join(err, tree.ErrChanged)
	}
	return setAttributes(fd, e)
}

func putRegular(ctx context.Context, dir int, temp string, e tree.Entry, content io.Reader) error {
	fd, err := openat2(dir, temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600, refuseLinks)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if content != nil {
		if _, err := io.Copy(fdWriter(fd), ContextReader(ctx, content)); err != nil {
			return err
		}
	}
	return setAttributes(fd, e)
}

// setAttributes sets owner, extended attributes, mode and modification time of an
// open file. The owner comes first, because chown(2) clears the setuid bit and file
// capabilities.
func setAttributes(fd int, e tree.Entry) error {
	if err := unix.Fchownat(fd, "", int(e.UID), int(e.GID), unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("change owner: %w", err)
	}
	// fchmod(2) and fsetxattr(2) do not accept an O_PATH descriptor.
	file := procPath(fd)
	for _, name := range slices.Sorted(maps.Keys(e.Xattrs)) {
		if err := unix.Setxattr(file, name, []byte(e.Xattrs[name]), 0); err != nil {
			return fmt.Errorf("set extended attribute %s: %w", name, err)
		}
	}
	if e.Kind != tree.Symlink {
		if err := unix.Chmod(file, e.Mode); err != nil {
			return fmt.Errorf("change mode: %w", err)
		}
	}
	if e.ModTime.IsZero() {
		return nil
	}
	modTime, err := unix.TimeToTimespec(e.ModTime)
	if err != nil {
		return fmt.Errorf("modification time: %w", err)
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, modTime}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, file, times, 0); err != nil {
		return fmt.Errorf("set modification time: %w", err)
	}
	return nil
}

// SetAttributes sets owner, extended attributes and mode of an existing file to those of
// an entry, and its modification time unless that is zero. Symbolic links are not
// followed.
func (r *Root) SetAttributes(name string, e tree.Entry) error {
	fd, err := r.open(name, unix.O_PATH|unix.O_NOFOLLOW, refuseLinks)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer unix.Close(fd)
	if err := setAttributes(fd, e); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Link creates a hard link to a file. Symbolic links are followed within the root,
// but not in the last component of either path. A file at the new path is not
// replaced.
func (r *Root) Link(oldName, newName string) error {
	if err := r.link(oldName, newName, followLinks); err != nil {
		return fmt.Errorf("link %s to %s: %w", newName, oldName, err)
	}
	return nil
}

func (r *Root) link(oldName, newName string, resolve uint64) error {
	from, oldBase, err := r.openParent(oldName, resolve)
	if err != nil {
		return err
	}
	defer unix.Close(from)
	to, newBase, err := r.openParent(newName, resolve)
	if err != nil {
		return err
	}
	defer unix.Close(to)
	return unix.Linkat(from, oldBase, to, newBase, 0)
}

// MkdirAll creates a directory and its missing parents, with mode 0755 and the owner
// of this process. Symbolic links are followed within the root.
func (r *Root) MkdirAll(name string) error {
	if err := r.mkdirAll(name, followLinks, tree.Entry{Kind: tree.Directory, Mode: 0o755}, false); err != nil {
		return fmt.Errorf("make directory %s: %w", name, err)
	}
	return nil
}

// mkdirAll creates directories with the mode of like and, if owned is set, its owner
// and attributes too.
func (r *Root) mkdirAll(name string, resolve uint64, like tree.Entry, owned bool) error {
	parts := strings.Split(strings.Trim(path.Clean("/"+name), "/"), "/")
	for i := range parts {
		like.Path = "/" + path.Join(parts[:i+1]...)
		if like.Path == "/" {
			continue
		}
		dir, base, err := r.openParent(like.Path, resolve)
		if err != nil {
			return err
		}
		err = unix.Mkdirat(dir, base, like.Mode)
		if err == nil && owned {
			err = putDir(dir, base, like)
		}
		unix.Close(dir)
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
	fd, err := r.open(name, unix.O_PATH|unix.O_DIRECTORY, resolve)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// Remove removes a file or an empty directory. Symbolic links are followed within
// the root, but not in the last component.
func (r *Root) Remove(name string) error {
	dir, base, err := r.openParent(name, followLinks)
	if err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	defer unix.Close(dir)
	err = unix.Unlinkat(dir, base, 0)
	if errors.Is(err, unix.EISDIR) {
		err = unix.Unlinkat(dir, base, unix.AT_REMOVEDIR)
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

// fdWriter writes to a descriptor without owning it.
type fdWriter int

func (w fdWriter) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		n, err := unix.Write(int(w), p[written:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
}
