package facts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/text"
)

// A Peer sends requests to the agent on one server. It may be used by one goroutine at
// a time.
type Peer struct {
	Name    string
	Live    bool // a running machine, not an image or a snapshot of one
	Summary Summary
	Facts   []Fact
	Note    string // how it was read, if not by an agent
	Was     string // the server of a snapshot: both have the same identity
	// NoXattrs is set if its extended attributes are not known. Then those of no
	// server are compared.
	NoXattrs bool

	w io.Writer
	r *bufio.Reader
}

// A PeerError is returned when a server was lost during a request, or its agent violates
// the protocol. Its peer cannot be used any more.
type PeerError struct {
	Name string
	Err  error
}

func (e *PeerError) Error() string { return e.Name + ": " + e.Err.Error() }
func (e *PeerError) Unwrap() error { return e.Err }

// ErrRefused is returned when an agent could not answer one request. It still
// answers others.
var ErrRefused = errors.New("the agent says")

// maxFacts bounds the facts of a server.
const maxFacts = 100_000

// Greet waits until the agent on a server has read it. An error is a *PeerError.
func Greet(name string, r io.Reader, w io.Writer) (*Peer, error) {
	p := &Peer{Name: name, w: w, r: bufio.NewReader(r)}
	var h hello
	if err := readFrame(p.r, &h); err != nil {
		return nil, &PeerError{name, orLost(err)}
	}
	if h.Version != Version {
		return nil, &PeerError{name, fmt.Errorf("the agent speaks version %d of the protocol, want %d", h.Version, Version)}
	}
	if n := len(h.Facts) + len(h.Summary.Unknowns) + len(h.Summary.Identities); n > maxFacts {
		return nil, p.ProtocolError("the hello has %d facts, more than %d", n, maxFacts)
	}
	p.Live, p.Summary, p.Facts, p.NoXattrs = h.Live, h.Summary, joinEqualKeys(h.Facts), h.NoXattrs
	return p, nil
}

// orLost replaces EOF by an error that names the cause: the agent ended. An error
// that wraps EOF has its cause already.
func orLost(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("the agent ended without an answer: %w", err)
	}
	return err
}

// maxRefusal bounds the text of a refusal in an error, in bytes.
const maxRefusal = 400

// ask sends a request and returns the response. An error is a *PeerError.
func (p *Peer) ask(req request) (response, error) {
	var resp response
	question, err := frame(req)
	if err == nil {
		_, _ = p.w.Write(question) // if this fails, the answer explains why
		err = readFrame(p.r, &resp)
	}
	if err == nil && resp.Error != "" {
		err = fmt.Errorf("%w: %s", ErrRefused, text.Excerpt(resp.Error, maxRefusal))
	}
	if err != nil {
		return resp, &PeerError{p.Name, orLost(err)}
	}
	return resp, nil
}

// ProtocolError returns the error for an answer that no honest agent gives: a
// *PeerError.
func (p *Peer) ProtocolError(format string, args ...any) error {
	return &PeerError{p.Name, fmt.Errorf("%w: %s", errFrame, fmt.Sprintf(format, args...))}
}

// DirsPerRequest is the largest number of directories that List takes, and
// filesPerRequest that of files in one request about owners: messages stay small
// compared with the bound on them.
const (
	DirsPerRequest  = 256
	filesPerRequest = 4096
)

// MaxDepth bounds the depth of directories: no path that a program can name is deeper
// (PATH_MAX).
const MaxDepth = 4096

// List returns the nodes of directories. It drops invalid names, because joined to a
// path they could lead out of the directory.
func (p *Peer) List(dirs []string) ([][]Node, error) {
	resp, err := p.ask(request{List: dirs})
	if err == nil && len(resp.Listed) != len(dirs) {
		err = p.ProtocolError("%d directories are listed, want %d", len(resp.Listed), len(dirs))
	}
	for i, nodes := range resp.Listed {
		resp.Listed[i] = slices.DeleteFunc(nodes, func(n Node) bool { return !isName(n.Name) })
	}
	return resp.Listed, err
}

// isName reports whether a directory can have an entry of this name.
func isName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

// Read returns the text of a file.
func (p *Peer) Read(file string) (Text, error) {
	resp, err := p.ask(request{Read: file})
	if err == nil && (resp.Text == nil || len(resp.Text.Content) > maxShown) {
		err = p.ProtocolError("no text of a file that is shown")
	}
	if err != nil {
		return Text{}, err
	}
	return *resp.Text, nil
}

// Owners returns the packages of files, and whether the files differ from the
// packages'.
func (p *Peer) Owners(ctx context.Context, files []string) ([]Owner, error) {
	return p.askOwners(ctx, files, func(part []string) request { return request{Owners: part} })
}

// packages returns the packages of files.
func (p *Peer) packages(ctx context.Context, files []string) ([]Owner, error) {
	return p.askOwners(ctx, files, func(part []string) request { return request{Packages: part} })
}

func (p *Peer) askOwners(ctx context.Context, files []string, req func([]string) request) ([]Owner, error) {
	var all []Owner
	for part := range slices.Chunk(files, filesPerRequest) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		resp, err := p.ask(req(part))
		if err == nil && len(resp.Owners) != len(part) {
			err = p.ProtocolError("%d owners, want %d", len(resp.Owners), len(part))
		}
		if err != nil {
			return nil, err
		}
		all = append(all, resp.Owners...)
	}
	return all, nil
}

// Packages returns the packages of the server by name, each with its versions and
// architectures.
func (p *Peer) Packages() map[string][]InstalledPackage {
	byName := map[string][]InstalledPackage{}
	for _, f := range p.Facts {
		if f.Section == Package {
			for _, pkg := range ParsePackages(f.Key, f.Value) {
				byName[pkg.Name] = append(byName[pkg.Name], pkg)
			}
		}
	}
	return byName
}
