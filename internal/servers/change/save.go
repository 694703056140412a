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

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/servers/reach"
)

// maxSaved bounds the content of saved files, in bytes.
const maxSaved = 1 << 30

// save observes the server and stores everything that an undo needs. A change must
// not begin if that is incomplete.
func (r *runner) save(ctx context.Context) (observation, error) {
	before, err := r.observe(ctx)
	if err != nil {
		return before, err
	}
	if err := r.choosePaths(before.scan); err != nil {
		return before, err
	}
	if err := r.saveFacts(ctx, before.facts); err != nil {
		return before, describe("save facts", err)
	}
	var paths []string
	for _, dir := range slices.Concat(r.saved, r.login) {
		for _, p := range before.scan.Below(dir) {
			// A socket has no content, and only the process that listens can create it.
			if e, err := r.root.Lstat(p); err == nil && e.Kind != tree.Socket {
				paths = append(paths, p)
			}
		}
	}
	slices.SortFunc(paths, tree.ComparePaths)
	paths = slices.Compact(paths)
	var unknown []tree.Unknown
	err = r.store.writeFile(r.job.ID, "saved.tar", func(w io.Writer) error {
		archive := tar.NewWriter(w)
		if unknown, err = r.root.AppendPaths(ctx, archive, "", paths, maxSaved); err != nil {
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
	r.store.reserve(r.job.ID)
	return before, nil
}

// isBelow reports whether a path is one of the directories or below one of them.
func isBelow(p string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/") })
}

// savedFacts is the state of the server before a change, apart from its files.
type savedFacts struct {
	Saved []string     `json:"saved"` // the paths below which files were saved
	Login []string     `json:"login,omitempty"`
	Facts []facts.Fact `json:"facts"`
	Reach reach.State  `json:"reach"`
}

func (r *runner) saveFacts(ctx context.Context, list []facts.Fact) error {
	state, err := reach.Read(ctx, r.root)
	if err != nil {
		// It would not be restored, and a person must know that.
		r.state.Unknowns = append(r.state.Unknowns, facts.Unknown{Path: "network and units", Reason: err.Error(), Section: unrestorable})
	}
	text, err := json.Marshal(savedFacts{r.saved, r.login, list, state})
	if err != nil {
		return err
	}
	return r.store.writeBytes(r.job.ID, "before", text)
}

// unrestorable is the section of an unknown for a state that an undo cannot restore.
const unrestorable facts.Section = "undo"

func (r *runner) loadFacts() (savedFacts, error) {
	var m savedFacts
	text, err := os.ReadFile(r.store.find(r.job.ID, "before"))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return m, describe("read the saved files", err)
	}
	return m, nil
}

// saveChanges sets the changed files in the state. If the list is too long for it,
// the complete list is stored in a file.
func (r *runner) saveChanges() error {
	r.state.Count, r.state.Files = len(r.files), r.files[:min(len(r.files), maxFiles)]
	if r.state.Count == len(r.state.Files) {
		return nil
	}
	return r.store.writeFile(r.job.ID, "files", func(w io.Writer) error {
		return json.NewEncoder(w).Encode(r.files)
	})
}

// loadChanges sets the files that an earlier change changed. If only changes of saved
// files are known, it sets incomplete, which the undo reports.
func (r *runner) loadChanges(ctx context.Context) error {
	m, err := r.loadFacts()
	if err != nil {
		return err
	}
	if r.saved = m.Saved; r.saved == nil {
		return errors.New("read the saved files: an older version of this program saved them and has to revert the change")
	}
	r.login = m.Login
	if r.state.Stage == Interrupted && r.state.Count == 0 {
		r.incomplete = errors.New("the change was interrupted, and only saved files are restored: what else it changed is not known")
		return r.rescan(ctx, m.Facts)
	}
	if r.files = r.state.Files; len(r.files) == r.state.Count {
		return nil
	}
	text, err := os.ReadFile(r.store.find(r.job.ID, "files"))
	if err == nil {
		err = json.Unmarshal(text, &r.files)
	}
	if err == nil {
		return nil
	}
	r.incomplete = describe("read the list of changed files", err)
	return r.rescan(ctx, m.Facts)
}

// fromSaved is the value Before of a file that is known only from the archive of saved
// files, not from a scan.
const fromSaved = "saved"

// rescan finds the effects of an interrupted change by comparing the server with the
// facts before it and with the saved files. It was not compared right after the change, so changes of
// other files cannot be told from later edits.
func (r *runner) rescan(ctx context.Context, before []facts.Fact) error {
	now, err := r.observe(ctx)
	if err != nil {
		return err
	}
	r.state.Facts = compare.FactChanges(before, now.facts)
	had := map[string]tree.Kind{}
	archive, err := os.Open(r.store.find(r.job.ID, "saved.tar"))
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
	r.files = nil
	for _, dir := range slices.Concat(r.saved, r.login) {
		for _, p := range now.scan.Below(dir) {
			if _, ok := had[p]; ok {
				continue
			}
			// Sockets are not archived, so this one may have been there before.
			if e, err := r.root.Lstat(p); err == nil && e.Kind != tree.Socket {
				r.files = append(r.files, compare.FileChange{Path: p, After: now.scan.At(p)})
			}
		}
	}
	for p, kind := range had {
		f := compare.FileChange{Path: p, Before: fromSaved, After: now.scan.At(p)}
		if e, err := r.root.Lstat(p); err == nil && e.Kind != kind {
			f.Fields = []string{tree.FieldType}
		}
		r.files = append(r.files, f)
	}
	slices.SortFunc(r.files, func(a, b compare.FileChange) int { return tree.ComparePaths(a.Path, b.Path) })
	r.state.Files = r.files[:min(len(r.files), maxFiles)]
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
