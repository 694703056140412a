package copyup

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// finishDir sets a directory's attributes to those in the image. The mode comes
// before the owner, because the kernel drops the set-group-ID bit when a
// process without CAP_FSETID sets it for a group that it is not in, but keeps
// the bit when a directory changes its owner. src is -1 if the image does not
// have the directory.
func (v *volume) finishDir(src int, st status, dst int, name string) error {
	v.keepXattrs(src, dst, name)
	err := unix.Fchmod(dst, st.mode&0o7777)
	if ownerErr := v.chown(dst, st); err == nil {
		err = ownerErr
	}
	if err := v.check(dst, st, name, err); err != nil {
		return err
	}
	return setTimes(dst, st, name)
}

// keep sets the attributes of any other entry. The owner comes first: changing it
// removes set-ID bits and capabilities.
func (v *volume) keep(src int, st status, dst int, name string) error {
	err := v.chown(dst, st)
	v.keepXattrs(src, dst, name)
	if st.kind() != unix.S_IFLNK {
		mode := st.mode & 0o7777
		if err != nil {
			mode &^= unix.S_ISUID | unix.S_ISGID // they would lend out another user's rights than in the image
		}
		if modeErr := unix.Chmod(procPath(dst), mode); err == nil {
			err = modeErr
		}
	}
	if err := v.check(dst, st, name, err); err != nil {
		return err
	}
	return setTimes(dst, st, name)
}

func (v *volume) chown(dst int, st status) error {
	return unix.Fchownat(dst, "", int(st.uid), int(st.gid), unix.AT_EMPTY_PATH)
}

// check compares owner and mode with those that were set. The kernel may drop a
// bit without an error. cause is the error of setting them, if there was
// one.
func (v *volume) check(dst int, st status, name string, cause error) error {
	var got status
	if err := got.of(dst); err != nil {
		return fmt.Errorf("look at %s: %w", name, err)
	}
	because := ""
	if cause != nil {
		because = fmt.Sprintf(" (%v)", cause)
	}
	if got.uid != st.uid || got.gid != st.gid {
		v.lose(name, "owner is %d:%d, not %d:%d%s", got.uid, got.gid, st.uid, st.gid, because)
	}
	if got, want := got.mode&0o7777, st.mode&0o7777; st.kind() != unix.S_IFLNK && got != want {
		v.lose(name, "mode is %04o, not %04o%s", got, want, because)
	}
	return nil
}

// keepXattrs copies extended attributes as far as the file system and the
// process's capabilities allow.
func (v *volume) keepXattrs(src, dst int, name string) {
	if src < 0 {
		return
	}
	list, err := readAttr(func(buf []byte) (int, error) { return unix.Listxattr(procPath(src), buf) })
	if err != nil {
		if !errors.Is(err, unix.EOPNOTSUPP) {
			v.lose(name, "extended attributes: %v", err)
		}
		return
	}
	for attr := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		if attr == "" || isForeign(attr) {
			continue
		}
		value, err := readAttr(func(buf []byte) (int, error) { return unix.Getxattr(procPath(src), attr, buf) })
		if errors.Is(err, unix.ENODATA) {
			continue
		}
		if err == nil {
			err = unix.Setxattr(procPath(dst), attr, value, 0)
		}
		if err != nil {
			v.lose(name, "extended attribute %s: %v", attr, err)
		}
	}
}

// isForeign reports whether an attribute describes the file system that a file
// is on, not the file.
func isForeign(attr string) bool {
	return strings.HasPrefix(attr, "trusted.overlay.") || strings.HasPrefix(attr, "user.overlay.") ||
		attr == "security.selinux" || attr == "system.nfs4_acl" || attr == complete
}

// readAttr asks for the size of an attribute and then reads it. It repeats both
// if the attribute has grown in between.
func readAttr(read func([]byte) (int, error)) ([]byte, error) {
	for {
		n, err := read(nil)
		if n == 0 || err != nil {
			return nil, err
		}
		buf := make([]byte, n)
		n, err = read(buf)
		if errors.Is(err, unix.ERANGE) {
			continue
		}
		return buf[:max(n, 0)], err
	}
}

func setTimes(dst int, st status, name string) error {
	if st.mtime == (unix.Timespec{}) {
		return nil // of nothing in the image
	}
	// EPERM is ignored, because only few programs compare times, and a user
	// without CAP_FOWNER cannot set those of another user's file.
	err := unix.UtimesNanoAt(dst, "", []unix.Timespec{st.atime, st.mtime}, unix.AT_EMPTY_PATH)
	if err != nil && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("set times of %s: %w", name, err)
	}
	return nil
}
