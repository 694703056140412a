package change

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// maxSaved bounds the content of saved files, in bytes.
const maxSaved = 1 << 30

// save observes the server and stores everything that an undo needs. A change must
// not begin if that is incomplete.
func (c *runner) save(ctx context.Context) (observation, error) {
	before, err := c.observe(ctx)
	if err != nil {
		return before, err
	}
	if err := c.choosePaths(before.scan); err != nil {
		return before, err
	}
	if err := c.saveFacts(ctx, before.facts); err != nil {
		return before, describe("save facts", err)
	}
	var paths []string
	for _, dir := range c.saved {
		for _, p := range before.scan.Below(dir) {
			// A socket has no content, and belongs to a process that listens on it.
			if e, err := c.root.Lstat(p); err == nil && e.Kind != tree.Socket {
				paths = append(paths, p)
			}
		}
	}
	slices.SortFunc(paths, tree.ComparePaths)
	paths = slices.Compact(paths)
	var unknown []tree.Unknown
	err = durable.Write(c.store.path(c.job.ID, "saved.tar"), 0o600, func(w io.Writer) error {
		archive := tar.NewWriter(w)
		if unknown, err = c.root.AppendPaths(ctx, archive, "", paths, maxSaved); err != nil {
			return err
		}
		return archive.Close()
	})
	if err != nil {
		return before, describe("save files", err)
	}
	if len(unknown) > 0 {
		return before, fmt.Errorf("save %s: %w", unknown[0].Path, unknown[0].Err)
	}
	return before, nil
}

// isBelow reports whether a path is one of the directories or below one of them.
func isBelow(p string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/") })
}

// savedFacts is what is stored of the server before a change beside its files.
type savedFacts struct {
	Saved   []string     `json:"saved"` // the paths below which files were saved
	Facts   []facts.Fact `json:"facts"`
	Network network      `json:"network"`
}

func (c *runner) saveFacts(ctx context.Context, list []facts.Fact) error {
	text, err := json.Marshal(savedFacts{c.saved, list, readNetwork(ctx)})
	if err != nil {
		return err
	}
	return durable.WriteFile(c.store.path(c.job.ID, "before"), text, 0o600)
}

func (c *runner) loadFacts() (savedFacts, error) {
	var m savedFacts
	text, err := os.ReadFile(c.store.path(c.job.ID, "before"))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return m, describe("read the saved files", err)
	}
	return m, nil
}

// saveChanges sets the changed files in the state, and stores the complete list if it
// is longer than that of the state.
func (c *runner) saveChanges() error {
	c.state.Count, c.state.Files = len(c.files), c.files[:min(len(c.files), maxFiles)]
	if c.state.Count == len(c.state.Files) {
		return nil
	}
	return durable.Write(c.store.path(c.job.ID, "files"), 0o600, func(w io.Writer) error {
		return json.NewEncoder(w).Encode(c.files)
	})
}

// loadChanges sets the files that an earlier change changed. If they are known only
// as far as they were saved, incomplete is set, and the undo reports it.
func (c *runner) loadChanges(ctx context.Context) error {
	m, err := c.loadFacts()
	if err != nil {
		return err
	}
	if c.saved = m.Saved; c.saved == nil {
		return errors.New("read the saved files: an older version of this program saved them and has to revert the change")
	}
	if c.state.Stage == Interrupted && c.state.Count == 0 {
		c.incomplete = errors.New("it was interrupted, and only saved files are restored: what else it changed is not known")
		return c.rescan(ctx)
	}
	if c.files = c.state.Files; len(c.files) == c.state.Count {
		return nil
	}
	text, err := os.ReadFile(c.store.path(c.job.ID, "files"))
	if err == nil {
		err = json.Unmarshal(text, &c.files)
	}
	if err == nil {
		return nil
	}
	c.incomplete = describe("read the list of changed files", err)
	return c.rescan(ctx)
}

// fromSaved is the value Before of a file that is known only from the archive of saved
// files, not from a scan.
const fromSaved = "saved"

// rescan finds what an interrupted change did by comparing the server with the saved
// facts and files. Nobody compared it right after the change, so other files that it
// changed cannot be told from later edits.
func (c *runner) rescan(ctx context.Context) error {
	m, err := c.loadFacts()
	if err != nil {
		return err
	}
	now, err := c.observe(ctx)
	if err != nil {
		return err
	}
	c.state.Facts = compare.FactChanges(m.Facts, now.facts)
	had := map[string]tree.Kind{}
	archive, err := os.Open(c.store.path(c.job.ID, "saved.tar"))
	if err != nil {
		return describe("read the saved files", err)
	}
	defer archive.Close()
	for in := tar.NewReader(archive); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return describe("read the saved files", err)
		}
		had[path.Clean("/"+h.Name)] = kindOf(h)
	}
	c.files = nil
	for _, dir := range c.saved {
		for _, p := range now.scan.Below(dir) {
			if _, ok := had[p]; ok {
				continue
			}
			// Sockets are not archived, so this one may have been there before.
			if e, err := c.root.Lstat(p); err == nil && e.Kind != tree.Socket {
				c.files = append(c.files, compare.FileChange{Path: p, After: now.scan.At(p)})
			}
		}
	}
	for p, kind := range had {
		f := compare.FileChange{Path: p, Before: fromSaved, After: now.scan.At(p)}
		if e, err := c.root.Lstat(p); err == nil && e.Kind != kind {
			f.Fields = []string{tree.FieldType}
		}
		c.files = append(c.files, f)
	}
	slices.SortFunc(c.files, func(a, b compare.FileChange) int { return tree.ComparePaths(a.Path, b.Path) })
	c.state.Files = c.files[:min(len(c.files), maxFiles)]
	return nil
}

// kindOf returns the kind of file of an entry.
func kindOf(h *tar.Header) tree.Kind {
	switch h.Typeflag {
	case tar.TypeDir:
		return tree.Directory
	case tar.TypeSymlink:
		return tree.Symlink
	case tar.TypeFifo:
		return tree.FIFO
	case tar.TypeChar:
		return tree.CharDevice
	case tar.TypeBlock:
		return tree.BlockDevice
	}
	return tree.Regular
}
