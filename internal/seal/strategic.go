package seal

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// mergeKeys are the lists of a pod's spec that a strategic merge joins by a key, which are
// the lists that sealing changes. Source: patchMergeKey in k8s.io/api/core/v1.
var mergeKeys = map[string]string{
	"containers": "name", "initContainers": "name", "ephemeralContainers": "name",
	"volumes": "name", "volumeMounts": "mountPath",
}

// errNoKey is returned for a change in a list that Kustomize would replace: the patch would
// have all that is in the list today.
var errNoKey = errors.New("it changes a list whose items have no key to merge them by")

// A strategy is how strategic-merge patches are made. If it is ordered, they name also the
// containers that stay before the last one that changes: Kustomize puts the items of a patch
// first, and with their order the patch would change something else.
type strategy struct{ ordered bool }

// patch returns the strategic-merge patch that changes one value into another, or nil if
// they are the same. name is the field that has the values.
func (s strategy) patch(name string, before, after *yaml.Node) (*yaml.Node, error) {
	switch {
	case same(before, after):
		return nil, nil
	case before.Kind != after.Kind:
		return after, nil
	case after.Kind == yaml.MappingNode:
		return s.fields(before, after)
	case after.Kind == yaml.SequenceNode && mergeKeys[name] != "":
		return s.items(name, before, after)
	case after.Kind == yaml.SequenceNode && len(before.Content) > 0:
		return nil, errNoKey
	}
	return after, nil
}

func (s strategy) fields(before, after *yaml.Node) (*yaml.Node, error) {
	patch := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := 0; i+1 < len(after.Content); i += 2 {
		key, value := after.Content[i], after.Content[i+1]
		if was := field(before, key.Value); was != nil {
			var err error
			if value, err = s.patch(key.Value, was, value); err != nil {
				return nil, err
			}
		}
		if value != nil {
			patch.Content = append(patch.Content, key, value)
		}
	}
	for i := 0; i+1 < len(before.Content); i += 2 {
		if key := before.Content[i]; field(after, key.Value) == nil {
			patch.Content = append(patch.Content, key, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"})
		}
	}
	return patch, nil
}

// items returns the items of a list that were added, and of those that were changed, the
// key and the changes. Sealing removes none.
func (s strategy) items(name string, before, after *yaml.Node) (*yaml.Node, error) {
	key := mergeKeys[name]
	patch := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	unchanged := 0 // at the end
	for _, item := range after.Content {
		id := field(item, key)
		if id == nil {
			return nil, errNoKey
		}
		was := itemOf(before, key, id)
		if was == nil {
			patch.Content, unchanged = append(patch.Content, item), 0
			continue
		}
		change, err := s.patch("", was, item)
		if err != nil {
			return nil, err
		}
		identity := []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, id}
		switch {
		case change != nil:
			change.Content = append(identity, change.Content...)
			patch.Content, unchanged = append(patch.Content, change), 0
		case s.ordered && strings.HasSuffix(strings.ToLower(name), "containers"):
			patch.Content, unchanged = append(patch.Content, &yaml.Node{Kind: yaml.MappingNode, Content: identity}), unchanged+1
		}
	}
	patch.Content = patch.Content[:len(patch.Content)-unchanged]
	return patch, nil
}

// field returns the value of a mapping at a key, or nil.
func field(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// itemOf returns the item of a list that has a value at a key, or nil.
func itemOf(list *yaml.Node, key string, id *yaml.Node) *yaml.Node {
	i := slices.IndexFunc(list.Content, func(item *yaml.Node) bool { return same(field(item, key), id) })
	if i < 0 {
		return nil
	}
	return list.Content[i]
}

// same reports whether two nodes have the same value.
func same(a, b *yaml.Node) bool {
	if a == nil || b == nil {
		return a == b
	}
	var x, y any
	return a.Decode(&x) == nil && b.Decode(&y) == nil && reflect.DeepEqual(x, y)
}

// sameObject reports whether two texts are the same object, apart from the order of lists
// in which the order means nothing: a merge puts new items first.
func sameObject(a, b []byte) bool {
	var x, y any
	if yaml.Unmarshal(a, &x) != nil || yaml.Unmarshal(b, &y) != nil {
		return false
	}
	sortVolumes(x)
	sortVolumes(y)
	return reflect.DeepEqual(x, y)
}

// sortVolumes sorts all lists of volumes and mounts in a value.
func sortVolumes(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, child := range v {
			sortVolumes(child)
			list, ok := child.([]any)
			if key := mergeKeys[name]; ok && strings.HasPrefix(name, "volume") && key != "" {
				slices.SortStableFunc(list, func(a, b any) int { return strings.Compare(textAt(a, key), textAt(b, key)) })
			}
		}
	case []any:
		for _, child := range v {
			sortVolumes(child)
		}
	}
}

// textAt returns a field of a mapping that is text.
func textAt(v any, key string) string {
	fields, _ := v.(map[string]any)
	text, _ := fields[key].(string)
	return text
}
