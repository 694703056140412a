package inspect

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// owners distinguishes two kinds of mount namespaces. Those that were made with the
// privileges of a container can change the files that other processes see. Those in a user
// namespace that a process of the container made, such as a browser's sandbox, cannot.
type owners struct {
	container inode // user namespace of the container
	// isUnclear means that the container's user namespace cannot be told from one that it
	// made, so that no namespace is taken for private.
	isUnclear bool
}

// An inode identifies a namespace.
type inode struct{ dev, ino uint64 }

// ownersOf finds the user namespace of a container by its first process. It is the owner
// of the process's PID namespace: a process can move to user and mount namespaces that it
// made, but not to another PID namespace.
func ownersOf(first int, spec containerSpec) (owners, error) {
	owner, err := userNamespace(procFile(first, "ns/pid"))
	if err != nil {
		return owners{}, err
	}
	defer owner.Close()
	var o owners
	if o.container, err = identify(owner); err != nil {
		return o, err
	}
	host, err := os.Open("/proc/self/ns/user")
	if err != nil {
		return o, err
	}
	defer host.Close()
	ours, err := identify(host)
	// A container in the PID namespace of the host may have another user namespace.
	o.isUnclear = o.container == ours && spec.hasNamespace("user")
	return o, err
}

// isPrivate reports whether the mount namespace of a process belongs to a user namespace
// below the container's.
func (o owners) isPrivate(pid int) (bool, error) {
	if o.isUnclear {
		return false, nil
	}
	at, err := userNamespace(procFile(pid, "ns/mnt"))
	if err != nil {
		return false, err
	}
	defer func() { at.Close() }()
	id, err := identify(at)
	if err != nil || id == o.container {
		return false, err
	}
	// User namespaces nest at most 32 levels deep, see user_namespaces(7).
	for range 33 {
		above, err := related(at, unix.NS_GET_PARENT)
		if errors.Is(err, unix.EPERM) {
			return false, nil // the topmost one that we may see
		}
		if err != nil {
			return false, err
		}
		at.Close()
		at = above
		if id, err = identify(at); err != nil || id == o.container {
			return err == nil, err
		}
	}
	return false, nil
}

// userNamespace opens the user namespace that owns the namespace of a file in /proc.
func userNamespace(name string) (*os.File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return related(f, unix.NS_GET_USERNS)
}

// related opens a namespace by its relation to another one, see ioctl_ns(2).
func related(f *os.File, request uint) (*os.File, error) {
	fd, err := unix.IoctlRetInt(int(f.Fd()), request)
	if err != nil {
		return nil, fmt.Errorf("find the user namespace of %s: %w", f.Name(), err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

func identify(f *os.File) (inode, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return inode{}, fmt.Errorf("look at %s: %w", f.Name(), err)
	}
	return inode{uint64(st.Dev), st.Ino}, nil
}
