package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strings"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// ErrHostile is returned for an entry of an archive or a layer that only a hostile
// tool writes, or that a runtime could not unpack.
var ErrHostile = errors.New("entry refused")

// A record is one entry of a layer as it stands in the archive, checked but
// not yet applied.
type record struct {
	name    string // absolute and clean
	kind    tree.Kind
	hard    bool // a hard link to link
	link    string
	mode    uint32
	uid     uint32
	gid     uint32
	size    int64
	digest  string
	major   uint32
	minor   uint32
	xattrs  map[string]string
	modTime time.Time
	ignored []string // extended attributes that a runtime does not set
	ordinal int      // how many entries came before it in the archive
}

// usage counts what all layers of one image cost, concurrently.
type usage struct {
	limits   Limits
	entries  atomic.Int64
	bytes    atomic.Int64
	metadata atomic.Int64
}

// addEntry counts an entry and what it keeps in memory.
func (u *usage) addEntry(metadata int) error {
	if u.entries.Add(1) > int64(u.limits.Entries) {
		return &LimitError{Limit: "entries", Value: int64(u.limits.Entries)}
	}
	return u.addMetadata(metadata)
}

func (u *usage) addMetadata(bytes int) error {
	if u.metadata.Add(int64(bytes)) > maxMetadata {
		return &LimitError{Limit: "bytes of names and attributes", Value: maxMetadata}
	}
	return nil
}

func (u *usage) addBytes(bytes int64) error {
	if bytes < 0 || bytes > u.limits.Bytes || u.bytes.Add(bytes) > u.limits.Bytes {
		return &LimitError{Limit: "bytes", Value: u.limits.Bytes}
	}
	return nil
}

// A source is a layer with its digest and limits.
type source struct {
	layer  v1.Layer
	diffID v1.Hash // digest of the decompressed archive
	use    *usage
}

// each calls visit for every entry of a layer's archive. It returns nil only if
// the whole layer has been read and both its digests are right. A wrong digest takes
// precedence over other errors of the layer.
func (s source) each(ctx context.Context, visit func(*tar.Header, io.Reader) error) error {
	digest, err := s.layer.Digest()
	if err != nil {
		return err
	}
	size, err := s.layer.Size()
	if err != nil {
		return err
	}
	blob, err := s.layer.Compressed()
	if err != nil {
		return err
	}
	defer blob.Close()
	checked, err := verifyOnce(rootfs.ContextReader(ctx, blob), blob, digest, size)
	if err != nil {
		return err
	}
	err = s.eachIn(ctx, checked, visit)
	var beyond *LimitError
	if errors.As(err, &beyond) {
		return err // the limit exists to avoid the cost of reading the rest
	}
	// The rest is read for the digest. If the digest is wrong, the layer was damaged or
	// replaced, and errors of its entries are meaningless.
	if rest := drain(checked, s.use); err == nil || errors.Is(rest, ErrDigest) {
		return rest
	}
	return err
}

// eachIn decompresses a layer in another goroutine, which has ended when it returns.
func (s source) eachIn(ctx context.Context, blob io.Reader, visit func(*tar.Header, io.Reader) error) error {
	compressed := &counter{src: blob}
	plain, _, err := decompress(compressed)
	if err != nil {
		return fmt.Errorf("decompress: %w", err)
	}
	defer plain.Close()
	ahead := newReadAhead(ctx, &inflater{src: plain, compressed: compressed, ratio: s.use.limits.Ratio, ratioGrace: ratioGrace})
	defer ahead.Close()
	archive, err := verify(ahead, "layer with diff id", s.diffID, -1)
	if err != nil {
		return err
	}
	if err := eachEntry(ctx, archive, s.use, visit); err != nil {
		return err
	}
	// The digest includes the bytes after the end of the archive.
	return drain(archive, s.use)
}

func drain(r io.Reader, use *usage) error {
	n, err := io.Copy(io.Discard, io.LimitReader(r, use.limits.Bytes))
	if err == nil && n == use.limits.Bytes {
		err = &LimitError{Limit: "bytes", Value: n}
	}
	return err
}

func eachEntry(ctx context.Context, r io.Reader, use *usage, visit func(*tar.Header, io.Reader) error) error {
	archive := tar.NewReader(r)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read archive: %w", err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if err = errors.Join(use.addEntry(metadataOf(h)), use.addBytes(h.Size)); err == nil {
			err = visit(h, archive)
		}
		if err != nil {
			return fmt.Errorf("entry %q: %w", h.Name, err)
		}
	}
}

// metadataOf returns the bytes that an entry keeps in memory.
func metadataOf(h *tar.Header) int {
	n := len(h.Name) + len(h.Linkname)
	for key, value := range h.PAXRecords {
		n += len(key) + len(value)
	}
	return n
}

// records reads a whole layer, with the digests of its files if hash is set.
func (s source) records(ctx context.Context, hash bool) ([]record, error) {
	var all []record
	buf := make([]byte, 128<<10)
	seen := 0
	err := s.each(ctx, func(h *tar.Header, content io.Reader) error {
		rec, err := newRecord(h, s.use.limits)
		if err != nil {
			return err
		}
		rec.ordinal = seen
		seen++
		if hash && rec.kind == tree.Regular && !rec.hard {
			if rec.digest, err = digestOf(ctx, content, buf); err != nil {
				return err
			}
		}
		all = append(all, rec)
		return nil
	})
	return all, err
}

func digestOf(ctx context.Context, content io.Reader, buf []byte) (string, error) {
	sum := sha256.New()
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := content.Read(buf)
		sum.Write(buf[:n])
		if err == io.EOF {
			return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// newRecord checks an entry of an archive.
func newRecord(h *tar.Header, limits Limits) (record, error) {
	rec := record{mode: uint32(h.Mode) & 0o7777, modTime: h.ModTime}
	var err error
	if rec.name, err = cleanName(h.Name, limits.Depth); err != nil {
		return rec, err
	}
	if h.Uid < 0 || h.Uid >= math.MaxUint32 || h.Gid < 0 || h.Gid >= math.MaxUint32 {
		return rec, fmt.Errorf("owner %d:%d: %w", h.Uid, h.Gid, ErrHostile)
	}
	rec.uid, rec.gid = uint32(h.Uid), uint32(h.Gid)
	switch h.Typeflag {
	case tar.TypeReg:
		rec.kind, rec.size = tree.Regular, h.Size
	case tar.TypeDir:
		rec.kind = tree.Directory
	case tar.TypeFifo:
		rec.kind = tree.FIFO
	case tar.TypeLink:
		rec.hard = true
		if rec.link, err = cleanName(h.Linkname, limits.Depth); err != nil {
			return rec, fmt.Errorf("hard link to %q: %w", h.Linkname, err)
		}
	case tar.TypeSymlink:
		rec.kind, rec.link, rec.mode = tree.Symlink, h.Linkname, 0o777
		if rec.link == "" || len(rec.link) > maxPath || strings.Contains(rec.link, "\x00") {
			return rec, fmt.Errorf("symbolic link to %q: %w", rec.link, ErrHostile)
		}
	case tar.TypeChar, tar.TypeBlock:
		rec.kind = tree.CharDevice
		if h.Typeflag == tar.TypeBlock {
			rec.kind = tree.BlockDevice
		}
		if err := rec.setDevice(h); err != nil {
			return rec, err
		}
	default:
		return rec, fmt.Errorf("type %q: %w", h.Typeflag, ErrHostile)
	}
	rec.setXattrs(h.PAXRecords)
	return rec, nil
}

// setDevice refuses numbers that Linux cannot represent: a major number has 12 bits and
// a minor number 20.
func (rec *record) setDevice(h *tar.Header) error {
	if h.Devmajor < 0 || h.Devmajor >= 1<<12 || h.Devminor < 0 || h.Devminor >= 1<<20 {
		return fmt.Errorf("device %d:%d: %w", h.Devmajor, h.Devminor, ErrHostile)
	}
	rec.major, rec.minor = uint32(h.Devmajor), uint32(h.Devminor)
	return nil
}

// setXattrs sets the attributes that a runtime would set, and records the others:
// runtimes refuse trusted attributes in archives, user attributes exist on files
// and directories only, and other namespaces do not exist.
func (rec *record) setXattrs(pax map[string]string) {
	for key, value := range pax {
		name, ok := strings.CutPrefix(key, rootfs.XattrRecord)
		if !ok {
			continue
		}
		space, _, _ := strings.Cut(name, ".")
		onFile := rec.hard || rec.kind == tree.Regular || rec.kind == tree.Directory
		switch {
		case name == "security.selinux":
			continue // the machine's policy sets it, no tree has it
		case space == "security", strings.HasPrefix(name, "system.posix_acl_"), space == "user" && onFile && !strings.HasPrefix(name, "user.overlay."):
			if rec.xattrs == nil {
				rec.xattrs = map[string]string{}
			}
			rec.xattrs[name] = value
		default:
			rec.ignored = append(rec.ignored, name)
		}
	}
}

// cleanName makes a name in an archive absolute and clean, as runtimes do, but
// refuses one that leads out of the root on its way.
func cleanName(name string, maxDepth int) (string, error) {
	depth := 0
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			if depth--; depth < 0 {
				return "", fmt.Errorf("leads out of the root: %w", ErrHostile)
			}
			continue
		case len(part) > maxName:
			return "", fmt.Errorf("a name of %d bytes: %w", len(part), ErrHostile)
		}
		depth++
	}
	switch {
	case strings.Contains(name, "\x00"):
		return "", fmt.Errorf("a name with a zero byte: %w", ErrHostile)
	case len(name) > maxPath:
		return "", &LimitError{Limit: "bytes of a path", Value: maxPath}
	case depth > maxDepth:
		return "", &LimitError{Limit: "depth of a path", Value: int64(maxDepth)}
	}
	return path.Clean("/" + name), nil
}
