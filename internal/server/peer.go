package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/adamant-sh/adamant/internal/drift"
)

// A Peer asks the agent on one server. It is used by one goroutine at a time.
type Peer struct {
	Name    string
	Live    bool // a running machine, and no image or snapshot
	Summary Summary
	Facts   []Fact
	Note    string // how it was read, if otherwise than by an agent
	Was     string // of a snapshot, the server that it is of: they share an identity
	// NoXattrs says that its extended attributes are not known: they are compared
	// with nobody's.
	NoXattrs bool

	w io.Writer
	r *bufio.Reader
}

// Greet waits until the agent on a server has read it.
func Greet(name string, r io.Reader, w io.Writer) (*Peer, error) {
	p := &Peer{Name: name, w: w, r: bufio.NewReader(r)}
	var h hello
	if err := readFrame(p.r, &h); err != nil {
		return nil, fmt.Errorf("%s: %w", name, orLost(err))
	}
	if h.Version != Version {
		return nil, fmt.Errorf("%s: the agent speaks version %d of the protocol, want %d", name, h.Version, Version)
	}
	p.Live, p.Summary, p.Facts, p.NoXattrs = h.Live, h.Summary, h.Facts, h.NoXattrs
	return p, nil
}

// orLost says in words that an answer did not come.
func orLost(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the agent ended without an answer: %w", err)
	}
	return err
}

func (p *Peer) ask(req request) (response, error) {
	var resp response
	err := writeFrame(p.w, req)
	if err == nil {
		err = readFrame(p.r, &resp)
	}
	if err == nil && resp.Error != "" {
		err = errors.New(drift.Visible(resp.Error))
	}
	if err != nil {
		return resp, fmt.Errorf("%s: %w", p.Name, orLost(err))
	}
	return resp, nil
}

// list returns what is in directories.
func (p *Peer) list(dirs []string) ([][]Node, error) {
	resp, err := p.ask(request{List: dirs})
	if err == nil && len(resp.Listed) != len(dirs) {
		err = fmt.Errorf("%s: %w: %d directories are listed, want %d", p.Name, errFrame, len(resp.Listed), len(dirs))
	}
	return resp.Listed, err
}

// read returns the text of a file.
func (p *Peer) read(file string) (Text, error) {
	resp, err := p.ask(request{Read: file})
	if err == nil && resp.Text == nil {
		err = fmt.Errorf("%s: %w: no text", p.Name, errFrame)
	}
	if err != nil {
		return Text{}, err
	}
	return *resp.Text, nil
}

// owners returns the packages of files, and whether those are as they have them.
func (p *Peer) owners(files []string) ([]Owner, error) {
	return p.askOwners(files, request{Owners: files})
}

// packages returns the packages of files.
func (p *Peer) packages(files []string) ([]Owner, error) {
	return p.askOwners(files, request{Packages: files})
}

func (p *Peer) askOwners(files []string, req request) ([]Owner, error) {
	resp, err := p.ask(req)
	if err == nil && len(resp.Owners) != len(files) {
		err = fmt.Errorf("%s: %w: %d owners, want %d", p.Name, errFrame, len(resp.Owners), len(files))
	}
	return resp.Owners, err
}

// Packages are the versions of what is installed.
func (p *Peer) Packages() map[string]string {
	versions := map[string]string{}
	for _, f := range p.Facts {
		if f.Section == Package {
			name, _, _ := strings.Cut(f.Key, ":")
			versions[name] = f.Value
		}
	}
	return versions
}
