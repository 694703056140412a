package capture

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// readFiles reads all files that may come into a layer, in parallel.
func (s *survey) readFiles(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, it := range s.items {
		if it.Kind != tree.Regular {
			continue
		}
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			it.unread = s.readItem(ctx, it)
			return ctx.Err()
		})
	}
	return g.Wait()
}

// attempts bounds how often a file is read that changes while it is read.
const attempts = 3

// readItem sets the digests of a file. If the file changes while it is read, it is read
// again.
func (s *survey) readItem(ctx context.Context, it *item) (err error) {
	for range attempts {
		if err = s.readOnce(ctx, it); !errors.Is(err, tree.ErrChanged) {
			return err
		}
		now, err := s.root.Lstat(it.Path)
		if err != nil {
			return err
		}
		if now.Kind != tree.Regular {
			return fmt.Errorf("the file is now a %s: %w", now.Kind, tree.ErrChanged)
		}
		now.Link = it.Link // Lstat of one file cannot know it
		it.Entry = now
	}
	return err
}

func (s *survey) readOnce(ctx context.Context, it *item) error {
	f, err := s.root.Open(it.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return err
	}
	var head prefix
	// The package database decides about the first digest, often MD5. It is only used
	// to find edits; the plan identifies content by SHA-256.
	weak, strong := facts.NewSum(it.sum), sha256.New()
	n, err := io.Copy(io.MultiWriter(weak, strong, &head), rootfs.ContextReader(ctx, io.LimitReader(f, it.Size+1)))
	if err != nil {
		return err
	}
	after, err := f.Stat()
	if err != nil {
		return err
	}
	if n != it.Size || before.Size() != it.Size || !before.ModTime().Equal(it.ModTime) || !after.ModTime().Equal(before.ModTime()) {
		return tree.ErrChanged
	}
	it.own, it.Digest = hex.EncodeToString(weak.Sum(nil)), "sha256:"+hex.EncodeToString(strong.Sum(nil))
	// An unchanged file of a package is public, even if it looks like a key.
	if it.secret = s.secretFiles[it.Path]; it.secret == "" && (it.sum == "" || it.sum != it.own) && !isGenerated(it.Entry, s.hasPeople) {
		it.secret = secretIn(it.Entry, head.content)
	}
	return nil
}

// A prefix is a writer that keeps the first maxHead bytes.
type prefix struct{ content []byte }

// maxHead is the size of the part of a file that is searched for secrets, in bytes.
const maxHead = 64 << 10

func (p *prefix) Write(b []byte) (int, error) {
	p.content = append(p.content, b[:min(len(b), maxHead-len(p.content))]...)
	return len(b), nil
}

// hasPeople reports whether the text of passwd(5) has users that no package
// created. They have a UID of 1000 or more, except for nobody.
func hasPeople(passwd string) bool {
	for line := range strings.Lines(passwd) {
		f := strings.Split(line, ":")
		if len(f) > 2 && len(f[2]) >= 4 && f[2] != "65534" && f[0] != "nobody" {
			return true
		}
	}
	return false
}

// hasPassword reports whether the text of shadow(5) or gshadow(5) has a password
// hash. All formats of crypt(5) but the oldest have a dollar sign.
func hasPassword(shadow []byte) bool {
	for line := range bytes.Lines(shadow) {
		f := bytes.Split(line, []byte(":"))
		if len(f) > 1 && bytes.Contains(f[1], []byte("$")) {
			return true
		}
	}
	return false
}
