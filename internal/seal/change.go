package seal

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A change is one difference between an object and what it becomes: a field that is set,
// changed or removed, or an item that is added to a list or removed from it.
type change struct {
	object int
	path   string // "spec.template.spec.containers[web].image"; items of lists with a merge key have it as their index
	what   string // "= JSON", "+ JSON" for an item, with the item before it if their order counts, or "-"
}

// changes are differences with the new value of each.
type changes map[change]changed

// A changed is a new value or item, and how many changes there were before it.
type changed struct {
	value any
	n     int
}

func (c changes) set(one change, value any) { c[one] = changed{value, len(c)} }

// sorted returns the changes in the order in which they were found.
func (c changes) sorted() []change {
	return slices.SortedFunc(maps.Keys(c), func(a, b change) int { return c[a].n - c[b].n })
}

// decode returns a document as a value. Text that cannot be decoded is a value itself.
func decode(data []byte) any {
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		return string(data)
	}
	return v
}

// add adds the differences of a value of an object at a path. The order of volumes and mounts
// does not count, and a missing field is the same as null.
func (c changes) add(object int, path string, before, after any) {
	key := path[strings.LastIndexByte(path, '.')+1:]
	switch b := before.(type) {
	case map[string]any:
		if a, ok := after.(map[string]any); ok {
			c.addFields(object, path, b, a)
			return
		}
	case []any:
		a, ok := after.([]any)
		if ok && c.addKeyed(object, path, mergeKeys[key], b, a) {
			return
		}
		if ok && len(a) == len(b) {
			for i := range a {
				c.add(object, fmt.Sprintf("%s[%d]", path, i), b[i], a[i])
			}
			return
		}
	case nil:
		switch a := after.(type) {
		case map[string]any:
			if key == "securityContext" && len(a) > 0 { // each of its fields is a change
				c.addFields(object, path, nil, a)
				return
			}
		case []any:
			if c.addKeyed(object, path, mergeKeys[key], nil, a) {
				return
			}
		}
	}
	if !reflect.DeepEqual(before, after) {
		c.set(change{object, path, "= " + encode(after)}, after)
	}
}

func (c changes) addFields(object int, path string, before, after map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(after)) {
		c.add(object, join(path, key), before[key], after[key])
	}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		was := before[key]
		if _, ok := after[key]; !ok && was != nil {
			c.set(change{object, join(path, key), "-"}, nil)
		}
	}
}

// join returns the path of a field. A key that could be read as several steps is quoted.
func join(path, key string) string {
	if strings.ContainsAny(key, ".[]") {
		key = fmt.Sprintf("[%q]", key)
	}
	return strings.TrimPrefix(path+"."+key, ".")
}

// addKeyed adds the differences of lists whose items are known by a key. It adds nothing and
// returns false for other lists.
func (c changes) addKeyed(object int, path, key string, before, after []any) bool {
	was, ok := keyed(before, key)
	is, isKeyed := keyed(after, key)
	if key == "" || !ok || !isKeyed {
		return false
	}
	ordered := strings.HasSuffix(strings.ToLower(path), "containers")
	previous := ""
	var order, orderBefore []string
	for _, item := range after {
		id := textAt(item, key)
		if old, ok := was[id]; ok {
			order = append(order, id)
			c.add(object, path+"["+id+"]", old, item)
			previous = id
			continue
		}
		what := "+ " + encode(item)
		if ordered {
			what += " after " + previous
		}
		previous = id
		c.set(change{object, path, what}, item)
	}
	for _, item := range before {
		id := textAt(item, key)
		if _, ok := is[id]; !ok {
			c.set(change{object, path + "[" + id + "]", "-"}, nil)
			continue
		}
		orderBefore = append(orderBefore, id)
	}
	if ordered && !slices.Equal(order, orderBefore) {
		c.set(change{object, path, "order " + strings.Join(order, " ")}, nil)
	}
	return true
}

// keyed returns the items of a list by their key. ok is false if one has none, or two have
// the same one.
func keyed(list []any, key string) (items map[string]any, ok bool) {
	items = map[string]any{}
	for _, item := range list {
		id := textAt(item, key)
		if _, again := items[id]; again || id == "" {
			return nil, false
		}
		items[id] = item
	}
	return items, true
}

// encode returns a value as JSON, whose keys are sorted.
func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil { // a map with keys of other types than string
		return fmt.Sprintf("%#v", v)
	}
	return string(text)
}
