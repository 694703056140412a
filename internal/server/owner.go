package server

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"io"

	"github.com/adamant-sh/adamant/internal/tree"
)

func (a *agent) ownersOf(ctx context.Context, files []string, check bool) ([]Owner, error) {
	if a.owners == nil {
		a.owners = ReadOwners(a.root)
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
		got, err := sumOf(a.root, file)
		list[i].Edited = err != nil || got != want
	}
	return list, nil
}

// Of returns the package that brought a file, empty if none did, and the MD5 that
// the file has in it, empty if the package does not say.
func (o *Owners) Of(file string) (pkg, sum string) { return o.byPath[file], o.sums[file] }

// sumOf is the MD5 of a file, which is what dpkg has of its own. It tells an
// accident or an edit from the original; against who wants to deceive it says
// nothing, and what is compared between servers is SHA-256.
func sumOf(root *tree.Root, file string) (string, error) {
	f, err := root.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := md5.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
