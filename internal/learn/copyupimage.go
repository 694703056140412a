package learn

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/image"
)

//go:embed programs
var copyUpPrograms embed.FS

// ErrNoCopyUpProgram is returned by a program that was built without those of the
// copy-up image.
var ErrNoCopyUpProgram = errors.New("this adamant was built without the programs of the copy-up image")

// CopyUpImage is the result of building the copy-up image: the document of
// `copy-up-image -o json`.
type CopyUpImage struct {
	document.Header
	Reference     string   `json:"reference"`         // with the digest, as seal --copy-up-image takes it
	Digest        string   `json:"digest"`            // of the index
	Archive       string   `json:"archive,omitempty"` // file that it was written to
	Architectures []string `json:"architectures"`
}

// WriteText implements report.Text.
func (c CopyUpImage) WriteText(w io.Writer, _ bool) error {
	_, err := fmt.Fprintln(w, c.Reference)
	return err
}

// copyUpUser is the user of the image. It is not root, so that a pod with
// runAsNonRoot can use the image.
const copyUpUser = "65532:65532"

// WriteCopyUpImage builds the copy-up image for all architectures, with a name, and
// writes it to an archive, or pushes it to the registry of its name if archive is
// empty. The same build of Adamant gives the same digest.
func WriteCopyUpImage(ctx context.Context, name, archive string) (CopyUpImage, error) {
	return writeCopyUpImage(ctx, copyUpPrograms, name, archive)
}

func writeCopyUpImage(ctx context.Context, programs fs.FS, name, archive string) (CopyUpImage, error) {
	names, err := fs.Glob(programs, "programs/*.gz")
	if err != nil {
		return CopyUpImage{}, err
	}
	if len(names) == 0 {
		return CopyUpImage{}, ErrNoCopyUpProgram
	}
	out := CopyUpImage{Header: document.NewHeader(document.CopyUpImage), Archive: archive}
	files := map[string][]image.File{}
	for _, n := range names {
		program, err := unzip(programs, n)
		if err != nil {
			return CopyUpImage{}, fmt.Errorf("read %s: %w", n, err)
		}
		arch := strings.TrimSuffix(path.Base(n), ".gz")
		out.Architectures = append(out.Architectures, arch)
		files[arch] = []image.File{{Entry: tree.Entry{Path: "/adamant", Kind: tree.Regular, Mode: 0o755}, Content: program}}
	}
	index, err := image.NewIndex(image.Config{Entrypoint: []string{"/adamant"}, User: copyUpUser}, files)
	if err != nil {
		return CopyUpImage{}, err
	}
	if out.Digest, err = index.Digest(); err != nil {
		return CopyUpImage{}, err
	}
	if out.Reference, err = index.Reference(name); err != nil {
		return CopyUpImage{}, err
	}
	if archive != "" {
		return out, index.WriteArchive(ctx, archive, name)
	}
	return out, index.Push(ctx, name)
}

func unzip(files fs.FS, name string) ([]byte, error) {
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
