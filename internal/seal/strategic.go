package seal

import (
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

// strategic returns the strategic-merge patch that changes one value into another, or nil
// if they are the same. name is the field that has the values.
func strategic(name string, before, after *yaml.Node) *yaml.Node {
	switch {
	case same(before, after):
		return nil
	case before.Kind != after.Kind:
		return after
	case after.Kind == yaml.MappingNode:
		return strategicFields(before, after)
	case after.Kind == yaml.SequenceNode && mergeKeys[name] != "":
		return strategicItems(mergeKeys[name], before, after)
	}
	return after
}

func strategicFields(before, after *yaml.Node) *yaml.Node {
	patch := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := 0; i+1 < len(after.Content); i += 2 {
		key, value := after.Content[i], after.Content[i+1]
		if was := field(before, key.Value); was != nil {
			value = strategic(key.Value, was, value)
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
	return patch
}

// strategicItems returns the items of a list that were added, and of those that were
// changed, the key and the changes. Sealing removes none.
func strategicItems(key string, before, after *yaml.Node) *yaml.Node {
	patch := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, item := range after.Content {
		id := field(item, key)
		if id == nil {
			return after
		}
		i := slices.IndexFunc(before.Content, func(was *yaml.Node) bool { return same(field(was, key), id) })
		if i < 0 {
			patch.Content = append(patch.Content, item)
			continue
		}
		if change := strategic("", before.Content[i], item); change != nil {
			change.Content = append([]*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, id}, change.Content...)
			patch.Content = append(patch.Content, change)
		}
	}
	return patch
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
