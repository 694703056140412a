package facts

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// ownersOf finds the packages of files and, with check, whether the files differ from
// the packages'. A failure of rpm is ignored here, because the facts already report
// that the packages are unknown.
func (a *agent) ownersOf(ctx context.Context, files []string, check bool) ([]Owner, error) {
	if a.owners == nil {
		a.owners, _ = ReadOwners(ctx, a.root, a.live)
	}
	list := make([]Owner, len(files))
	for i, file := range files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		list[i].Package = a.owners.byPath[file]
		want, known := a.owners.sums[file]
		if !known || !check {
			continue
		}
		got, err := sumOf(a.root, file, want)
		list[i].Edited = err != nil || got != want // a removed file is edited, too
	}
	return list, nil
}

// Of returns the package that contains a file and the file's digest in it. Each is
// empty if there is none.
func (o *Owners) Of(file string) (pkg, sum string) { return o.byPath[file], o.sums[file] }

// NewSum returns a hash for digests like this one, by its length. Package managers
// have used several kinds. For an empty digest it is MD5, which dpkg uses.
func NewSum(like string) hash.Hash {
	if h := hashOf(like); h != nil {
		return h
	}
	return md5.New()
}

func hashOf(like string) hash.Hash {
	switch len(like) {
	case hex.EncodedLen(md5.Size):
		return md5.New()
	case hex.EncodedLen(sha1.Size):
		return sha1.New()
	case hex.EncodedLen(sha256.Size):
		return sha256.New()
	case hex.EncodedLen(sha512.Size384):
		return sha512.New384()
	case hex.EncodedLen(sha512.Size):
		return sha512.New()
	}
	return nil
}

// sumOf returns a digest of a file of the same kind as like, the digest in its package.
// It detects accidents and edits. MD5 does not withstand an attacker, so files are
// compared between servers by SHA-256.
func sumOf(root *rootfs.Root, file, like string) (string, error) {
	h := hashOf(like)
	if h == nil {
		return "", fmt.Errorf("%q is no digest", like)
	}
	f, err := root.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
