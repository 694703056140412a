package rootfs

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// An Owner is a user and a group by number.
type Owner struct{ UID, GID uint32 }

// ExtractOptions configures Extract.
type ExtractOptions struct {
	// Owner replaces the owners in the archive. Setuid and setgid bits and extended
	// attributes outside of the user namespace, such as file capabilities, are then
	// dropped: they would apply to the wrong user. If nil, owners, modes and
	// attributes are those of the archive.
	Owner *Owner
	// Devices allows device nodes. Otherwise they are refused.
	Devices bool
	// MaxEntries and MaxBytes bound the archive; 5,000,000 and 1 TiB if zero.
	MaxEntries int
	MaxBytes   int64
}

const defaultMaxBytes = 1 << 40

// ErrRefused is returned for an entry that is malformed or hostile, or that the
// options do not allow.
var ErrRefused = errors.New("entry refused")

// Extract unpacks a tar archive into a directory of the root, which is created if
// it does not exist. Symbolic links in the path of the directory are followed within
// the root, but none below it. Extract refuses an entry whose path leads through a
// symbolic link, of the archive or not, names that are absolute or contain "..",
// and hard links to files that are not of the archive. A symbolic link itself may
// have any target.
//
// Files replace files, as with Put. An entry never replaces a directory by another
// kind of file, or the other way round. After an error the files that were unpacked
// stay.
func (r *Root) Extract(ctx context.Context, archive io.Reader, dst string, opts ExtractOptions) error {
	if err := r.extract(ctx, archive, dst, opts); err != nil {
		return fmt.Errorf("extract into %s: %w", dst, err)
	}
	return nil
}

func (r *Root) extract(ctx context.Context, archive io.Reader, dst string, opts ExtractOptions) error {
	opts.MaxEntries = cmp.Or(opts.MaxEntries, 5_000_000)
	opts.MaxBytes = cmp.Or(opts.MaxBytes, defaultMaxBytes)
	implied := tree.Entry{Kind: tree.Directory, Mode: 0o755}
	if opts.Owner != nil {
		implied.UID, implied.GID = opts.Owner.UID, opts.Owner.GID
	}
	if err := r.mkdirAll(dst, followLinks, implied, opts.Owner != nil); err != nil {
		return err
	}
	fd, err := r.open(dst, unix.O_PATH|unix.O_DIRECTORY, followLinks)
	if err != nil {
		return err
	}
	// A root of its own, so that no entry leads out of dst into the rest of r.
	sub := &Root{fd: fd}
	defer sub.Close()
	x := extraction{root: sub, opts: opts, implied: implied, files: map[string]bool{}, left: opts.MaxBytes}
	for entries := tar.NewReader(archive); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := entries.Next()
		if err == io.EOF {
			return x.finish()
		}
		if err != nil {
			return fmt.Errorf("read archive: %w", err)
		}
		if err := x.entry(ctx, h, entries); err != nil {
			return fmt.Errorf("entry %q: %w", h.Name, err)
		}
	}
}

// extraction is the state of one Extract.
type extraction struct {
	root    *Root // the directory that is extracted into
	opts    ExtractOptions
	implied tree.Entry      // attributes of directories without an entry
	files   map[string]bool // unpacked files, to which hard links are allowed
	dirs    []tree.Entry    // directories whose attributes finish sets
	entries int
	left    int64 // bytes
}

func (x *extraction) entry(ctx context.Context, h *tar.Header, content io.Reader) error {
	if x.entries++; x.entries > x.opts.MaxEntries {
		return fmt.Errorf("%w: more than %d", ErrTooMany, x.opts.MaxEntries)
	}
	if x.left -= h.Size; h.Size < 0 || x.left < 0 {
		return fmt.Errorf("all files together: %w of %d bytes", tree.ErrTooLarge, x.opts.MaxBytes)
	}
	e, hard, err := x.parse(h)
	if err != nil || e.Path == "/" {
		return err // dst itself keeps its attributes
	}
	if err := x.root.mkdirAll(path.Dir(e.Path), refuseLinks, x.implied, x.opts.Owner != nil); err != nil {
		return err
	}
	switch {
	case hard != "":
		return x.link(hard, e.Path)
	case e.Kind == tree.Directory:
		x.dirs = append(x.dirs, e)
		e.Mode, e.Xattrs = 0o700, nil
	default:
		x.files[e.Path] = true
	}
	return x.root.put(ctx, e, content, refuseLinks)
}

// parse converts a header to an entry. hard is the target of a hard link.
func (x *extraction) parse(h *tar.Header) (e tree.Entry, hard string, err error) {
	if e.Path, err = nameInArchive(h.Name); err != nil {
		return e, "", err
	}
	if h.Uid < 0 || h.Uid >= math.MaxUint32 || h.Gid < 0 || h.Gid >= math.MaxUint32 {
		return e, "", fmt.Errorf("owner %d:%d: %w", h.Uid, h.Gid, ErrRefused)
	}
	e.Mode, e.UID, e.GID, e.ModTime = uint32(h.Mode)&0o7777, uint32(h.Uid), uint32(h.Gid), h.ModTime
	switch h.Typeflag {
	case tar.TypeReg:
		e.Kind = tree.Regular
	case tar.TypeDir:
		e.Kind = tree.Directory
	case tar.TypeSymlink:
		e.Kind, e.Target = tree.Symlink, h.Linkname
	case tar.TypeFifo:
		e.Kind = tree.FIFO
	case tar.TypeLink:
		hard, err = nameInArchive(h.Linkname)
		return e, hard, err
	case tar.TypeChar, tar.TypeBlock:
		e.Kind = tree.CharDevice
		if h.Typeflag == tar.TypeBlock {
			e.Kind = tree.BlockDevice
		}
		if !x.opts.Devices || h.Devmajor < 0 || h.Devmajor >= 1<<12 || h.Devminor < 0 || h.Devminor >= 1<<20 {
			return e, "", fmt.Errorf("a %s %d:%d: %w", e.Kind, h.Devmajor, h.Devminor, ErrRefused)
		}
		e.Major, e.Minor = uint32(h.Devmajor), uint32(h.Devminor)
	default:
		return e, "", fmt.Errorf("type %q: %w", h.Typeflag, ErrRefused)
	}
	e.Xattrs = xattrsOf(h, x.opts.Owner == nil)
	if owner := x.opts.Owner; owner != nil {
		e.UID, e.GID, e.Mode = owner.UID, owner.GID, e.Mode&0o1777
	}
	return e, "", nil
}

// nameInArchive returns a name in an archive as a path below the directory
// that is extracted into.
func nameInArchive(name string) (string, error) {
	if strings.HasPrefix(name, "/") || slices.Contains(strings.Split(name, "/"), "..") || strings.Contains(name, "\x00") {
		return "", fmt.Errorf("path %q leads out of the archive: %w", name, ErrRefused)
	}
	return path.Clean("/" + name), nil
}

// xattrsOf returns the extended attributes of a header: all, or only those of the
// user namespace unless privileges is set. Those of overlayfs are omitted: they would
// change the meaning of files in a layer.
func xattrsOf(h *tar.Header, privileges bool) map[string]string {
	var attrs map[string]string
	for key, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(key, XattrRecord)
		if !ok || ignoredXattr(name, false) || !privileges && !strings.HasPrefix(name, "user.") {
			continue
		}
		if attrs == nil {
			attrs = map[string]string{}
		}
		attrs[name] = value
	}
	return attrs
}

// XattrRecord is the prefix of the names of extended attributes in PAX headers.
const XattrRecord = "SCHILY.xattr."

func (x *extraction) link(target, name string) error {
	if !x.files[target] {
		return fmt.Errorf("hard link to %q, which did not come with the archive: %w", target, ErrRefused)
	}
	if target == name {
		return fmt.Errorf("hard link to itself: %w", ErrRefused)
	}
	dir, base, err := x.root.openParent(name, refuseLinks)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	from, oldBase, err := x.root.openParent(target, refuseLinks)
	if err != nil {
		return err
	}
	defer unix.Close(from)
	temp := tempName()
	if err := unix.Linkat(from, oldBase, dir, temp, 0); err != nil {
		return err
	}
	x.files[name] = true
	err = unix.Renameat(dir, temp, dir, base)
	// Renaming one name of a file to another does nothing, and leaves both.
	if rest := unix.Unlinkat(dir, temp, 0); err == nil && !errors.Is(rest, unix.ENOENT) {
		err = rest
	}
	return err
}

// finish sets the attributes of directories, the innermost first. Before that, creating
// files in a directory would change its mtime, and its mode may forbid creating them.
func (x *extraction) finish() error {
	for _, e := range slices.Backward(x.dirs) {
		if err := x.root.put(context.Background(), e, nil, refuseLinks); err != nil {
			return fmt.Errorf("entry %q: %w", e.Path, err)
		}
	}
	return nil
}
