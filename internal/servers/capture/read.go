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

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// readFiles reads the content of all files that come into a layer, on all processors.
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

// attempts is how often a file is read that changes meanwhile.
const attempts = 3

// readItem fills in the digests of a file. One that changes while it is read is
// read again.
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
			return fmt.Errorf("is a %s now: %w", now.Kind, tree.ErrChanged)
		}
		now.Link = it.Link
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
	weak, strong := facts.NewSum(it.sum), sha256.New()
	n, err := io.Copy(io.MultiWriter(weak, strong, &head), contextReader{ctx, io.LimitReader(f, it.Size+1)})
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
	if it.secret = s.secretFiles[it.Path]; it.secret == "" && (it.sum == "" || it.sum != it.own) && !isGenerated(it.Entry, s.hasPeople) {
		it.secret = secretIn(it.Entry, head.content)
	}
	return nil
}

// prefix keeps the beginning of what is written to it.
type prefix struct{ content []byte }

// maxHead is how much of a file is searched for secrets, in bytes.
const maxHead = 64 << 10

func (p *prefix) Write(b []byte) (int, error) {
	p.content = append(p.content, b[:min(len(b), maxHead-len(p.content))]...)
	return len(b), nil
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// hasPeople reports whether a passwd has users that no package made: those have
// numbers from 1000 on, but for nobody.
func hasPeople(passwd string) bool {
	for line := range strings.Lines(passwd) {
		f := strings.Split(line, ":")
		if len(f) > 2 && len(f[2]) >= 4 && f[2] != "65534" && f[0] != "nobody" {
			return true
		}
	}
	return false
}

// hasPassword reports whether a shadow(5) or gshadow(5) has one.
func hasPassword(shadow []byte) bool {
	for line := range bytes.Lines(shadow) {
		f := bytes.Split(line, []byte(":"))
		if len(f) > 1 && bytes.Contains(f[1], []byte("$")) {
			return true
		}
	}
	return false
}
