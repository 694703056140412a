package seal

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/manifest/source"
)

// Limits of a chart. Each render is bounded in time and memory.
const (
	maxRenders = 200 // of trials
	maxProofs  = 50
	maxNoises  = 4 // renders that find random fields
)

// A trial is a value with which a chart renders only changes that are wanted.
type trial struct {
	path  source.Reference
	value any
	makes changes
}

// differences returns how rendered texts differ from the chart as it is, without noise. ok
// is false if they are other objects.
func (c *chart) differences(texts [][]byte) (made changes, ok bool) {
	if len(texts) != len(c.objects) {
		return nil, false
	}
	made = changes{}
	for i, text := range texts {
		if !bytes.Equal(text, c.objects[i].Data) {
			made.add(i, "", c.trees[i], decode(text))
		}
	}
	for _, one := range made.sorted() {
		if c.isNoise(one) {
			delete(made, one)
			continue
		}
		if same, ok := c.sameImage(one, made[one].value); ok {
			made[same] = made[one]
			delete(made, one)
		}
	}
	return made, true
}

func (c *chart) isNoise(one change) bool {
	return slices.ContainsFunc(c.noise[one.object], func(path string) bool {
		rest, ok := strings.CutPrefix(one.path, path)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// sameImage returns the wanted change of an image that a chart renders without its tag: the
// digest alone decides which image is run.
func (c *chart) sameImage(one change, value any) (change, bool) {
	if _, isWanted := c.wanted[one]; isWanted || !isPin.MatchString(one.path) {
		return change{}, false
	}
	reference, _ := value.(string)
	is, err := image.ParseReference(reference)
	if err != nil || is.Tag != "" || is.Digest == "" {
		return change{}, false
	}
	for want, to := range c.wanted {
		if text, ok := to.value.(string); ok && want.object == one.object && want.path == one.path {
			ref, err := image.ParseReference(text)
			ref.Tag = ""
			return want, err == nil && ref.String() == is.String()
		}
	}
	return change{}, false
}

// findNoise renders the chart again as it is. Fields that differ are noise in later renders. found
// is false if nothing new does.
func (c *chart) findNoise(ctx context.Context) (found bool, err error) {
	c.noises++
	texts, err := c.open.Render(ctx, nil)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	made, ok := changes{}, false
	if err == nil {
		made, ok = c.differences(texts)
	}
	if !ok { // nothing can be compared
		for i := range c.objects {
			c.varies[i] = true
		}
		return false, nil
	}
	for one := range made {
		c.noise[one.object] = append(c.noise[one.object], one.path)
		c.varies[one.object] = c.varies[one.object] || !strings.HasPrefix(one.what, "= ")
	}
	return len(made) > 0, nil
}

// render renders the chart with more values and returns the changes. ok is false if the
// chart cannot be rendered with them, or renders to other objects. The error is that of ctx.
func (c *chart) render(ctx context.Context, content []byte) (made changes, ok bool, err error) {
	texts, failure := c.open.Render(ctx, content)
	if ctx.Err() != nil {
		return nil, false, ctx.Err()
	}
	if failure != nil {
		return nil, false, nil
	}
	for {
		made, ok = c.differences(texts)
		if !ok || c.isWanted(made) || c.noises >= maxNoises {
			return made, ok, nil
		}
		// A time of day may have changed meanwhile.
		if found, err := c.findNoise(ctx); err != nil || !found {
			return made, ok, err
		}
	}
}

// isWanted reports whether all changes are wanted.
func (c *chart) isWanted(made changes) bool {
	for one := range made {
		if _, ok := c.wanted[one]; !ok {
			return false
		}
	}
	return true
}

// try renders the chart with one more value, and accepts it if all that it changes is wanted.
func (c *chart) try(ctx context.Context, path source.Reference, value any) error {
	id := path.String() + "\x00" + encode(value)
	if c.tried[id] || c.renders >= maxRenders {
		return nil
	}
	c.tried[id] = true
	c.renders++
	t := &trial{path: path, value: value}
	content, err := c.content([]*trial{t})
	if err != nil {
		return err
	}
	made, ok, err := c.render(ctx, content)
	if err == nil && ok && len(made) > 0 && c.isWanted(made) {
		t.makes = made
		c.trials = append(c.trials, t)
	}
	return err
}

// choose returns accepted values that make all changes of the groups that can be sealed, and
// no change of others.
func (c *chart) choose() []*trial {
	allowed := slices.Clone(c.trials)
	feasible := maps.Clone(c.groups)
	for {
		made := changes{}
		for _, t := range allowed {
			maps.Copy(made, t.makes)
		}
		for one := range c.wanted {
			if _, ok := made[one]; !ok || c.varies[one.object] {
				feasible[one.group()] = false
			}
		}
		before := len(allowed)
		allowed = slices.DeleteFunc(allowed, func(t *trial) bool {
			for one := range t.makes {
				if !feasible[one.group()] {
					return true
				}
			}
			return false
		})
		if len(allowed) == before {
			return needed(allowed)
		}
	}
}

// needed returns trials without those whose changes the others make. Of several values for
// one path it returns the first.
func needed(all []*trial) []*trial {
	var chosen []*trial
	for _, t := range all {
		again := slices.ContainsFunc(chosen, func(o *trial) bool { return slices.Equal(o.path, t.path) })
		if !again && !areMade(t.makes, chosen) {
			chosen = append(chosen, t)
		}
	}
	for i := 0; i < len(chosen); {
		others := slices.Delete(slices.Clone(chosen), i, i+1)
		if areMade(chosen[i].makes, others) {
			chosen = others
			continue
		}
		i++
	}
	return chosen
}

// areMade reports whether trials make all changes.
func areMade(all changes, by []*trial) bool {
	for one := range all {
		if !slices.ContainsFunc(by, func(t *trial) bool { _, ok := t.makes[one]; return ok }) {
			return false
		}
	}
	return true
}

// prove renders the chart with all values together. Each group of changes must be there as a
// whole or not at all, and nothing else may change. Groups with which that fails are left, and
// the rest is proven anew.
func (c *chart) prove(ctx context.Context) error {
	for range maxProofs {
		chosen := c.choose()
		if len(chosen) == 0 {
			break
		}
		content, err := c.content(chosen)
		if err != nil {
			return err
		}
		made, ok, err := c.render(ctx, content)
		if err != nil {
			return err
		}
		if wrong := c.wrong(chosen, made, ok); len(wrong) > 0 {
			for _, g := range wrong {
				c.groups[g] = false
			}
			continue
		}
		c.result = content
		for g := range c.groups {
			c.groups[g] = false
		}
		for one := range made {
			c.groups[one.group()] = true
		}
		return nil
	}
	for g := range c.groups {
		c.groups[g] = false
	}
	return nil
}

// wrong returns the groups whose changes values do not make together as each does alone.
func (c *chart) wrong(chosen []*trial, made changes, ok bool) []group {
	touched := map[group]bool{}
	for _, t := range chosen {
		for one := range t.makes {
			touched[one.group()] = true
		}
	}
	last := func() []group {
		var groups []group
		for one := range chosen[len(chosen)-1].makes {
			groups = append(groups, one.group())
		}
		return groups
	}
	if !ok {
		return last()
	}
	wrong := map[group]bool{}
	for one := range c.wanted {
		if _, ok := made[one]; !ok && touched[one.group()] {
			wrong[one.group()] = true
		}
	}
	for one := range made {
		if _, ok := c.wanted[one]; ok {
			continue
		}
		found := false
		for g := range touched {
			if g.object == one.object {
				wrong[g], found = true, true
			}
		}
		if !found {
			return last()
		}
	}
	return slices.Collect(maps.Keys(wrong))
}
