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

// A Reference is the expected state of servers. Its Peer answers as a server in that
// state would.
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

// ErrNotFound is returned when a name is neither that of a snapshot nor that of an
// image.
var ErrNotFound = errors.New("no snapshot of a server and no image")

// Open opens the file of a snapshot, an OCI layout, an OCI archive, or an archive of
// "docker save". If no such file exists, it opens the image in its registry. ctx must
// last as long as the reference.
func Open(ctx context.Context, name string) (*Reference, error) {
	b, err := openSnapshot(ctx, name)
	if err == nil {
		return b, nil
	}
	if !errors.Is(err, facts.ErrNoSnapshot) && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	// A single word is more likely a mistyped server than an image of Docker Hub.
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
	b.close = append([]func(){end}, b.close...) // the peer ends first, because it reads the image
	return b, nil
}
