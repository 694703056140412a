package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	udiff "github.com/aymanbagabas/go-udiff"

	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/text"
)

// A Result is what sealing changes, and what it leaves.
type Result struct {
	Items         []File // in the order in which they were read
	ToLearn       []ToLearn
	Excepted      []Exception
	Left          manifest.Errors // pods that are not sealed
	NotPinned     manifest.Errors // images, if they were to be pinned
	NotUnderstood manifest.Errors
	Notes         []string
	Summary       Summary
	Shared        []profile.Profile // of Fitter.Shared, that were used

	used      map[int]bool // profiles
	shared    map[int]bool // shared profiles
	noted     map[string]bool
	workloads int
	first     learn.Workload
}

func newResult() *Result {
	return &Result{used: map[int]bool{}, shared: map[int]bool{}, noted: map[string]bool{}}
}

// A Summary counts what was read and sealed.
type Summary struct {
	Files      int `json:"files"`
	Documents  int `json:"documents"`
	Pods       int `json:"pods"`
	Patches    int `json:"patches"`    // documents that are patches of overlays
	Containers int `json:"containers"` // that got a read-only root
	Pinned     int `json:"pinned"`     // images that got a digest
}

// A Place is a line of a file.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

// An Exception is a container whose root stays writable, or whose image stays without a digest.
type Exception struct {
	Place
	Object    string `json:"object"`
	Container string `json:"container,omitempty"`
	Until     string `json:"until"`
	Owner     string `json:"owner"`
	Reason    string `json:"reason"`

	rule string
}

// String returns the exception on one line.
func (e Exception) String() string {
	who, what := e.Object, "its root stays writable"
	if e.Container != "" { // it is no image of a volume
		who += ", container " + e.Container
	}
	if e.rule == policy.ImageNotPinned {
		what = "its image is not pinned"
	}
	return text.Escape(fmt.Sprintf("%s:%d: %s: %s until %s: %s (%s)", e.File, e.Line, who, what, e.Until, e.Reason, e.Owner))
}

// ToLearn is a pod that got a read-only root although it is not known what it writes.
type ToLearn struct {
	Place
	Object     string   `json:"object"`
	Containers []string `json:"containers"`
	Command    string   `json:"command"` // that learns it

	kind          string
	renderedBy    string // see manifest.Document
	renderCommand string // that prints the rendered objects
	images        []string
}

func (t *ToLearn) add(container, image string) {
	t.Containers = append(t.Containers, container)
	if image != "" && !slices.Contains(t.images, image) {
		t.images = append(t.images, image)
	}
}

// String returns the pod on one line.
func (t ToLearn) String() string {
	who := "container " + t.Containers[0] + " writes"
	if len(t.Containers) > 1 {
		who = "containers " + strings.Join(t.Containers, ", ") + " write"
	}
	return text.Escape(fmt.Sprintf("%s:%d: %s: it is not known what its %s", t.File, t.Line, t.Object, who))
}

// runnable are the kinds that adamant learn runs.
var runnable = []string{"Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"}

// command returns the command that learns the pod: from its manifest, or, if that cannot be
// run, from its images.
func (t ToLearn) command() string {
	if t.renderedBy != "" {
		return fmt.Sprintf("%s | adamant learn - --save %s", t.renderCommand, quote(filepath.Join(t.renderedBy, "adamant.profile")))
	}
	if slices.Contains(runnable, t.kind) && t.File != source.StdinName {
		name := strings.TrimSuffix(t.File, filepath.Ext(t.File)) + ".profile"
		return fmt.Sprintf("adamant learn %s --save %s", quote(t.File), quote(name))
	}
	var all []string
	for _, image := range t.images {
		all = append(all, fmt.Sprintf("adamant learn %s --save %s", quote(image), quote(profileName(image))))
	}
	return strings.Join(all, " && ")
}

// profileName returns the name of a file for the profile of an image.
func profileName(image string) string {
	image, _, _ = strings.Cut(image, "@")
	image = image[strings.LastIndexByte(image, '/')+1:]
	image, _, _ = strings.Cut(image, ":")
	return image + ".profile"
}

// quote returns a word of a command line for a shell.
func quote(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:@+,=", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !safe(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// add adds a document.
func (r *Result) add(d *manifest.Document, one sealed, stdin *recorder) {
	if n := len(r.Items); n == 0 || r.Items[n-1].Name != d.File {
		r.Items = append(r.Items, File{Name: d.File, stdin: stdin})
	}
	f := &r.Items[len(r.Items)-1]
	if !one.edit.IsEmpty() {
		f.edits = append(f.edits, one.edit)
	}
	if d.PatchOf != "" {
		r.Summary.Patches++
		r.NotPinned = append(r.NotPinned, one.notPinned...)
		return
	}
	r.addDocument(d, one)
}

// addDocument adds the counts, notes and errors of a document, but not its file.
func (r *Result) addDocument(d *manifest.Document, one sealed) {
	r.NotUnderstood, r.NotPinned = append(r.NotUnderstood, d.NotUnderstood...), append(r.NotPinned, one.notPinned...)
	r.Left, r.Excepted, r.ToLearn = append(r.Left, one.left...), append(r.Excepted, one.excepted...), append(r.ToLearn, one.toLearn...)
	for _, note := range one.notes {
		if !r.noted[note] {
			r.noted[note] = true
			r.Notes = append(r.Notes, note)
		}
	}
	for _, i := range one.used {
		r.used[i] = true
	}
	for _, i := range one.shared {
		r.shared[i] = true
	}
	if r.workloads == 0 && len(one.workloads) > 0 {
		r.first = one.workloads[0]
	}
	r.workloads += len(one.workloads)
	r.Summary.Pods += one.pods
	r.Summary.Containers += one.sealedContainers
	r.Summary.Pinned += len(one.pinned)
}

// Verdict returns Incomplete if something was not understood, or is not sealed or pinned, and
// unless acceptUnlearned also if something must still be learned.
func (r *Result) Verdict(acceptUnlearned bool) report.Verdict {
	if len(r.NotUnderstood)+len(r.Left)+len(r.NotPinned) > 0 || len(r.ToLearn) > 0 && !acceptUnlearned {
		return report.Incomplete
	}
	return report.Clean
}

// Report returns what someone has to know who sealed the files, one line each.
func (r *Result) Report() []string {
	var lines []string
	for _, list := range []manifest.Errors{r.NotUnderstood, r.Left, r.NotPinned} {
		for _, e := range list {
			lines = append(lines, text.Escape(e.Error()))
		}
	}
	for _, e := range r.Excepted {
		lines = append(lines, "note: "+e.String())
	}
	command := ""
	for _, t := range r.ToLearn {
		lines = append(lines, t.String())
		if t.Command != command { // once for all workloads of a file
			command = t.Command
			lines = append(lines, "  learn it: "+text.Escape(command))
		}
	}
	return append(lines, r.Summary.String(r))
}

// String returns the counts of a result on one line.
func (s Summary) String(r *Result) string {
	changed := 0
	for _, f := range r.Items {
		if f.Changes() {
			changed++
		}
	}
	line := fmt.Sprintf("%s in %s: %s read-only now, in %s", text.Count(s.Pods, "pod"), text.Count(s.Documents, "document"),
		text.Count(s.Containers, "container"), text.Count(changed, "file"))
	for _, c := range []struct {
		n    int
		what string
	}{
		{s.Pinned, "pinned"}, {len(r.NotPinned), "not pinned"},
		{len(r.ToLearn), "to learn"}, {len(r.Excepted), "excepted"}, {len(r.Left), "not sealed"},
		{s.Patches, "left as patches"}, {len(r.NotUnderstood), "not understood"},
	} {
		if c.n > 0 {
			line += fmt.Sprintf("; %d %s", c.n, c.what)
		}
	}
	return line
}

// MaxContent is how many bytes a file may have that is changed, or printed.
const MaxContent = 512 << 20

// A File is a file that was read.
type File struct {
	Name  string
	edits []manifest.Edit
	whole []byte // its new content, if it is not edited; it need not exist
	isNew bool   // whole is another content than it has
	read  []byte // the content that edits are for, if they are for all of it
	stdin *recorder
}

// Changes reports whether sealing changes the file.
func (f File) Changes() bool { return len(f.edits) > 0 || f.isNew }

// Content returns the file before and after sealing. It is an error if the file was changed
// since it was read.
func (f File) Content() (before, after []byte, err error) {
	if f.Name == source.StdinName {
		before, err = f.stdin.content()
	} else {
		before, err = source.ReadRegular(f.Name, MaxContent)
	}
	if f.whole != nil && (err == nil || errors.Is(err, fs.ErrNotExist)) {
		return before, f.whole, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read manifest: %w", err)
	}
	if f.read != nil && !bytes.Equal(before, f.read) {
		return nil, nil, fmt.Errorf("edit %s: it was changed while it was read", f.Name)
	}
	after, err = manifest.ApplyEdits(f.Name, before, f.edits)
	return before, after, err
}

// WriteDiff writes what changes in the file.
func (f File) WriteDiff(w io.Writer) error {
	if !f.Changes() {
		return nil
	}
	before, after, err := f.Content()
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, udiff.Unified(f.Name, f.Name+" (sealed)", string(before), string(after)))
	return err
}

// recorder keeps what is read from standard input, which cannot be read again.
type recorder struct {
	r    io.Reader
	data bytes.Buffer
}

var errTooMuch = errors.New("more than can be sealed from standard input: name a file")

// Read implements io.Reader.
func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if r.data.Len()+n > MaxContent {
		return 0, errTooMuch
	}
	r.data.Write(p[:n])
	return n, err
}

func (r *recorder) content() ([]byte, error) { return r.data.Bytes(), nil }
