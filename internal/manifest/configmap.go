package manifest

import "fmt"

// JoinConfigMaps returns the file with the ConfigMaps of other files, which must have
// nothing else.
func JoinConfigMaps(f File, extra []File) (File, error) {
	if len(extra) == 0 {
		return f, nil
	}
	var errs Errors
	for _, e := range extra {
		for _, o := range e.objects {
			if o.apiVersion == "v1" && o.kind == "ConfigMap" {
				continue
			}
			errs = append(errs, FieldError{
				File: o.file, Line: o.node.line, Column: o.node.col, Path: "kind",
				Detail: fmt.Sprintf("%s %s is no ConfigMap, and --configmap takes no other objects", o.kind, o.name), Hint: "name its file with -f",
			})
		}
	}
	if len(errs) > 0 {
		return File{}, errs
	}
	return Join(append([]File{f}, extra...)...)
}
