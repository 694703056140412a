package reference

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// A Reference answers in the place of a server that is in the expected state.
type Reference struct {
	Peer *facts.Peer

	close []func()
}

// Close ends the peer and releases the file or the image.
func (b *Reference) Close() {
	for _, end := range b.close {
		end()
	}
}

// ErrNotFound is returned when a name is neither that of a snapshot nor of an
// image.
var ErrNotFound = errors.New("no snapshot of a server and no image")

// Open opens the file of a snapshot; an OCI layout, an archive of one or one that
// "docker save" wrote; or, if there is no such file, the image of a reference in
// its registry. A single word is no reference: it may be a server that somebody
// mistyped. ctx must last as long as the reference.
func Open(ctx context.Context, name string) (*Reference, error) {
	b, err := openSnapshot(ctx, name)
	if err == nil {
		return b, nil
	}
	if !errors.Is(err, facts.ErrNoSnapshot) && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(name, "/:@") {
		return nil, fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	b, imageErr := openImage(ctx, name)
	if imageErr != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, imageErr)
	}
	return b, nil
}

func openSnapshot(ctx context.Context, name string) (*Reference, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, facts.ErrNoSnapshot
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := facts.ReadSnapshot(f)
	if err != nil {
		return nil, err
	}
	peer, end, err := s.Peer(ctx, name)
	if err != nil {
		return nil, err
	}
	return &Reference{peer, []func(){end}}, nil
}

func openImage(ctx context.Context, name string) (_ *Reference, err error) {
	set, err := image.Open(ctx, name, image.OpenOptions{})
	if err != nil {
		return nil, err
	}
	b := &Reference{close: []func(){func() { set.Close() }}}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	img, err := set.Find("")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	server, err := readImage(ctx, img)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	peer, end, err := server.Peer(ctx, name)
	if err != nil {
		return nil, err
	}
	b.Peer = peer
	b.close = append([]func(){end}, b.close...)
	return b, nil
}
