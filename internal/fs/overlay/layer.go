package overlay

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// layers are the open directories of an overlay: first the upper one, then the
// lower ones, then the data-only ones.
type layers struct {
	fds        []int
	lower      []place // the roots of the lower layers, top first
	data       []place // the roots of the layers that only hold data
	prefix     string  // of the overlay's own attributes
	noRedirect bool
}

// A place is a name in a layer. Its path is relative to the layer, clean, and
// empty for the layer itself.
type place struct {
	layer int
	path  string
}

func (p place) child(name string) place {
	if p.path == "" {
		return place{p.layer, name}
	}
	return place{p.layer, p.path + "/" + name}
}

// openLayers opens all directories of a mount, which must have an upper one.
func openLayers(m Mount) (*layers, error) {
	space, err := openNamespace(m.Namespace)
	if err != nil {
		return nil, err
	}
	defer space.Close()
	l := &layers{prefix: "trusted.overlay.", noRedirect: m.NoRedirect}
	if m.UserXattr {
		l.prefix = "user.overlay."
	}
	for i, dir := range slices.Concat([]string{m.Upper}, m.Lower, m.Data) {
		fd, err := space.open(dir)
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.fds = append(l.fds, fd)
		switch {
		case i == 0:
		case i <= len(m.Lower):
			l.lower = append(l.lower, place{layer: i})
		default:
			l.data = append(l.data, place{layer: i})
		}
	}
	return l, nil
}

// Close closes all layers.
func (l *layers) Close() error {
	var errs []error
	for _, fd := range l.fds {
		errs = append(errs, unix.Close(fd))
	}
	return errors.Join(errs...)
}

// refuse keeps a lookup in its layer. Overlayfs itself follows no symbolic links in
// a layer and does not see mounts in it.
const refuse = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV

// openAt opens a name, or a path of several, below an open directory.
func openAt(dir int, name string, flags uint64) (int, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC | unix.O_NOFOLLOW, Resolve: refuse}
	for {
		fd, err := unix.Openat2(dir, name, &how)
		// EAGAIN: a rename or mount raced with the lookup, see openat2(2).
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return fd, err
		}
	}
}

// open opens a place. It opens a path longer than PATH_MAX (4096 bytes) in parts,
// because a container could otherwise hide files in a deep directory.
func (l *layers) open(p place, flags uint64) (int, error) {
	const most = 4000
	dir, rest := l.fds[p.layer], p.path
	if rest == "" {
		rest = "."
	}
	for isOwn := false; ; isOwn = true {
		part, how := rest, flags
		if len(rest) > most {
			// There is a slash: a name has at most 255 bytes.
			part = rest[:strings.LastIndexByte(rest[:most], '/')]
			how = unix.O_PATH | unix.O_DIRECTORY
		}
		fd, err := openAt(dir, part, how)
		if isOwn {
			unix.Close(dir)
		}
		if err != nil || part == rest {
			return fd, err
		}
		dir, rest = fd, rest[len(part)+1:]
	}
}

// A handle is a directory of a layer, open while its names are looked up.
type handle struct {
	place
	fd int
}

// openDirs opens directories that are merged. All are closed by closeAll.
func (l *layers) openDirs(places []place) ([]handle, error) {
	dirs := make([]handle, 0, len(places))
	for _, p := range places {
		fd, err := l.open(p, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			closeAll(dirs)
			return nil, fmt.Errorf("open directory: %w", err)
		}
		dirs = append(dirs, handle{p, fd})
	}
	return dirs, nil
}

func closeAll(dirs []handle) {
	for _, d := range dirs {
		unix.Close(d.fd)
	}
}

// names lists a directory.
func (d handle) names() ([]string, error) {
	fd, err := openAt(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("read directory: %w", err)
	}
	defer unix.Close(fd)
	var names []string
	for buf := make([]byte, 8<<10); ; {
		n, err := unix.ReadDirent(fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read directory: %w", err)
		}
		if n == 0 {
			return names, nil
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}
