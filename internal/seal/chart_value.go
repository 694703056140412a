package seal

import (
	"cmp"
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/manifest/source"
)

// A need is changes that one value has to make: those of one field or list.
type need struct {
	group
	path  string
	items []any // that are added to a list, or the new value of the field
}

// A way is how charts offer a kind of change.
type way struct {
	of     *regexp.Regexp // paths of changes
	key    *regexp.Regexp // the last key of values that may be for it
	values func(c *chart, n need, path source.Reference) []proposal
}

// A proposal is a value to try.
type proposal struct {
	path  source.Reference
	value any
}

// ways are tried in this order. The flag of a container is first: if no value sets it, no
// other value is tried for that container.
var ways = []way{
	{
		regexp.MustCompile(`\.securityContext\.readOnlyRootFilesystem$`),
		regexp.MustCompile(`(?i)(securityContext|readOnlyRootFilesystem)$`), (*chart).flagValues,
	},
	{regexp.MustCompile(`\.volumes$`), regexp.MustCompile(`(?i)volumes?$`), (*chart).listValues},
	{regexp.MustCompile(`\.volumeMounts$`), regexp.MustCompile(`(?i)mounts?$`), (*chart).listValues},
	{regexp.MustCompile(`\.initContainers$`), regexp.MustCompile(`(?i)initContainers?$`), (*chart).listValues},
	{regexp.MustCompile(`\.(image|reference)$`), regexp.MustCompile(`(?i)(digest|sha|sha256)$`), (*chart).digestValues},
	{regexp.MustCompile(`\.(image|reference)$`), regexp.MustCompile(`(?i)(image|tag|version)$`), (*chart).imageValues},
	{regexp.MustCompile(`\.(imagePullPolicy|pullPolicy)$`), regexp.MustCompile(`(?i)pullPolicy$`), (*chart).policyValues},
}

// tryAll tries values for all that is wanted: first those that the templates of an object
// print, then all of the chart.
func (c *chart) tryAll(ctx context.Context) error {
	var err error
	if c.values, err = c.open.Values(ctx); ctx.Err() != nil {
		return ctx.Err()
	} else if err != nil {
		c.values = nil // values that the templates print can be tried all the same
	}
	keys := c.keys()
	for _, w := range ways {
		for _, n := range c.needs(w) {
			if err := c.tryFor(ctx, n, w, c.printed(n.object, w.key)); err != nil {
				return err
			}
		}
		for _, n := range c.needs(w) {
			if err := c.tryFor(ctx, n, w, matching(keys, w.key)); err != nil {
				return err
			}
		}
		c.giveUp(w)
	}
	return nil
}

// tryFor tries values for a need until one is for its object alone: others may turn out to
// change an object that is left.
func (c *chart) tryFor(ctx context.Context, n need, w way, paths []source.Reference) error {
	for _, path := range paths {
		if c.isOffered(n) {
			return nil
		}
		for _, p := range w.values(c, n, path) {
			if err := c.try(ctx, p.path, p.value); err != nil {
				return err
			}
		}
	}
	return nil
}

// isOffered reports whether a value meets a need and is for its object alone.
func (c *chart) isOffered(n need) bool {
	return slices.ContainsFunc(c.trials, func(t *trial) bool {
		meets := false
		for one := range t.makes {
			if one.object != n.object {
				return false
			}
			meets = meets || one.path == n.path
		}
		return meets
	})
}

// needs returns the changes that no value makes yet, of groups that can be sealed.
func (c *chart) needs(w way) []need {
	var needs []need
	index := map[string]int{}
	for _, one := range c.wanted.sorted() {
		g := one.group()
		if !c.groups[g] || c.varies[one.object] || !w.of.MatchString(one.path) {
			continue
		}
		id := encode(one.object) + one.path
		i, known := index[id]
		if !known {
			i = len(needs)
			index[id] = i
			needs = append(needs, need{group: g, path: one.path})
		}
		needs[i].items = append(needs[i].items, c.wanted[one].value)
	}
	return slices.DeleteFunc(needs, c.isOffered)
}

// giveUp leaves the groups with a change that no value makes, so that no more is tried for
// them.
func (c *chart) giveUp(w way) {
	if strings.Contains(w.of.String(), "image") && strings.Contains(w.key.String(), "digest") {
		return // the next way is for the same changes
	}
	for one := range c.wanted {
		if w.of.MatchString(one.path) && !c.isMade(one) {
			c.groups[one.group()] = false
		}
	}
}

// maxPaths bounds the values of a chart that are looked at.
const maxPaths = 5000

// printed returns the values that the template of an object prints and whose last key
// matches. The most specific ones are first.
func (c *chart) printed(object int, key *regexp.Regexp) []source.Reference {
	var paths []source.Reference
	for _, r := range c.open.References[object] {
		for _, path := range expand(c.values, r) {
			if len(paths) < maxPaths {
				paths = append(paths, path)
			}
		}
	}
	paths = matching(paths, key)
	slices.SortFunc(paths, func(a, b source.Reference) int {
		return cmp.Or(cmp.Compare(isGlobal(a), isGlobal(b)), cmp.Compare(len(b), len(a)), slices.Compare(a, b))
	})
	return paths
}

func isGlobal(r source.Reference) int {
	if r[0] == "global" {
		return 1
	}
	return 0
}

func matching(paths []source.Reference, key *regexp.Regexp) []source.Reference {
	return slices.DeleteFunc(slices.Clone(paths), func(r source.Reference) bool { return !key.MatchString(r[len(r)-1]) })
}

// expand returns a path for each key that its stars stand for. Items of lists are left out:
// Helm replaces lists as a whole.
func expand(values any, r source.Reference) []source.Reference {
	star := slices.Index(r, "*")
	if star < 0 {
		return []source.Reference{r}
	}
	fields, _ := valueAt(values, r[:star]).(map[string]any)
	var all []source.Reference
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if len(all) < maxExpanded {
			all = append(all, expand(values, slices.Concat(r[:star], source.Reference{key}, r[star+1:]))...)
		}
	}
	return all
}

// maxExpanded bounds the keys that a star stands for.
const maxExpanded = 50

// keys returns the paths of all values of the chart, apart from those in lists.
func (c *chart) keys() []source.Reference {
	var all []source.Reference
	var walk func(at source.Reference, fields map[string]any)
	walk = func(at source.Reference, fields map[string]any) {
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			if len(all) >= maxPaths {
				return
			}
			path := append(slices.Clone(at), key)
			all = append(all, path)
			if below, ok := fields[key].(map[string]any); ok {
				walk(path, below)
			}
		}
	}
	walk(nil, c.values)
	return all
}

// valueAt returns the value at a path, or nil.
func valueAt(values any, path source.Reference) any {
	for _, key := range path {
		fields, _ := values.(map[string]any)
		values = fields[key]
	}
	return values
}

// setValue sets the value at a path.
func setValue(values map[string]any, path source.Reference, value any) {
	for _, key := range path[:len(path)-1] {
		below, ok := values[key].(map[string]any)
		if !ok {
			below = map[string]any{}
			values[key] = below
		}
		values = below
	}
	values[path[len(path)-1]] = value
}

const readOnlyRoot = "readOnlyRootFilesystem"

func (c *chart) flagValues(_ need, path source.Reference) []proposal {
	if !strings.HasSuffix(strings.ToLower(path[len(path)-1]), strings.ToLower(readOnlyRoot)) {
		path = append(slices.Clone(path), readOnlyRoot)
	}
	return []proposal{{path, true}}
}

// listValues returns a list with more items, which has those that the chart has there:
// Helm replaces lists as a whole. Some charts have text that is a list.
func (c *chart) listValues(n need, path source.Reference) []proposal {
	text, err := marshal(n.items)
	if err != nil {
		return nil
	}
	var last, first any // with the items there
	hasSome := false
	switch was := valueAt(c.values, path).(type) {
	case nil:
		last = n.items
	case []any:
		was, _ = integers(was).([]any)
		last, first, hasSome = slices.Concat(was, n.items), slices.Concat(n.items, was), len(was) > 0
	case string:
		if was != "" && !strings.HasSuffix(was, "\n") {
			was += "\n"
		}
		last, first, hasSome = was+string(text), string(text)+was, was != ""
	default:
		return nil
	}
	list := []proposal{{path, last}}
	if hasSome && strings.HasSuffix(n.path, "initContainers") { // the only list whose order counts
		list = append(list, proposal{path, first})
	}
	return list
}

// integers returns a value of JSON with its whole numbers as integers.
func integers(v any) any {
	switch v := v.(type) {
	case float64:
		if n := int64(v); float64(n) == v {
			return n
		}
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = integers(v[i])
		}
		return list
	case map[string]any:
		fields := make(map[string]any, len(v))
		for key := range v {
			fields[key] = integers(v[key])
		}
		return fields
	}
	return v
}

// reference returns the image that a need pins.
func (n need) reference() (image.Reference, string) {
	text, _ := n.items[0].(string)
	ref, err := image.ParseReference(text)
	if err != nil {
		return image.Reference{}, ""
	}
	return ref, text
}

// digestValues returns the digest with and without its algorithm.
func (c *chart) digestValues(n need, path source.Reference) []proposal {
	ref, _ := n.reference()
	_, hex, _ := strings.Cut(ref.Digest, ":")
	if hex == "" {
		return nil
	}
	return []proposal{{path, ref.Digest}, {path, hex}}
}

// imageValues returns the image, or its tag, with the digest.
func (c *chart) imageValues(n need, path source.Reference) []proposal {
	ref, text := n.reference()
	was := valueAt(c.values, path)
	if _, isMapping := was.(map[string]any); isMapping || ref.Digest == "" {
		return nil
	}
	var list []proposal
	if tag, _ := was.(string); strings.HasSuffix(text, ":"+cmp.Or(tag, ref.Tag)+"@"+ref.Digest) {
		list = append(list, proposal{path, cmp.Or(tag, ref.Tag) + "@" + ref.Digest})
	}
	if strings.HasSuffix(strings.ToLower(path[len(path)-1]), "image") {
		list = append(list, proposal{path, text})
	}
	return list
}

func (c *chart) policyValues(_ need, path source.Reference) []proposal {
	return []proposal{{path, "IfNotPresent"}}
}
