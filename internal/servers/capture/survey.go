package capture

import (
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// SurveyOptions configures a survey. The zero value is for the files of a machine
// that is not running.
type SurveyOptions struct {
	Live    bool     // the root is that of the machine that this runs on
	Data    []string // directories that hold data, in addition to those that are found
	Exclude []string // paths that are left out with all below them

	// Sockets are those of the running machine. Without them, services have their usual
	// ports, and only those that are configured to talk over one are in one pod.
	Sockets []facts.Socket
}

// Survey decides for every entry of a server whether it is in a layer, data, a
// secret or left out, and reads the content of the layers. An entry that cannot be
// read is left out and is a loss.
func Survey(ctx context.Context, root *rootfs.Root, o SurveyOptions) (Plan, error) {
	s := &survey{root: root, opts: o, secretFiles: map[string]string{}}
	s.plan = Plan{Version: PlanVersion}
	var err error
	if s.owners, err = facts.ReadOwners(ctx, root, o.Live); err != nil {
		s.addUnread("packages of files", err.Error(), "see to it that rpm answers, and capture again")
	}
	var unknowns []facts.Unknown
	s.facts, unknowns = facts.Facts(ctx, root, o.Live)
	for _, u := range unknowns {
		// If ReadOwners failed, too, rpm is the reason of both, and is reported once.
		if u.Section == facts.Package && err == nil {
			s.addUnread(u.Path, u.Reason, "capture the server while it runs")
		}
	}
	// The order matters: units name data directories, the directories decide which
	// files are read, and secrets are found by the content of files.
	s.readSystem()
	if err := s.walk(ctx); err != nil {
		return Plan{}, fmt.Errorf("survey: %w", err)
	}
	if err := s.findServices(); err != nil {
		return Plan{}, fmt.Errorf("survey: %w", err)
	}
	if err := s.findData(); err != nil {
		return Plan{}, fmt.Errorf("survey: %w", err)
	}
	s.classify()
	if err := s.readFiles(ctx); err != nil {
		return Plan{}, fmt.Errorf("survey: %w", err)
	}
	if err := s.assemble(); err != nil {
		return Plan{}, fmt.Errorf("survey: %w", err)
	}
	s.assignToServices()
	s.linkServices()
	s.findLosses()
	return s.plan, nil
}

// A survey is the state of one call of Survey.
type survey struct {
	root   *rootfs.Root
	opts   SurveyOptions
	owners *facts.Owners
	facts  []facts.Fact
	passwd []byte
	group  []byte

	files       tree.Tree         // without content
	unread      []tree.Unknown    // entries that could not be read
	mounted     map[string]string // mount points that are not entered, and what is mounted there
	secretFiles map[string]string // files that set secret variables, and which
	hasPeople   bool              // users were added by hand

	items   []*item // entries that may come into a layer, in tree order
	leftOut []leftOutItem
	units   []unit // of plan.Services, in the same order
	plan    Plan
}

// addLoss adds something that is not captured.
func (s *survey) addLoss(what, why, hint string) {
	s.plan.Losses = append(s.plan.Losses, Loss{What: what, Why: why, Hint: hint})
}

// addUnread adds something that could not be read, so that the loss is unknown.
func (s *survey) addUnread(what, why, hint string) {
	s.plan.Losses = append(s.plan.Losses, Loss{what, why, hint, true})
}

// readSystem reads the release, the architecture and the users of the server.
func (s *survey) readSystem() {
	for _, f := range s.facts {
		switch {
		case f.Section == facts.System && f.Key == "release":
			s.plan.Release = f.Value
		case f.Section == facts.System && f.Key == "architecture":
			s.plan.Architecture = f.Value
		}
	}
	passwd, _ := readText(s.root, "/etc/passwd") // without it only numbers are known
	group, _ := readText(s.root, "/etc/group")
	s.passwd, s.group = []byte(passwd), []byte(group)
	s.hasPeople = hasPeople(passwd)
}

// walk lists all entries. It does not enter file systems that are not the server's own.
func (s *survey) walk(ctx context.Context) (err error) {
	s.mounted = map[string]string{}
	if s.opts.Live {
		if s.mounted, err = foreignMounts(); err != nil {
			return err
		}
	}
	s.files, s.unread, err = s.root.Walk(ctx, rootfs.WalkOptions{Skip: func(e tree.Entry) bool {
		class, out := classAt(e)
		return s.mounted[e.Path] != "" || out && class == classVirtual
	}})
	return err
}

// An item is an entry that may come into a layer or be a secret.
type item struct {
	tree.Entry
	pkg    string // that contains it
	sum    string // digest that it has in the package, if that is known
	own    string // digest of the same kind that it has on the server
	secret string // why it is a secret, empty if it is not
	unread error
}

// A leftOutItem is an entry that is in no layer.
type leftOutItem struct {
	tree.Entry
	class Class
}

// classify decides for each entry whether it is in a layer. Everything below a directory
// that is left out or holds data goes with the directory.
func (s *survey) classify() {
	var top string  // the directory that was left out, or holds data, last
	var below Class // of everything below top; empty for data
	data := map[string]*Data{}
	for i := range s.plan.Data {
		data[s.plan.Data[i].Path] = &s.plan.Data[i]
	}
	for e := range s.files.All() {
		if top != "" && isBelow(e.Path, top) {
			if d := data[top]; below == "" {
				d.Entries++
				d.Bytes += e.Size
			} else {
				s.leftOut = append(s.leftOut, leftOutItem{e, below})
			}
			continue
		}
		top = ""
		class, out := s.classOf(e)
		switch {
		case out:
			s.leftOut = append(s.leftOut, leftOutItem{e, class})
			if e.Kind == tree.Directory {
				top, below = e.Path, class
			}
			continue
		case data[e.Path] != nil:
			top, below = e.Path, ""
		}
		pkg, sum := s.owners.Of(e.Path)
		s.items = append(s.items, &item{Entry: e, pkg: pkg, sum: sum})
	}
}

// classOf returns why an entry is in no layer, apart from its content.
func (s *survey) classOf(e tree.Entry) (Class, bool) {
	if slices.ContainsFunc(s.opts.Exclude, func(p string) bool { return e.Path == path.Clean("/"+p) }) {
		return classExcluded, true
	}
	if s.isWanted(e.Path) {
		return "", false
	}
	if class, out := classAt(e); out {
		return class, true
	}
	switch {
	case len(path.Base(e.Path)) > len(whiteout) && path.Base(e.Path)[:len(whiteout)] == whiteout:
		return classUnnamable, true
	case e.Kind == tree.Socket:
		return classSocket, true
	case e.Kind == tree.CharDevice, e.Kind == tree.BlockDevice:
		return classDevice, true
	}
	return "", false
}

// whiteout is the prefix of names that delete a file of a lower layer (OCI image
// specification 1.1, layer.md).
const whiteout = ".wh."

// isWanted reports whether a path is a data directory or one of its parents. Such a
// path is not left out because of its place alone.
func (s *survey) isWanted(p string) bool {
	return slices.ContainsFunc(s.plan.Data, func(d Data) bool { return d.Path == p || isBelow(d.Path, p) })
}

// isBelow reports whether a path is below a directory. The directory itself is not.
func isBelow(p, dir string) bool {
	if dir == "/" {
		return len(p) > 1
	}
	return len(p) > len(dir) && p[len(dir)] == '/' && p[:len(dir)] == dir
}
