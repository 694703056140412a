package overlay

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// An object is the entry of a merged tree at one path.
type object struct {
	node         // the topmost, which has the metadata
	dirs []place // of a directory: the directories merged in it, top first
	data *node   // of a regular file: the node with its content; nil if that is missing
}

// errRedirect is returned for a redirect that the kernel would not follow.
var errRedirect = errors.New("a redirect that is not followed")

// lookup finds a name in directories that are merged, top first. It returns nil if
// there is none.
func (l *layers) lookup(dirs []handle, name string) (*object, error) {
	s := search{layers: l, names: []string{name}}
	if err := s.run(dirs); err != nil {
		return nil, err
	}
	return s.found, nil
}

// complete returns the object of a node of the upper layer by its name: with the
// directories merged below it, or the content that a metacopy file lacks. lower
// are the merged directories below the one that the name is in.
func (l *layers) complete(name string, n node, lower []handle) (*object, error) {
	s := search{layers: l, names: []string{name}}
	s.add(n)
	redirect, err := s.redirect(n)
	if err != nil {
		return nil, err
	}
	// Nothing below an opaque directory or a file with its own content is visible.
	if n.isOpaque() || !n.isDir() && !n.isMetacopy() {
		return s.found, nil
	}
	if redirect != "" {
		s.names = splitPath(redirect)
	}
	if !strings.HasPrefix(redirect, "/") {
		err = s.run(lower)
	} else {
		err = s.fromRoot(0)
	}
	return s.found, err
}

// isSimple reports whether the node is merged with the lower layers at its own
// path: it has no redirect, opaque or metacopy attribute.
func (n *node) isSimple() bool {
	_, isRedirected := n.mark("redirect")
	return !isRedirected && !n.isOpaque() && !n.isMetacopy()
}

// over is complete for a simple node, with the object of the lower layers at its
// path given, so that it is not looked up twice.
func (n *node) over(lower *object) *object {
	o := &object{node: *n}
	switch {
	case n.isDir():
		o.dirs = []place{n.place}
		if lower != nil {
			o.dirs = append(o.dirs, lower.dirs...)
		}
	case n.isRegular():
		o.data = n
	}
	return o
}

// A search is one lookup through the layers. It follows ovl_lookup_layers in the
// kernel (fs/overlayfs/namei.c) step by step.
type search struct {
	*layers
	names  []string // path to look up; several names only from the root of a layer
	isDone bool     // no lower layer is merged
	found  *object
}

// add makes the node of one layer the next lower part of the object.
func (s *search) add(n node) {
	if s.found == nil {
		s.found = &object{node: n}
	}
	switch {
	case n.isDir():
		s.found.dirs = append(s.found.dirs, n.place)
	case n.isRegular() && !n.isMetacopy():
		s.found.data = &n
	}
}

func (s *search) run(dirs []handle) error {
	for _, dir := range dirs {
		redirect, err := s.layer(dir)
		if err != nil {
			return err
		}
		if s.isDone {
			return nil
		}
		if strings.HasPrefix(redirect, "/") && dir.trail.parent != nil {
			return s.fromRoot(dir.layer)
		}
	}
	return s.dataOnly()
}

// fromRoot continues at the roots of the layers below one, after an absolute
// redirect.
func (s *search) fromRoot(layer int) error {
	var roots []handle
	for _, p := range s.lower {
		if p.layer > layer {
			roots = append(roots, handle{layer: p.layer, trail: newRootTrail(), id: p.id, fd: s.fds[p.layer]})
		}
	}
	return s.run(roots)
}

// layer searches one layer and returns the redirect that it found.
func (s *search) layer(dir handle) (redirect string, err error) {
	names := s.names
	next := names
	at := dir
	defer func() {
		if at.fd != dir.fd {
			unix.Close(at.fd)
		}
		s.names = next
	}()
	for i, name := range names {
		n, err := s.node(at, name)
		if errors.Is(err, errAbsent) {
			return redirect, nil
		}
		if err != nil {
			return "", err
		}
		// A whiteout or opaque directory on the way hides the lower layers too.
		rest := names[i+1:]
		if s.ends(n, len(rest) == 0) {
			return redirect, nil
		}
		r, err := s.redirect(n)
		if err != nil {
			return "", err
		}
		if r != "" {
			redirect = r
			next = redirected(next, len(rest), r)
		}
		if len(rest) == 0 {
			s.add(n)
			return redirect, nil
		}
		fd, err := openAt(at.fd, name, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return "", fmt.Errorf("open directory: %w", err)
		}
		if at.fd != dir.fd {
			unix.Close(at.fd)
		}
		at = handle{layer: n.layer, trail: n.trail(), id: n.id, fd: fd}
	}
	return redirect, nil
}

// ends reports whether a node hides the name in its own and all lower layers. It
// sets isDone if nothing further down can be part of the object.
func (s *search) ends(n node, isLast bool) bool {
	switch {
	case n.isWhiteout():
	case !isLast && !n.isDir():
	// Only directories are merged with directories, and only a metacopy file with
	// the file that has its content.
	case isLast && s.found != nil && s.found.isDir() != n.isDir():
	case isLast && s.found != nil && !n.isDir() && !n.isRegular():
	default:
		s.isDone = s.isDone || n.isOpaque() || isLast && !n.isDir() && !n.isMetacopy()
		return false
	}
	s.isDone = true
	return true
}

// redirect returns the other name or path that the lower part of a node has.
func (s *search) redirect(n node) (string, error) {
	to, ok := n.mark("redirect")
	if !ok || !n.isDir() && !n.isMetacopy() {
		return "", nil
	}
	for i, name := range strings.Split(to, "/") {
		// As in ovl_get_redirect_xattr, a redirect is an absolute path or a single
		// name. Others could lead out of the layer.
		isStart := i == 0 && name == "" && to != ""
		if !isStart && (name == "" || name == "." || name == ".." || i > 0 && to[0] != '/') {
			return "", fmt.Errorf("to %q: %w", to, errRedirect)
		}
	}
	if s.noRedirect {
		return "", fmt.Errorf("to %q: %w", to, errRedirect)
	}
	return to, nil
}

// redirected replaces the name before the last rest ones: by another name in
// the same directory, or by a path from the root.
func redirected(names []string, rest int, to string) []string {
	tail := names[len(names)-rest:]
	if strings.HasPrefix(to, "/") {
		return append(splitPath(to), tail...)
	}
	return slices.Concat(names[:len(names)-rest-1], []string{to}, tail)
}

// dataOnly searches the data-only layers for the content of a metacopy file, by the
// absolute path of the last redirect.
func (s *search) dataOnly() error {
	if s.found == nil || !s.found.isRegular() || s.found.data != nil {
		return nil
	}
	for _, p := range s.data {
		at := place{layer: p.layer}
		for _, name := range s.names {
			at.dir, at.name = at.trail(), name
		}
		fd, err := s.open(at, unix.O_PATH)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("open data layer: %w", err)
		}
		n := node{place: at, marks: &s.marks}
		err = n.read(fd)
		unix.Close(fd)
		if err != nil {
			return err
		}
		if n.isRegular() {
			s.found.data = &n
			return nil
		}
	}
	return nil
}

func splitPath(p string) []string { return strings.Split(strings.TrimPrefix(p, "/"), "/") }
