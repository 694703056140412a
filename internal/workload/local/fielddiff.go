package local

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// fieldDifferences lists the paths of the fields that differ between two pod
// templates, without images. Values of environment variables may be secrets and
// are not shown.
func fieldDifferences(before, after *Generation) []string {
	var list []string
	walkDifference("template", plain(before), plain(after), &list)
	const most = 40
	if len(list) > most {
		list = append(list[:most], fmt.Sprintf("and %d more", len(list)-most))
	}
	return list
}

// plain returns a template as encoding/json decodes it, without images.
func plain(g *Generation) any {
	t := g.Template.DeepCopy()
	for i := range t.Spec.Containers {
		t.Spec.Containers[i].Image = ""
	}
	for i := range t.Spec.InitContainers {
		t.Spec.InitContainers[i].Image = ""
	}
	data, err := json.Marshal(t)
	if err != nil {
		return nil
	}
	var v any
	if json.Unmarshal(data, &v) != nil {
		return nil
	}
	return v
}

// objectDifferences lists the fields that differ between two objects of one kind.
func objectDifferences(before, after any) []string {
	var values [2]any
	for i, v := range []any{before, after} {
		data, err := json.Marshal(v)
		if err != nil || json.Unmarshal(data, &values[i]) != nil {
			return nil
		}
	}
	var list []string
	walkDifference("", values[0], values[1], &list)
	for i := range list {
		list[i] = strings.TrimPrefix(list[i], ".")
	}
	return list
}

func walkDifference(path string, a, b any, list *[]string) {
	if reflect.DeepEqual(a, b) {
		return
	}
	switch left := a.(type) {
	case map[string]any:
		if right, ok := b.(map[string]any); ok {
			all := maps.Clone(left)
			maps.Copy(all, right)
			for _, key := range slices.Sorted(maps.Keys(all)) {
				walkDifference(path+"."+key, left[key], right[key], list)
			}
			return
		}
	case []any:
		if right, ok := b.([]any); ok && len(left) == len(right) {
			for i := range left {
				walkDifference(fmt.Sprintf("%s[%d]", path, i), left[i], right[i], list)
			}
			return
		}
	}
	*list = append(*list, fmt.Sprintf("%s: %s -> %s", path, shown(path, a), shown(path, b)))
}

// shown formats a value for a message.
func shown(path string, v any) string {
	if v == nil {
		return "none"
	}
	if strings.Contains(path, ".env[") && strings.HasSuffix(path, ".value") {
		return "(hidden)"
	}
	data, err := json.Marshal(v)
	// If the number of variables differs, path is that of the list, which
	// contains the values.
	if err != nil || len(data) > 120 || strings.Contains(path, ".env") && len(data) > 0 && data[0] != '"' {
		return "(…)"
	}
	return string(data)
}
