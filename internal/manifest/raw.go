package manifest

import "fmt"

// Raw returns the objects of the file as written, without defaults, in the
// order of the file, and the items of a List one by one. Values are those of
// encoding/json, with int64 for whole numbers.
func (f File) Raw() ([]map[string]any, error) {
	var list []map[string]any
	for _, o := range f.objects {
		v, err := o.node.value()
		if err != nil {
			return nil, fmt.Errorf("read %s %s: %w", o.kind, o.name, err)
		}
		m, ok := v.(map[string]any)
		if !ok {
			continue // collect takes mappings only
		}
		m["apiVersion"], m["kind"] = o.apiVersion, o.kind // an item of a typed List may leave them out
		list = append(list, m)
	}
	return list, nil
}
