package reference

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// maxFact bounds one file that facts are read from, and maxFacts all of them, in
// bytes.
const (
	maxFact  = 16 << 20
	maxFacts = 256 << 20
)

// readImage reads the tree of an image and the files that facts are read from, which
// every comparison needs. Other files are read on demand.
func readImage(ctx context.Context, img image.Image) (*facts.Offline, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	root, findings, err := image.OpenRootfs(ctx, img, image.FlattenOptions{})
	if err != nil {
		return nil, err
	}
	s := &facts.Offline{Arch: config.Architecture, Files: root.Tree(), Contents: rootfs{root}}
	// A finding is an entry that no extraction could create safely. It is unknown,
	// not absent, so that the comparison is not complete.
	for _, f := range findings {
		s.Unknowns = append(s.Unknowns, facts.Unknown{Path: f.Path, Reason: f.String()})
	}
	var wanted []string
	total := int64(0)
	for e := range s.Files.All() {
		if e.Kind != tree.Regular || !facts.IsFactFile(e.Path) {
			continue
		}
		if total += e.Size; e.Size > maxFact || total > maxFacts {
			s.Unknowns = append(s.Unknowns, facts.Unknown{Path: e.Path, Reason: fmt.Sprintf("facts are not read from a file of %d bytes", e.Size)})
			total -= e.Size // a file that is skipped must not use up the bound
			continue
		}
		wanted = append(wanted, e.Path)
	}
	s.Texts, err = root.Read(ctx, wanted...)
	return s, err
}

// A rootfs reads files in an image. It implements facts.Contents.
type rootfs struct{ root *image.Rootfs }

func (r rootfs) Text(ctx context.Context, file string, limit int64) (text []byte, err error) {
	found := false
	err = r.root.Each(ctx, []string{file}, func(_ []string, content io.Reader) (err error) {
		found = true
		text, err = io.ReadAll(io.LimitReader(content, limit))
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("read %s: %w", file, fs.ErrNotExist)
	}
	return text, err
}

func (r rootfs) Sums(ctx context.Context, files []string) (map[string]string, error) {
	var mu sync.Mutex
	sums := map[string]string{}
	err := r.root.Each(ctx, files, func(paths []string, content io.Reader) error {
		h := md5.New()
		if _, err := io.Copy(h, content); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, p := range paths {
			sums[p] = hex.EncodeToString(h.Sum(nil))
		}
		return nil
	})
	return sums, err
}
