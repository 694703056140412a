package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
)

// A chart is a chart of Helm that is sealed by a file of values. Which values it offers is
// not read from its templates, which can do anything: each value that may be one is tried,
// and used if it makes only changes of sealing.
type chart struct {
	sealer
	dir, file string
	own       []byte // of the file; nil if there is none
	given     bool   // the file is one of Options.Charts.Values

	open    *source.Chart
	objects []rendered
	trees   []any // Data of objects, decoded
	values  map[string]any

	wanted  changes          // all that sealing changes
	groups  map[group]bool   // of wanted; false if the group is left
	noise   map[int][]string // paths by object that are rendered differently each time
	varies  map[int]bool     // objects that are rendered in another form each time
	renders int              // of trials
	noises  int              // renders that found noise

	tried  map[string]bool // values, by path
	trials []*trial        // that are accepted
	result []byte          // the content of the file, nil if it seals nothing
}

// A group is changes of an object that are made together or not at all: all that seal it,
// or those that pin the image of one of its containers.
type group struct {
	object int
	image  string // path of the container or volume; empty for changes that seal
}

// isPin matches the end of the path of a change that pins an image.
var isPin = regexp.MustCompile(`\]\.(image|imagePullPolicy|image\.reference|image\.pullPolicy)$`)

func (c change) group() group {
	g := group{object: c.object}
	if at := isPin.FindStringIndex(c.path); at != nil {
		g.image = c.path[:at[0]+1]
	}
	return g
}

// valuesHeader is the first line of a file of values. A file without it is not replaced.
const valuesHeader = "# Seals what this chart renders. Written by: adamant seal --patch"

// chart seals the chart in a folder by values.
func (s sealer) chart(ctx context.Context, dir string, r *Result) error {
	s.renderCommand = helmTemplate(dir, s.Charts)
	c := chart{
		sealer: s, dir: dir, file: filepath.Join(dir, source.ValuesFile),
		wanted: changes{}, groups: map[group]bool{}, tried: map[string]bool{},
		noise: map[int][]string{}, varies: map[int]bool{},
	}
	var err error
	if c.own, err = readOwn(c.file, valuesHeader); err != nil {
		return err
	}
	if err := c.load(ctx); err != nil {
		return r.addFailure(ctx, filepath.Join(dir, "Chart.yaml"), err)
	}
	defer c.open.Close()
	if err := c.seal(ctx); err != nil {
		return err
	}
	files, note, err := c.files()
	if err != nil {
		return err
	}
	r.addFolder(c.objects, files, note)
	return nil
}

// helmTemplate returns the command that renders a chart.
func helmTemplate(dir string, o source.ChartOptions) string {
	command := []string{"helm template"}
	if o.Release != "" && o.Release != "release-name" {
		command = append(command, quote(o.Release))
	}
	command = append(command, quote(dir))
	add := func(flag string, values ...string) {
		for _, v := range values {
			if v != "" {
				command = append(command, flag, quote(v))
			}
		}
	}
	add("--namespace", o.Namespace)
	add("--values", o.Values...)
	add("--set", o.Set...)
	add("--kube-version", o.KubeVersion)
	return strings.Join(command, " ")
}

// load renders the chart.
func (c *chart) load(ctx context.Context) (err error) {
	c.given = slices.ContainsFunc(c.Charts.Values, func(name string) bool { return sameFile(name, c.file) })
	if c.open, err = source.OpenChart(ctx, c.dir, c.Charts); err != nil {
		return err
	}
	for _, d := range c.open.Rendered {
		c.objects = append(c.objects, rendered{Rendered: d, sealedBy: "values", after: d.Data})
		c.trees = append(c.trees, decode(d.Data))
	}
	return nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	y, err2 := os.Stat(b)
	return errors.Join(err, err2) == nil && os.SameFile(x, y)
}

// seal seals the objects and finds values for that. Objects that no value seals are left.
func (c *chart) seal(ctx context.Context) error {
	if err := c.resolve(ctx, c.objects); err != nil {
		return err
	}
	for i := range c.objects {
		one := &c.objects[i]
		if err := c.sealObject(one); err != nil {
			return err
		}
		if !bytes.Equal(one.Data, one.after) {
			c.wanted.add(i, "", c.trees[i], decode(one.after))
		}
	}
	for one := range c.wanted {
		c.groups[one.group()] = true
	}
	if len(c.wanted) == 0 {
		return nil
	}
	if _, err := c.findNoise(ctx); err != nil {
		return err
	}
	if err := c.tryAll(ctx); err != nil {
		return err
	}
	if err := c.prove(ctx); err != nil {
		return err
	}
	c.leaveAll()
	return nil
}

// leaveAll leaves the objects and images that no value seals.
func (c *chart) leaveAll() {
	for i := range c.objects {
		one := &c.objects[i]
		pinned := one.pinned
		if used, ok := c.groups[group{object: i}]; ok && !used {
			at, why := c.reason(group{object: i})
			c.leave(one, at, why)
		}
		one.pinned = nil
		for _, f := range imageFields(&one.Document) {
			if slices.Contains(pinned, f.reference) {
				c.leaveUnpinned(i, f)
			}
		}
	}
}

// leaveUnpinned leaves an image that sealing pins, if no value does.
func (c *chart) leaveUnpinned(object int, f imageField) {
	one := &c.objects[object]
	name := strings.TrimSuffix(f.named(), f.path[strings.LastIndexByte(f.path, ']')+1:])
	g := group{object, name}
	if _, ok := c.groups[g]; !ok {
		g.image = fmt.Sprintf("items[%d].%s", f.object, name) // of a List
	}
	if c.groups[g] {
		one.pinned = append(one.pinned, f.reference)
		return
	}
	_, why := c.reason(g)
	place := one.SourceOf(&one.Objects[f.object], f.path, f.value)
	one.notPinned = append(one.notPinned, manifest.FieldError{
		File: place.File, Line: place.Line, Path: f.path,
		Detail: "image " + f.shown() + " is not pinned by values: " + why,
		Hint:   "render it and pin the result: " + c.renderCommand + " | adamant seal - --pin",
	})
}

// named returns the path of the image with the name of its container or volume as the index,
// as a change has it.
func (f imageField) named() string {
	from, to := strings.LastIndexByte(f.path, '['), strings.LastIndexByte(f.path, ']')
	return f.path[:from+1] + f.in.Get("name").Scalar() + f.path[to:]
}

// reason returns why no value makes the changes of a group, and the path of the container
// that it is about.
func (c *chart) reason(g group) (at, why string) {
	one, missing := c.missing(g)
	if missing {
		for _, f := range imageFields(&c.objects[g.object].Document) {
			if in, isContainer := strings.CutSuffix(f.named(), ".image"); isContainer && strings.HasPrefix(one.path, in+".") {
				at = f.inPath
			}
		}
	}
	switch {
	case c.varies[g.object]:
		return at, "it is rendered in another form each time"
	case !missing:
		return at, "a value that it needs changes something else, too, which stays as it is"
	case c.renders >= maxRenders:
		return at, "the chart has more values than are tried"
	}
	return at, "no value of the chart sets " + shortPath(one.path) + " and nothing else"
}

// missing returns the first change of a group that no value makes, in the order in which
// values were tried.
func (c *chart) missing(g group) (change, bool) {
	var first change
	found := false
	for _, one := range c.wanted.sorted() {
		if one.group() == g && !c.isMade(one) && (!found || order(one) < order(first)) {
			first, found = one, true
		}
	}
	return first, found
}

// order returns when values are tried for a change.
func order(one change) int {
	return slices.IndexFunc(ways, func(w way) bool { return w.of.MatchString(one.path) })
}

// shortPath returns the end of the path of a change, from the container on.
func shortPath(path string) string {
	for _, list := range manifest.ContainerLists() {
		if i := strings.LastIndex(path, list+"["); i >= 0 {
			return path[i:]
		}
	}
	return path[strings.LastIndexByte(path, '.')+1:]
}

// isMade reports whether an accepted value makes a change.
func (c *chart) isMade(one change) bool {
	return slices.ContainsFunc(c.trials, func(t *trial) bool { _, ok := t.makes[one]; return ok })
}

// files returns the file of values if it changes, and a note about it.
func (c *chart) files() (files []File, note string, err error) {
	use := c.file + ": use these values as the last ones: helm upgrade RELEASE " + quote(c.dir)
	for _, name := range c.Charts.Values {
		if !sameFile(name, c.file) {
			use += " --values " + quote(name)
		}
	}
	use += " --values " + quote(c.file)
	switch {
	case c.pinner == nil && !c.given && c.losesDigest():
		return nil, "", losesDigestError(c.file)
	case c.result != nil:
		return []File{{Name: c.file, whole: c.result, isNew: !bytes.Equal(c.own, c.result)}}, use, nil
	case c.own != nil && !c.given && !leaves(c.objects):
		return nil, c.file + ": nothing needs these values any more: remove the file", nil
	}
	return nil, "", nil
}

// digest matches the digest of an image, which charts may have without its algorithm.
var digest = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

// losesDigest reports whether the file has the digest of an image that neither its new
// content has nor the chart is rendered with.
func (c *chart) losesDigest() bool {
	kept := map[string]bool{}
	texts := [][]byte{c.result}
	for i := range c.objects {
		texts = append(texts, c.objects[i].Data)
	}
	for _, text := range texts {
		for _, d := range digest.FindAll(text, -1) {
			kept[string(d)] = true
		}
	}
	return slices.ContainsFunc(digest.FindAll(c.own, -1), func(d []byte) bool { return !kept[string(d)] })
}

// content returns the content of the file with more values.
func (c *chart) content(trials []*trial) ([]byte, error) {
	values := map[string]any{}
	if c.given {
		if err := yaml.Unmarshal(c.own, &values); err != nil {
			return nil, err
		}
	}
	for _, t := range trials {
		setValue(values, t.path, t.value)
	}
	text, err := marshal(values)
	return append([]byte(valuesHeader+"\n"), text...), err
}

// marshal returns a value as YAML.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	err := encoder.Encode(v)
	return out.Bytes(), errors.Join(err, encoder.Close())
}
