package appimage

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sys/unix"
)

// newest is the latest modification time in a layer, so that generated files do
// not depend on the time of the build.
var newest = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A layer is a layer stored in a file. It implements v1.Layer.
//
// It is not compressed, because tests read the same layers many times with the
// race detector, which makes gzip several times slower.
type layer struct {
	path string
	meta layerMeta
}

// layerMeta is stored beside the file, so that the digest is known without
// reading the file.
type layerMeta struct {
	DiffID v1.Hash
	Size   int64
}

func (l layer) Digest() (v1.Hash, error)             { return l.meta.DiffID, nil }
func (l layer) DiffID() (v1.Hash, error)             { return l.meta.DiffID, nil }
func (l layer) Size() (int64, error)                 { return l.meta.Size, nil }
func (l layer) MediaType() (types.MediaType, error)  { return types.OCIUncompressedLayer, nil }
func (l layer) Compressed() (io.ReadCloser, error)   { return os.Open(l.path + ".tar") }
func (l layer) Uncompressed() (io.ReadCloser, error) { return os.Open(l.path + ".tar") }

// readLayer opens a layer that writeLayer wrote.
func readLayer(path string) (layer, error) {
	l := layer{path: path}
	data, err := os.ReadFile(path + ".json")
	if err != nil {
		return layer{}, err
	}
	return l, json.Unmarshal(data, &l.meta)
}

// writeLayer packs the tree below root into path.tar. If lower is not empty,
// root is the upper directory of an overlay on it. The same tree gives the same
// bytes. The metadata is written last, so a layer with metadata is complete.
func writeLayer(root, lower, path string) (layer, error) {
	f, err := os.Create(path + ".tar")
	if err != nil {
		return layer{}, err
	}
	defer f.Close()
	digest := sha256.New()
	if err := writeTar(io.MultiWriter(f, digest), root, lower); err != nil {
		return layer{}, err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return layer{}, err
	}
	l := layer{path, layerMeta{v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", digest.Sum(nil))}, size}}
	data, err := json.Marshal(l.meta)
	if err != nil {
		return layer{}, err
	}
	return l, os.WriteFile(path+".json", data, 0o644)
}

// writeTar writes the tree in the order of names, with numeric owners.
func writeTar(w io.Writer, root, lower string) error {
	p := packer{Writer: tar.NewWriter(w), lower: lower, links: map[[2]uint64]string{}}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name := strings.TrimPrefix(path, root+"/")
		if err := p.writeEntry(path, name); err != nil {
			return fmt.Errorf("pack /%s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.Close()
}

// A packer writes the entries of one layer.
type packer struct {
	*tar.Writer
	lower string
	links map[[2]uint64]string // first name of an inode with several, by device and number
}

// writeEntry writes one file, or the whiteouts of an image layer for those of
// an overlay: https://github.com/opencontainers/image-spec layer.md,
// "Whiteouts".
func (p *packer) writeEntry(path, name string) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	dir, file := filepath.Split(name)
	// overlayfs marks a deleted name with a character device 0:0.
	if st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 {
		return p.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: dir + ".wh." + file, ModTime: newest})
	}
	h, err := header(path, name, &st)
	if err != nil {
		return err
	}
	if inode := [2]uint64{st.Dev, st.Ino}; h.Typeflag == tar.TypeReg && st.Nlink > 1 {
		if first, seen := p.links[inode]; seen {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
		}
		p.links[inode] = name
	}
	if err := p.WriteHeader(h); err != nil {
		return err
	}
	switch {
	case h.Typeflag == tar.TypeDir && p.hides(path, name):
		return p.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name + "/.wh..wh..opq", ModTime: newest})
	case h.Typeflag == tar.TypeReg:
		return copyFile(p, path)
	}
	return nil
}

func header(path, name string, st *unix.Stat_t) (*tar.Header, error) {
	h := &tar.Header{
		Name: name, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid),
		ModTime: time.Unix(st.Mtim.Sec, 0), Format: tar.FormatPAX,
	}
	if h.ModTime.After(newest) {
		h.ModTime = newest
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		h.Typeflag, h.Size = tar.TypeReg, st.Size
	case unix.S_IFDIR:
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
	case unix.S_IFLNK:
		target, err := os.Readlink(path)
		if err != nil {
			return nil, err
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, target
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	default:
		return nil, fmt.Errorf("a layer cannot hold a file of mode %o", st.Mode)
	}
	capability, err := xattr(path, "security.capability")
	if err != nil {
		return nil, err
	}
	if capability != "" {
		h.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": capability}
	}
	return h, nil
}

// hides reports whether a directory in the upper tree hides one with the same
// name in the lower tree. The kernel marks all new directories as opaque,
// although most hide nothing.
func (p *packer) hides(path, name string) bool {
	if v, err := xattr(path, "trusted.overlay.opaque"); p.lower == "" || err != nil || v != "y" {
		return false
	}
	_, err := os.Lstat(filepath.Join(p.lower, name))
	return err == nil
}

// xattr returns an extended attribute of the file itself, "" if it has none.
func xattr(path, name string) (string, error) {
	buf := make([]byte, 256)
	n, err := unix.Lgetxattr(path, name, buf)
	switch err {
	case nil:
		return string(buf[:n]), nil
	case unix.ENODATA, unix.ENOTSUP:
		return "", nil
	}
	return "", fmt.Errorf("attribute %s: %w", name, err)
}

func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
