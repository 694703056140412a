package image

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A node is a name in a directory that is being put together. Hard links are
// nodes that share an inode.
type node struct {
	*inode
	children map[string]*node // of a directory
	opaque   bool             // hides the same directory of the layers below
}

// An inode contains the fields that hard links share.
type inode struct {
	kind    tree.Kind
	mode    uint32
	uid     uint32
	gid     uint32
	size    int64
	digest  string
	target  string
	major   uint32
	minor   uint32
	xattrs  map[string]string
	modTime time.Time
	linked  bool   // had a second name at some time
	origin  origin // of the content
}

// An origin is the location of the content of a regular file in an image.
type origin struct {
	layer   int
	ordinal int
}

// newDir returns a directory with the attributes of one that a layer implies.
func newDir() *node {
	return &node{inode: &inode{kind: tree.Directory, mode: 0o755}, children: map[string]*node{}}
}

func (n *node) isDir() bool { return n.kind == tree.Directory }

// isWhiteout reports whether a node is a whiteout for overlayfs.
func (n *node) isWhiteout() bool {
	return n.kind == tree.CharDevice && n.major == 0 && n.minor == 0
}

// lookup returns the node at a clean absolute path without following links, or
// nil.
func (n *node) lookup(name string) *node {
	for part := range strings.SplitSeq(strings.Trim(name, "/"), "/") {
		if part == "" {
			continue
		}
		if n = n.children[part]; n == nil {
			return nil
		}
	}
	return n
}

var (
	errNotDir = errors.New("not a directory")
	errLoop   = errors.New("too many symbolic links")
)

// follow resolves the parent directory of an entry as containerd does: all symbolic links
// are followed within the root, and components that do not exist are kept. It returns the
// canonical path, which may not be that of a directory.
func (n *node) follow(dir string, w *work) (string, error) {
	const maxLinks = 255      // containerd's, not Linux's
	at, rest := []byte{}, dir // at has no slash at its end, and is empty for the root
	here, file := n, false    // the node of at, nil if it does not exist; whether at is no directory
	for links := 0; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		w.step(1)
		switch part {
		case "", ".":
			continue
		case "..":
			at = at[:max(bytes.LastIndexByte(at, '/'), 0)]
			here = n.lookup(string(at))
			w.step(bytes.Count(at, []byte{'/'}))
			continue
		}
		if file {
			return "", fmt.Errorf("%s: %w: %w", at, errNotDir, ErrHostile)
		}
		var child *node
		if here != nil {
			child = here.children[part]
		}
		if child == nil || child.kind != tree.Symlink {
			at = append(append(at, '/'), part...)
			here, file = child, child != nil && !child.isDir()
			continue
		}
		// The path is bounded too: each link can make it longer by its target.
		if links++; links > maxLinks || len(rest) > 1<<20 {
			return "", fmt.Errorf("%s: %w: %w", dir, errLoop, ErrHostile)
		}
		w.step((len(child.target) + len(rest)) / 4) // they are copied and cleaned
		if strings.HasPrefix(child.target, "/") {
			rest = child.target + "/" + rest
		} else {
			rest = path.Join("/", string(at), child.target) + "/" + rest
		}
		at, here = at[:0], n
	}
	return "/" + strings.TrimPrefix(string(at), "/"), nil
}
