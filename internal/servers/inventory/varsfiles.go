package inventory

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	dirGroupVars = "group_vars"
	dirHostVars  = "host_vars"
)

// varsExtensions are the extensions of files of variables. The first that exists counts.
var varsExtensions = []string{"", ".yml", ".yaml", ".json"}

// A varsReader reads the group_vars and host_vars beside inventories.
type varsReader struct {
	source *source
	graph  *graph
	notes  *[]Note
}

// readVars reads the variables beside the inventories in dir.
func (r varsReader) readVars(dir string) error {
	err := r.each(filepath.Join(dir, dirGroupVars), r.graph.groupOrder, func(name string, vars variables) {
		in := r.graph.groups[name]
		in.files = append(in.files, vars)
	})
	if err != nil {
		return err
	}
	return r.each(filepath.Join(dir, dirHostVars), r.graph.hostOrder, func(name string, vars variables) {
		host := r.graph.hosts[name]
		host.files = append(host.files, vars)
	})
}

// each calls f for every file of variables in dir that belongs to one of the names. Names
// are compared with the entries of the directory instead of joined to a path, because a
// host may be called "../x".
func (r varsReader) each(dir string, names []string, f func(name string, vars variables)) error {
	entries, err := os.ReadDir(dir)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, e := range entries {
		there[e.Name()] = true
	}
	for _, name := range names {
		for _, ext := range varsExtensions {
			if !there[name+ext] {
				continue
			}
			files, err := r.files(filepath.Join(dir, name+ext), ext == "", 0)
			if err != nil {
				return err
			}
			for _, file := range files {
				vars, err := r.file(file)
				if err != nil {
					return err
				}
				f(name, vars)
			}
			break
		}
	}
	return nil
}

// files returns a file, or the files in and below a directory in the order of their
// names.
func (r varsReader) files(name string, mayBeDir bool, depth int) ([]string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	if !mayBeDir {
		return nil, nil
	}
	if depth > maxDepth {
		return nil, fail(Origin{File: name}, "", "directories lie more than %d deep", maxDepth)
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, e := range entries {
		base := e.Name()
		if strings.HasPrefix(base, ".") || strings.HasSuffix(base, "~") || !e.IsDir() && !slices.Contains(varsExtensions, filepath.Ext(base)) {
			continue
		}
		found, err := r.files(filepath.Join(name, base), true, depth+1)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// file reads the variables of one file. A vault cannot be read. It is a note instead of an
// error, because most vaults hold nothing about connections.
func (r varsReader) file(name string) (variables, error) {
	data, err := r.source.read(name)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(data, []byte("$ANSIBLE_VAULT")) {
		*r.notes = append(*r.notes, Note{Origin{File: name}, "is in a vault and is ignored: its variables about connections are not known"})
		return nil, nil
	}
	return readVarsFile(name, data)
}

func readVarsFile(name string, data []byte) (variables, error) {
	root, err := parseYAML(name, data)
	if err != nil || root == nil {
		return nil, err
	}
	y := yamlReader{file: name}
	if !isMapping(root) {
		return nil, fail(y.at(root), "write name: value", "no mapping of variables")
	}
	return y.vars(root, "variables")
}
