package compare

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/text"
)

// A fileCause is the cause that a file belongs to. An existing one has its own title.
type fileCause struct {
	key  string
	kind Kind
	what string // the title of a new cause without the servers; empty for an existing one
}

// addFiles adds the files to their causes.
func (e *explainer) addFiles(files []Difference) {
	causes := make([]fileCause, len(files))
	for i, d := range files {
		causes[i] = e.causeOfFile(d)
	}
	adoptDirectories(files, causes)
	for i, d := range files {
		e.addFile(d, causes[i])
	}
}

// adoptDirectories gives directories that no package owns the cause of everything that
// differs in them, if there is one: an added package brings its directories. Parents
// come before their entries in files.
func adoptDirectories(files []Difference, causes []fileCause) {
	inside := map[string][]int{} // the differing entries of each directory
	for i, d := range slices.Backward(files) {
		in := inside[d.Key]
		delete(inside, d.Key)
		isNew := len(d.Fields) == 0 && len(in) > 0
		same := !slices.ContainsFunc(in, func(n int) bool {
			return causes[n] != causes[in[0]] || files[n].Where() != d.Where()
		})
		if causes[i].kind == ByHand && isNew && same {
			causes[i] = causes[in[0]]
		}
		inside[path.Dir(d.Key)] = append(inside[path.Dir(d.Key)], i)
	}
}

// causeOfFile returns the cause of a file: the version of its package, a fact that is
// read from it, its class, an edit, or the lack of a package.
func (e *explainer) causeOfFile(d Difference) fileCause {
	granted, differ := privileges(d)
	setuid := fileCause{string(BySetuid) + " " + d.Key, BySetuid, d.Key + ": " + strings.Join(granted, ", ")}
	// A version of a package explains new files, but no new privileges of a file.
	if differ && len(d.Fields) > 0 {
		return setuid
	}
	for _, key := range []string{e.packageOf(d), e.factOf(d)} {
		if key != "" {
			return fileCause{key: key}
		}
	}
	if len(granted) > 0 {
		return setuid
	}
	if c, ok := classOf(d.Key); ok {
		return fileCause{string(c.kind) + " " + c.name + " " + d.Where(), c.kind, c.name}
	}
	if l, ok := e.libraryOf(d); ok {
		return fileCause{fmt.Sprintf("%s %v %s", ByLibrary, l, d.Where()), ByLibrary, e.versions.title(e.majority, l, d)}
	}
	if key := e.accountHome(d); key != "" {
		return fileCause{key: key}
	}
	c := fileCause{kind: ByHand, what: "that no package owns"}
	switch {
	case d.Derived:
		c = fileCause{kind: ByResult, what: "made from others"}
	case d.Package != "":
		c = fileCause{kind: ByEdit, what: "of package " + d.Package + " edited or removed"}
	}
	c.key = string(c.kind) + " " + d.Package + " " + d.Where()
	return c
}

// addFile adds a file to its cause.
func (e *explainer) addFile(d Difference, f fileCause) {
	c := e.cause(f.key, f.kind, d, "")
	c.Files = append(c.Files, d.Key)
	if f.what == "" {
		return
	}
	count := text.Count(len(c.Files), "file")
	switch f.kind {
	case ByLibrary:
		c.Title = f.what
	case BySource:
		c.Title = count + " of package sources, " + d.Where()
	case ByDropIn:
		c.Title = "of " + f.what + ": " + count + ", " + d.Where()
	case ByContainer:
		c.Title = count + " in " + f.what + ", " + d.Where()
	case ByHand, ByEdit, ByResult:
		c.Title = fmt.Sprintf("%s %s, %s", count, f.what, d.Where())
	default:
		c.Title = f.what + ", " + d.Where()
	}
}
