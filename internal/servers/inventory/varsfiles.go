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
	dirs   map[string]bool // whether a directory exists
}

// readVars reads the variables beside the inventories in dir.
func (r varsReader) readVars(dir string) error {
	for _, name := range r.graph.groupOrder {
		in := r.graph.groups[name]
		err := r.each(filepath.Join(dir, dirGroupVars), name, func(vars variables) { in.files = append(in.files, vars) })
		if endsReading(err) {
			return err
		} else if err != nil {
			r.graph.blame(in, err)
		}
	}
	for _, name := range r.graph.hostOrder {
		host := r.graph.hosts[name]
		err := r.each(filepath.Join(dir, dirHostVars), name, func(vars variables) { host.files = append(host.files, vars) })
		if endsReading(err) {
			return err
		} else if err != nil && host.fault == nil {
			host.fault = err
		}
	}
	return nil
}

// each calls f for the variables of every file in dir that belongs to a name.
func (r varsReader) each(dir, name string, f func(variables)) error {
	// A host may be called "../x".
	if !filepath.IsLocal(name) || !r.isDir(dir) {
		return nil
	}
	for _, ext := range varsExtensions {
		path := filepath.Join(dir, name+ext)
		if _, err := os.Stat(path); isMissing(err) {
			continue
		}
		files, err := r.files(path, 0)
		if err != nil {
			return located(err, path)
		}
		for _, file := range files {
			vars, err := r.file(file)
			if err != nil && !endsReading(err) {
				err = located(err, file)
			}
			if err != nil {
				return err
			}
			f(vars)
		}
		return nil
	}
	return nil
}

// isDir reports whether a directory exists. There may be thousands of hosts, so each is
// looked up once.
func (r varsReader) isDir(dir string) bool {
	is, known := r.dirs[dir]
	if !known {
		info, err := os.Stat(dir)
		is = err == nil && info.IsDir() || err != nil && !isMissing(err)
		r.dirs[dir] = is
	}
	return is
}

// files returns a file, or the files in and below a directory in the order of their
// names.
func (r varsReader) files(name string, depth int) ([]string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	if depth > maxDepth {
		return nil, exceed(Origin{File: name}, "directories lie more than %d deep", maxDepth)
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, e := range entries {
		found, err := r.entry(name, e.Name(), depth)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// entry returns the files of an entry of a directory of variables. As in Ansible only
// directories without an extension are read.
func (r varsReader) entry(dir, base string, depth int) ([]string, error) {
	if strings.HasPrefix(base, ".") || strings.HasSuffix(base, "~") {
		return nil, nil
	}
	path, ext := filepath.Join(dir, base), filepath.Ext(base)
	info, err := os.Stat(path)
	if isMissing(err) { // a dangling link
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if info.IsDir() && ext != "" || !info.IsDir() && !slices.Contains(varsExtensions, ext) {
		return nil, nil
	}
	return r.files(path, depth+1)
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
	if isEmpty(resolve(root)) { // only comments, or null
		return nil, nil
	}
	if !isMapping(root) {
		return nil, fail(y.at(root), "write name: value", "no mapping of variables")
	}
	return y.vars(root, "variables")
}
