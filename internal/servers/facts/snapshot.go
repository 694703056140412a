package facts

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"time"
)

// snapshotKind is the kind of a snapshot's document.
const snapshotKind = "ServerSnapshot"

// A Snapshot holds everything that is compared of a server, at one time: its facts, and
// the digests and metadata of its files. It does not hold content.
type Snapshot struct {
	Kind     string            `json:"kind"`
	Version  int               `json:"version"` // of the agent's protocol
	Name     string            `json:"name"`
	Taken    time.Time         `json:"taken"`
	Live     bool              `json:"live"`
	Summary  Summary           `json:"summary"`
	Facts    []Fact            `json:"facts"`
	NoXattrs bool              `json:"noXattrs,omitempty"` // see Peer.NoXattrs
	Dirs     map[string][]Node `json:"dirs"`               // the entries of each directory
	Owners   map[string]Owner  `json:"owners"`             // of files that are in a package
}

// TakeSnapshot requests everything of a server.
func TakeSnapshot(ctx context.Context, p *Peer) (*Snapshot, error) {
	s := &Snapshot{
		Kind: snapshotKind, Version: Version, Name: p.Name, Taken: time.Now(), Live: p.Live, Summary: p.Summary, Facts: p.Facts, NoXattrs: p.NoXattrs,
		Dirs: map[string][]Node{}, Owners: map[string]Owner{},
	}
	level := []string{"/"}
	for depth := 0; len(level) > 0; depth++ {
		if depth > MaxDepth {
			return nil, p.ProtocolError("directories are nested too deep")
		}
		var next []string
		for part := range slices.Chunk(level, DirsPerRequest) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			below, err := s.add(ctx, p, part)
			if err != nil {
				return nil, err
			}
			next = append(next, below...)
		}
		level = next
	}
	return s, nil
}

// add asks for directories and for the packages of their files, and returns the
// directories below.
func (s *Snapshot) add(ctx context.Context, p *Peer, dirs []string) (below []string, err error) {
	listed, err := p.List(dirs)
	if err != nil {
		return nil, err
	}
	var files []string
	for i, dir := range dirs {
		s.Dirs[dir] = listed[i]
		for _, n := range listed[i] {
			files = append(files, path.Join(dir, n.Name))
			if n.IsDir() {
				below = append(below, path.Join(dir, n.Name))
			}
		}
	}
	owners, err := p.packages(ctx, files)
	if err != nil {
		return nil, err
	}
	for i, o := range owners {
		if o.Package != "" {
			s.Owners[files[i]] = o
		}
	}
	return below, nil
}

// Write writes a snapshot, compressed.
func (s *Snapshot) Write(w io.Writer) error {
	z := gzip.NewWriter(w)
	return errors.Join(json.NewEncoder(z).Encode(s), z.Close())
}

// maxSnapshot bounds a snapshot when it is unpacked, in bytes.
const maxSnapshot = 4 << 30

// ErrNoSnapshot is returned when a file is not a snapshot.
var ErrNoSnapshot = errors.New("this is no snapshot of a server")

// ReadSnapshot reads the output of Write.
func ReadSnapshot(r io.Reader) (*Snapshot, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSnapshot, err)
	}
	s := &Snapshot{}
	if err := json.NewDecoder(io.LimitReader(z, maxSnapshot)).Decode(s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSnapshot, err)
	}
	switch {
	case s.Kind != snapshotKind:
		return nil, ErrNoSnapshot
	case s.Version != Version:
		return nil, fmt.Errorf("the snapshot is of version %d, want %d: take it again", s.Version, Version)
	}
	return s, nil
}

// Peer returns a peer that answers as the server did when the snapshot was taken. The
// returned function ends it.
func (s *Snapshot) Peer(ctx context.Context, name string) (*Peer, func(), error) {
	h := hello{Version: Version, Live: s.Live, NoXattrs: s.NoXattrs, Summary: s.Summary, Facts: s.Facts}
	p, end, err := peerOf(ctx, name, h, s)
	if err == nil {
		p.Was = s.Name
	}
	return p, end, err
}

// peerOf returns a peer whose agent runs in this process. It uses the protocol of other
// agents, so that all peers behave alike. The returned function ends it.
func peerOf(ctx context.Context, name string, h hello, s source) (*Peer, func(), error) {
	asked, ask := io.Pipe()
	answered, answer := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		answer.CloseWithError(converse(ctx, h, s, asked, answer))
	}()
	end := func() {
		ask.Close()
		answered.Close()
		<-done
	}
	p, err := Greet(name, answered, ask)
	if err != nil {
		end()
		return nil, nil, err
	}
	return p, end, nil
}

func (s *Snapshot) nodes(dir string) ([]Node, error) {
	nodes, ok := s.Dirs[dir]
	if !ok {
		return nil, fmt.Errorf("list %s: it is not in the snapshot", dir)
	}
	return nodes, nil
}

func (s *Snapshot) text(context.Context, string) (Text, error) {
	return Text{Hidden: "a snapshot holds no content"}, nil
}

func (s *Snapshot) ownersOf(_ context.Context, files []string, _ bool) ([]Owner, error) {
	var list []Owner
	for _, file := range files {
		list = append(list, s.Owners[file])
	}
	return list, nil
}
