package facts

import (
	"context"
	"fmt"
	"path"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/scan"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// A Scan holds the files of a server at one time, with a digest of everything below
// each directory.
type Scan struct {
	files   *scan.Result
	names   names
	summary Summary
}

// A Summary is the result of a scan without the content of directories.
type Summary struct {
	Digest     string           `json:"digest"`  // of everything that is compared
	Entries    int              `json:"entries"` // that are compared
	Expected   map[Expected]int `json:"expected,omitempty"`
	Identities []FileDigest     `json:"identities,omitempty"`
	Unknowns   []Unknown        `json:"unknowns,omitempty"`
	Note       string           `json:"note,omitempty"` // why the cache was not used or not written
}

// A FileDigest identifies the content of a file.
type FileDigest struct {
	Path   string `json:"path"`
	Digest string `json:"digest"`
}

// An Unknown is a path that could not be read, and why.
type Unknown struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
	// Section is the section whose facts are not known because of it; empty if only
	// the file is not known.
	Section Section `json:"section,omitempty"`
}

// ScanOptions configures how files are read. The zero value reads all of them.
type ScanOptions struct {
	// Cache is a file with the results, so that the next scan reads only changed
	// files. It should be in a directory that is not compared.
	Cache string
	// Full reads all files again, and ignores the cache.
	Full bool
	// Own is for comparing a server with its own past. Files that differ from other
	// servers by design count like any other file. It needs a cache of its own.
	Own bool
}

// ScanRoot reads all files of a root. Files that are expected to differ are only
// counted, and those that identify a server are only digested. Other file systems
// that are mounted below the root are left out; the mounts are facts.
func ScanRoot(ctx context.Context, root *rootfs.Root, opts ScanOptions) (*Scan, error) {
	s := &Scan{names: readNames(rootFiles{root})}
	var err error
	s.files, err = scan.Read(ctx, root, scan.Options{Policy: s.policy(opts.Own), Cache: opts.Cache, Full: opts.Full})
	if err != nil {
		return nil, err
	}
	s.summary = Summary{
		Digest: s.files.Digest(), Entries: s.files.Counts[scan.Compared], Expected: map[Expected]int{},
		Unknowns: relevant(s.files.Unknowns, opts.Own), Note: s.files.Note,
	}
	for i, class := range classes {
		if n := s.files.Counts[classNumber(i)]; n > 0 {
			s.summary.Expected[class] = n
		}
	}
	for _, f := range s.files.Named {
		// An empty machine-id is that of an image that has not booted yet. Several
		// servers may have it.
		if f.Size > 0 {
			s.summary.Identities = append(s.summary.Identities, FileDigest{f.Path, f.Digest})
		}
	}
	return s, nil
}

// policy returns which files of a server are compared, and how.
func (s *Scan) policy(own bool) scan.Policy {
	in := treatmentIn
	if own {
		in = ownIn
	}
	return scan.Policy{
		// Everything that the digests depend on, so that a cache of another policy is
		// not used: names are part of digests, too.
		Version: fmt.Sprintf("%d %t %q %q %q %q %v", digestVersion, own, crontabs, expected, skipped, classes, s.names),
		In:      in,
		AppendText: func(b []byte, e scan.Entry) []byte {
			return nodeOf(e, s.names).appendLine(b)
		},
	}
}

// relevant returns the unknowns of files that are compared.
func relevant(all []tree.Unknown, own bool) []Unknown {
	var list []Unknown
	for _, u := range all {
		class, isExpected := ExpectedAt(u.Path)
		if !isExpected || own && (isOwnClass(classOf(class)) || isCrontab(u.Path)) {
			list = append(list, Unknown{Path: u.Path, Reason: u.Err.Error()})
		}
	}
	return list
}

// Summary returns the result without the content of directories.
func (s *Scan) Summary() Summary { return s.summary }

// List returns the nodes in a directory, in the order of the names.
func (s *Scan) List(dir string) ([]Node, error) {
	entries, ok := s.files.List(dir)
	if !ok {
		return nil, fmt.Errorf("list %s: no such directory was read", dir)
	}
	var nodes []Node
	for e := range entries {
		if e.Class == scan.Compared {
			nodes = append(nodes, nodeOf(e, s.names))
		}
	}
	return nodes, nil
}

// lookup returns the node at a path, if it is compared.
func (s *Scan) lookup(file string) (Node, bool) {
	e, ok := s.files.Lookup(file)
	return nodeOf(e, s.names), ok && e.Class == scan.Compared
}

// At identifies the node at a path, as a FileChange does. It is empty if there is
// none, or if it is not compared.
func (s *Scan) At(file string) string {
	if n, ok := s.lookup(file); ok {
		return n.Identity()
	}
	return ""
}

// Below returns a path and those below it, if they are compared. A directory
// comes before its content.
func (s *Scan) Below(file string) []string {
	n, ok := s.lookup(file)
	if !ok {
		return nil
	}
	list := []string{file}
	if n.IsDir() {
		nodes, _ := s.List(file) // a directory of the scan can be listed
		for _, n := range nodes {
			list = append(list, s.Below(path.Join(file, n.Name))...)
		}
	}
	return list
}
