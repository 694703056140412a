package facts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// Version is the version of the agent's protocol. Both sides must have the same.
const Version = 2

// A hello is the agent's first message.
type hello struct {
	Version int     `json:"version"`
	Live    bool    `json:"live"` // with the facts of a running kernel
	Summary Summary `json:"summary"`
	Facts   []Fact  `json:"facts"`
	// NoXattrs is set if extended attributes were not read.
	NoXattrs bool `json:"noXattrs,omitempty"`
}

// A request has one field set.
type request struct {
	List   []string `json:"list,omitempty"`   // directories
	Read   string   `json:"read,omitempty"`   // a text file
	Owners []string `json:"owners,omitempty"` // files
	// Packages are files, too. Their owners are returned without Edited, for which
	// each file would have to be read.
	Packages []string `json:"packages,omitempty"`
}

// A response answers one request.
type response struct {
	Listed [][]Node `json:"listed,omitempty"`
	Text   *Text    `json:"text,omitempty"`
	Owners []Owner  `json:"owners,omitempty"`
	Error  string   `json:"error,omitempty"`
}

// A Text is the content of a file, or the reason why it is hidden.
type Text struct {
	Content []byte `json:"content,omitempty"`
	Hidden  string `json:"hidden,omitempty"`
}

// An Owner is the package that contains a file.
type Owner struct {
	Package string `json:"package,omitempty"` // empty if there is none
	Edited  bool   `json:"edited,omitempty"`  // the file differs from the package's
}

// ServeOptions configures an agent. The zero value serves the root of a machine that
// is not running.
type ServeOptions struct {
	Scan ScanOptions
	Live bool // the root is that of the agent's own machine
}

// Serve runs the agent: it reads the files of a root, sends a summary, and answers the
// requests of a Peer until in ends. It only writes to out and to the cache, if there is
// one.
func Serve(ctx context.Context, root *rootfs.Root, opts ServeOptions, in io.Reader, out io.Writer) error {
	asking, stop := context.WithCancel(ctx)
	defer stop()
	facts := startFacts(asking, root, opts.Live)
	s, err := ScanRoot(ctx, root, opts.Scan)
	if err != nil {
		stop()
		facts()
		return fmt.Errorf("read the files: %w", err)
	}
	h := hello{Version: Version, Live: opts.Live, Summary: s.Summary()}
	var unknowns []Unknown
	h.Facts, unknowns = facts()
	h.Summary.Unknowns = append(h.Summary.Unknowns, unknowns...)
	return converse(ctx, h, &agent{scan: s, root: root, live: opts.Live}, in, out)
}

// A source answers the requests about a server.
type source interface {
	nodes(dir string) ([]Node, error)
	text(ctx context.Context, file string) (Text, error)
	// ownersOf finds the packages of files and, with check, whether the files differ
	// from the packages'.
	ownersOf(ctx context.Context, files []string, check bool) ([]Owner, error)
}

// converse speaks an agent's side of the protocol until in ends.
func converse(ctx context.Context, h hello, s source, in io.Reader, out io.Writer) error {
	if err := writeFrame(out, h); err != nil {
		return err
	}
	r := bufio.NewReader(in)
	for {
		var req request
		if err := readFrame(r, &req); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		resp, err := answer(ctx, s, req)
		if err != nil {
			// A failed request, such as for a file that is gone, must not end the
			// session.
			resp = response{Error: err.Error()}
		}
		if err := writeFrame(out, resp); err != nil {
			return err
		}
	}
}

type agent struct {
	scan   *Scan
	root   *rootfs.Root
	live   bool
	owners *Owners // read with the first request
}

func answer(ctx context.Context, s source, req request) (resp response, err error) {
	switch {
	case req.List != nil:
		for _, dir := range req.List {
			nodes, err := s.nodes(dir)
			if err != nil {
				return resp, err
			}
			resp.Listed = append(resp.Listed, nodes)
		}
	case req.Read != "":
		text, err := s.text(ctx, req.Read)
		return response{Text: &text}, err
	case req.Owners != nil:
		resp.Owners, err = s.ownersOf(ctx, req.Owners, true)
	case req.Packages != nil:
		resp.Owners, err = s.ownersOf(ctx, req.Packages, false)
	}
	return resp, err
}

func (a *agent) nodes(dir string) ([]Node, error) { return a.scan.List(dir) }

// maxShown bounds the size of a file whose text is compared, in bytes.
const maxShown = 256 << 10

// text returns a file's content if every user of the server may read it. The agent
// runs as root, and must not show files that are hidden from the server's users.
func (a *agent) text(_ context.Context, file string) (Text, error) {
	n, ok := a.scan.lookup(file)
	if !ok || n.Kind != tree.Regular.String() {
		return Text{}, fmt.Errorf("read %s: no such file was read", file)
	}
	if why := hiddenReason(n.Mode, n.Size); why != "" {
		return Text{Hidden: why}, nil
	}
	f, err := a.root.Open(file)
	if err != nil {
		return Text{}, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxShown))
	return Text{Content: content}, err
}

// hiddenReason returns why the content of a file is not shown, empty if it is.
func hiddenReason(mode uint32, size int64) string {
	switch {
	case mode&0o004 == 0:
		return "not everybody may read it"
	case size > maxShown:
		return fmt.Sprintf("it has %d bytes", size)
	}
	return ""
}
