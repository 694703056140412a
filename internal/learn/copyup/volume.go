package copyup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

const (
	staging  = ".adamant-copy-up"     // directory in the root of a volume that is incomplete
	unnamed  = "entry"                // an entry in it that has no name yet
	complete = "user.adamant.copy-up" // attribute of the root of a volume that is complete
)

// A volume is one that is being filled.
type volume struct {
	*copier
	target  Target
	root    int            // the volume's root directory
	stage   int            // the staging directory in it
	mount   uint64         // the mount in the image that is copied
	content int            // the directory that stands for target.Path in the volume
	status  status         // of target.Path in the image
	links   map[inode]link // first names of inodes with several names
}

// An inode identifies a file in the image.
type inode struct{ dev, ino uint64 }

// A link is the first name of an inode, in the volume.
type link struct{ dir, name string }

// fill completes one volume, unless it is complete already.
func (c *copier) fill(t Target) error {
	root, err := openat2(c.to, t.Path, unix.O_RDONLY|unix.O_DIRECTORY, refuseLinks)
	if err != nil {
		return fmt.Errorf("open volume: %w", err)
	}
	defer unix.Close(root)
	// A second copier would remove the entry that this one is creating.
	if err := unix.Flock(root, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("lock volume: another copy-up is at work on it: %w", err)
	}
	v := &volume{copier: c, target: t, root: root, content: root, links: map[inode]link{}}
	done, err := v.isComplete()
	if err != nil || done {
		return err
	}
	if err := v.begin(); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer unix.Close(v.stage)
	src, err := v.source()
	if err != nil {
		return err
	}
	if src >= 0 {
		defer unix.Close(src)
	}
	if err := v.copyTarget(src); err != nil {
		return err
	}
	return v.end()
}

// isComplete reports whether the volume is complete.
func (v *volume) isComplete() (bool, error) {
	err := unix.Faccessat(v.root, staging, unix.F_OK, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil {
		return false, nil
	}
	if !errors.Is(err, unix.ENOENT) {
		return false, fmt.Errorf("look for %s: %w", staging, err)
	}
	if v.target.SubPath != "" {
		// Files beside it belong to someone else, who had the claim before.
		err := unix.Faccessat(v.root, v.target.SubPath, unix.F_OK, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, unix.ENOENT) {
			return false, nil
		}
		return err == nil, err
	}
	if _, err := unix.Fgetxattr(v.root, complete, nil); err == nil {
		return true, nil
	}
	names, err := namesIn(v.root, 2)
	if err != nil {
		return false, fmt.Errorf("read volume: %w", err)
	}
	// A new ext4 file system has lost+found in it.
	return len(names) > 1 || len(names) == 1 && names[0] != "lost+found", nil
}

// begin marks the volume as incomplete and removes entries that a killed run
// left in the staging directory.
func (v *volume) begin() error {
	if err := unix.Mkdirat(v.root, staging, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	fd, err := unix.Openat(v.root, staging, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	v.stage = fd
	if err := unix.Unlinkat(fd, unnamed, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		unix.Close(fd)
		return err
	}
	return nil
}

// source opens the target in the image, or returns -1 if the image has none.
func (v *volume) source() (int, error) {
	fd, err := openat2(v.from, v.target.Path, unix.O_PATH, followLinks)
	if errors.Is(err, unix.ENOENT) {
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("open in image: %w", err)
	}
	var root, own status
	if err = errors.Join(root.of(v.from), own.of(fd)); err == nil {
		switch {
		case own.mount != root.mount:
			err = fmt.Errorf("something is mounted over the image's own")
		case v.target.File && own.kind() != unix.S_IFREG:
			err = fmt.Errorf("it is no regular file in the image")
		case !v.target.File && own.kind() != unix.S_IFDIR:
			err = fmt.Errorf("it is no directory in the image")
		}
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	v.mount = own.mount
	return fd, nil
}

// copyTarget copies the target's content to the volume.
func (v *volume) copyTarget(src int) error {
	var st status
	if src < 0 {
		owner := v.target.Owner
		if owner == nil {
			owner = &Owner{Mode: 0o777} // as a kubelet makes it
		}
		st = status{mode: owner.Mode, uid: owner.UID, gid: owner.GID}
		if v.target.File {
			return v.makeFile(st)
		}
	} else {
		if err := st.of(src); err != nil {
			return err
		}
		if o := v.target.Owner; o != nil {
			st.mode, st.uid, st.gid = st.kind()|o.Mode, o.UID, o.GID
		}
		if v.target.File {
			return v.copyFile(src, st, v.root, v.target.SubPath, v.target.Path)
		}
	}
	if v.target.SubPath != "" {
		fd, err := v.makeDir(v.root, v.target.SubPath)
		if err != nil {
			return fmt.Errorf("make %s in volume: %w", v.target.SubPath, err)
		}
		defer unix.Close(fd)
		v.content = fd
	}
	if src >= 0 {
		if err := v.copyDir(src, v.content, v.target.Path, "."); err != nil {
			return err
		}
	}
	v.status = st
	return v.finishDir(src, st, v.content, v.target.Path)
}

// end marks the volume as complete. It syncs all data first, because an
// emptyDir outlives a crash of its node.
func (v *volume) end() error {
	if err := unix.Syncfs(v.root); err != nil {
		return fmt.Errorf("sync volume: %w", err)
	}
	// Without the attribute, a volume whose files the program removed is filled
	// again.
	_ = unix.Fsetxattr(v.root, complete, []byte("1"), 0)
	err := unix.Unlinkat(v.root, staging, unix.AT_REMOVEDIR)
	if errors.Is(err, unix.EACCES) { // the directory is not to be written, and we are not root
		err = v.unlockedRemove()
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", staging, err)
	}
	if v.content == v.root { // its time changed when staging went
		return setTimes(v.root, v.status, v.target.Path)
	}
	return nil
}

// unlockedRemove removes the staging directory from a directory whose mode, set
// as in the image, forbids that.
func (v *volume) unlockedRemove() error {
	var st status
	if err := st.of(v.root); err != nil {
		return err
	}
	if err := unix.Fchmod(v.root, st.mode&0o7777|0o300); err != nil {
		return err
	}
	return errors.Join(
		unix.Unlinkat(v.root, staging, unix.AT_REMOVEDIR),
		unix.Fchmod(v.root, st.mode&0o7777),
	)
}

// namesIn returns up to limit names in a directory, or all if it is negative.
func namesIn(dir, limit int) ([]string, error) {
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), ".")
	defer f.Close()
	names, err := f.Readdirnames(limit)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}

// firstLink opens the directory that holds an inode's first name in the volume.
func (v *volume) firstLink(l link) (int, error) {
	return openat2(v.content, path.Clean(l.dir), unix.O_PATH|unix.O_DIRECTORY, refuseLinks|unix.RESOLVE_BENEATH)
}
