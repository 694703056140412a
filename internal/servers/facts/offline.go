package facts

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/scan"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// An Offline holds the data of a server on which no agent runs: an image, or a server
// that was read with plain commands.
type Offline struct {
	Arch  string    // as GOARCH
	Files tree.Tree // with digests of the files for which IsCompared is true
	// Runtime has the entries below /run from which facts are read, if /run is another
	// file system than Files.
	Runtime  tree.Tree
	Texts    Texts
	Kernel   *Kernel // nil if the server is not running
	Unknowns []Unknown
	NoXattrs bool // extended attributes were not read
	Contents Contents
	// Run runs a program on the server, and calls read with its output. It is nil if
	// no program can be run. Booted is set if systemd runs there.
	Run    func(ctx context.Context, argv []string, read func(io.Reader) error) error
	Booted bool
}

// Texts holds the content of the files for which IsFactFile is true, by path. Paths
// have no symbolic links.
type Texts map[string][]byte

// Contents reads files on demand. Paths have no symbolic links.
type Contents interface {
	// Text returns the content of a file, at most limit bytes of it.
	Text(ctx context.Context, file string, limit int64) ([]byte, error)
	// Sums returns the MD5 of files in hexadecimal. Files that cannot be read are
	// missing.
	Sums(ctx context.Context, files []string) (map[string]string, error)
}

// factFiles are the files from which facts and owners are read: patterns of
// path.Match or, with a slash at the end, directories with everything below them.
var factFiles = []string{
	"/etc/", "/usr/lib/os-release", "/usr/lib/systemd/system/", "/lib/systemd/system/", "/var/spool/cron/",
	"/var/lib/dpkg/status", "/var/lib/dpkg/status.d/", "/var/lib/dpkg/info/*.list", "/var/lib/dpkg/diversions", "/var/lib/dpkg/statoverride",
	"/var/lib/dpkg/alternatives/", "/var/lib/alternatives/", "/var/lib/dpkg/info/*.md5sums",
	"/lib/apk/db/installed", "/usr/lib/apk/db/installed", "/var/lib/ucf/",
	"/usr/local/lib/systemd/system/", "/usr/share/crypto-policies/",
	"/usr/lib/sysctl.d/", "/usr/local/lib/sysctl.d/", "/lib/sysctl.d/",
}

// IsFactFile reports whether facts are read from the file at a path. Files that
// identify a server and private keys are excluded, because their content must not
// leave the server.
func IsFactFile(p string) bool {
	if class, is := ExpectedAt(p); is && (class == Identity || class == Key) {
		return false
	}
	if slices.Contains(RuntimeDirs(), path.Dir(p)) || strings.HasPrefix(p, "/run/systemd/system") {
		return true
	}
	return slices.ContainsFunc(factFiles, func(pattern string) bool {
		if strings.HasSuffix(pattern, "/") {
			return strings.HasPrefix(p, pattern)
		}
		return matches(pattern, p)
	})
}

// IsCompared reports whether an Offline needs the digest of the file at a path,
// because its content must be equal on all servers or, for an Identity, on none.
func IsCompared(p string) bool {
	class, isExpected := ExpectedAt(p)
	return !isSkipped(p) && (!isExpected || class == Identity)
}

// UnreadDirs returns the directories below which the content of files is not compared.
func UnreadDirs() []string {
	var dirs []string
	for _, e := range expected {
		if dir, isDir := strings.CutSuffix(e.pattern, "/"); isDir && !strings.Contains(dir, "*") && e.class != Identity {
			dirs = append(dirs, dir)
		}
	}
	return append(dirs, skipped...)
}

// isSkipped reports whether a path is in a directory without files of the server's
// own.
func isSkipped(p string) bool {
	return slices.ContainsFunc(skipped, func(dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") })
}

// Peer returns a peer that answers as an agent would. The returned function ends it.
func (s *Offline) Peer(ctx context.Context, name string) (*Peer, func(), error) {
	a := &offlineAgent{ctx: ctx, server: s, dirs: map[string][]Node{}}
	a.names = readNames(a)
	sum := Summary{Expected: map[Expected]int{}, Entries: 1, Unknowns: s.Unknowns}
	sum.Digest = a.add("/", &sum)
	h := hello{Version: Version, Live: s.Kernel != nil, NoXattrs: s.NoXattrs, Summary: sum}
	var unknowns []Unknown
	h.Facts, unknowns = facts(ctx, a, machine{s.Arch, s.Kernel, s.Run, s.Booted})
	h.Summary.Unknowns = append(h.Summary.Unknowns, unknowns...)
	return peerOf(ctx, name, h, a)
}

type offlineAgent struct {
	ctx    context.Context // of the peer
	server *Offline
	names  names
	dirs   map[string][]Node // compared entries
	owners *Owners           // read with the first request
}

// emptyDigest is the digest of an empty file, which need not be read.
var emptyDigest = scan.Digest(sha256.Sum256(nil)).String()

// rpmHead is the size of the part of an rpm database that isBlankTable needs, in bytes.
const rpmHead = 128 << 10

// add adds the nodes of a directory and of everything below it, counts them, and
// returns the digest of the directory. It must be the digest of a scan, so that an
// Offline compares equal to an agent.
func (a *offlineAgent) add(dir string, sum *Summary) string {
	treat := treatmentIn(dir)
	var nodes []Node
	for e := range a.server.Files.Children(dir) {
		t := treat(path.Base(e.Path))
		if t.Skip {
			continue
		}
		if e.Kind == tree.Regular && e.Size == 0 {
			e.Digest = emptyDigest
		}
		below := ""
		if e.Kind == tree.Directory {
			below = a.add(e.Path, sum)
		}
		if t.Class != scan.Compared {
			class := classes[int(t.Class)-1]
			sum.Expected[class]++
			if t.Content && e.Digest != "" && e.Size > 0 {
				sum.Identities = append(sum.Identities, FileDigest{e.Path, e.Digest})
			}
			continue
		}
		sum.Entries++
		if e.Kind == tree.Regular && e.Digest == "" {
			sum.Unknowns = append(sum.Unknowns, Unknown{Path: e.Path, Reason: "its content was not read"})
		}
		nodes = append(nodes, nodeOf(scan.Entry{
			Name: path.Base(e.Path), Kind: e.Kind, Mode: e.Mode, UID: e.UID, GID: e.GID, Size: e.Size,
			Digest: cmp.Or(below, e.Digest), Target: e.Target, Major: e.Major, Minor: e.Minor, Xattrs: e.Xattrs,
		}, a.names))
	}
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	a.dirs[dir] = nodes
	var text []byte
	for _, n := range nodes {
		text = n.appendLine(text)
	}
	return scan.Digest(sha256.Sum256(text)).String()
}

// open returns one of the Texts, or the beginning of an rpm database.
func (a *offlineAgent) open(file string) (io.ReadCloser, error) {
	at, _, err := a.treeOf(file).Resolve(file)
	if err != nil {
		return nil, err
	}
	text, ok := a.server.Texts[at]
	// A database is binary and large, so it is not among the Texts.
	if dir := path.Dir(at); !ok && (dir == "/var/lib/rpm" || dir == "/usr/lib/sysimage/rpm") {
		text, err = a.server.Contents.Text(a.ctx, at, rpmHead)
		ok = err == nil
	}
	if !ok {
		return nil, fmt.Errorf("open %s: %w", file, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(text)), nil
}

func (a *offlineAgent) list(dir string) ([]tree.Entry, error) {
	at, exists, err := a.treeOf(dir).Resolve(dir)
	if err != nil {
		return nil, err
	}
	if !exists {
		return nil, fmt.Errorf("list %s: %w", dir, fs.ErrNotExist)
	}
	var list []tree.Entry
	for e := range a.treeOf(dir).Children(at) {
		e.Path = path.Join(dir, path.Base(e.Path))
		list = append(list, e)
	}
	return list, nil
}

func (a *offlineAgent) namesIn(dir string) []string {
	entries, _ := a.list(dir) // a missing directory has no names
	var names []string
	for _, e := range entries {
		names = append(names, path.Base(e.Path))
	}
	return names
}

func (a *offlineAgent) stat(file string) (tree.Entry, bool) {
	at, exists, err := a.treeOf(file).Resolve(file)
	if err != nil || !exists {
		return tree.Entry{}, false
	}
	return a.treeOf(file).Lookup(at)
}

// treeOf returns the tree that contains a path.
func (a *offlineAgent) treeOf(file string) tree.Tree {
	if strings.HasPrefix(file, "/run/") && a.server.Runtime.Len() > 0 {
		return a.server.Runtime
	}
	return a.server.Files
}

func (a *offlineAgent) nodes(dir string) ([]Node, error) {
	nodes, ok := a.dirs[dir]
	if !ok {
		return nil, fmt.Errorf("list %s: no such directory was read", dir)
	}
	return nodes, nil
}

func (a *offlineAgent) text(ctx context.Context, file string) (Text, error) {
	e, ok := a.server.Files.Lookup(file)
	if !ok || e.Kind != tree.Regular {
		return Text{}, fmt.Errorf("read %s: no such file was read", file)
	}
	if why := hiddenReason(e.Mode, e.Size); why != "" {
		return Text{Hidden: why}, nil
	}
	if text, ok := a.server.Texts[file]; ok {
		return Text{Content: text}, nil
	}
	text, err := a.server.Contents.Text(ctx, file, maxShown)
	if errors.Is(err, fs.ErrNotExist) {
		return Text{Hidden: "it is gone"}, nil
	}
	return Text{Content: text}, err
}

func (a *offlineAgent) ownersOf(ctx context.Context, files []string, check bool) ([]Owner, error) {
	if a.owners == nil {
		a.owners, _ = readOwners(ctx, a, a.server.Run) // see agent.ownersOf
	}
	list := make([]Owner, len(files))
	known := map[string]string{} // path -> MD5 in its package
	for i, file := range files {
		list[i].Package = a.owners.byPath[file]
		sum := a.owners.sums[file]
		e, ok := a.server.Files.Lookup(file)
		switch {
		case !ok || !check || e.Kind != tree.Regular:
		case len(sum) == hex.EncodedLen(sha256.Size) && e.Digest != "":
			list[i].Edited = e.Digest != "sha256:"+sum
		case len(sum) == hex.EncodedLen(md5.Size):
			known[file] = sum // Contents has no other kind of digest
		}
	}
	if len(known) == 0 {
		return list, nil
	}
	sums, err := a.server.Contents.Sums(ctx, slices.Sorted(maps.Keys(known)))
	if err != nil {
		return nil, err
	}
	for i, file := range files {
		if want := known[file]; want != "" {
			list[i].Edited = sums[file] != want
		}
	}
	return list, nil
}
