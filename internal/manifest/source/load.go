// Package source finds manifests and reads them: files, folders and standard input.
//
// It opens and reads; package manifest knows what the bytes mean.
package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// Load reads a manifest from a path, or from standard input if that is "-".
// Errors in the manifest are of type manifest.Errors.
func Load(ctx context.Context, path string) (manifest.File, error) { return load(ctx, path, os.Stdin) }

// LoadAll reads the manifests at paths: files, directories, of which it reads the
// files that end in .yaml, .yml or .json, or "-" for stdin. The errors of all
// files are in one error of type manifest.Errors.
func LoadAll(ctx context.Context, paths []string, stdin io.Reader) ([]manifest.File, error) {
	names, err := expand(paths)
	if err != nil {
		return nil, err
	}
	var files []manifest.File
	var wrong manifest.Errors
	for _, name := range names {
		f, err := load(ctx, name, stdin)
		var more manifest.Errors
		switch {
		case errors.As(err, &more):
			wrong = append(wrong, more...)
		case err != nil:
			return nil, err
		}
		files = append(files, f)
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return files, nil
}

// expand returns the files that paths stand for, each once.
func expand(paths []string) ([]string, error) {
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, path := range paths {
		if path == "-" {
			add(path)
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		if !info.IsDir() {
			add(path)
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, fmt.Errorf("read manifests: %w", err)
		}
		before := len(names)
		for _, e := range entries {
			if name := filepath.Join(path, e.Name()); !e.IsDir() && isManifestName(name) && !isPlan(name) {
				add(name)
			}
		}
		if len(names) == before {
			return nil, fmt.Errorf("%s: no manifest in it: no file ends in .yaml, .yml or .json", path)
		}
	}
	return names, nil
}

// ConfigName is the name of the file that configures a folder. It is no manifest.
const ConfigName = ".adamant.yaml"

func isManifestName(name string) bool {
	if filepath.Base(name) == ConfigName {
		return false
	}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// planName is the name of the plan in the folder of a captured server. The plan is no
// manifest, and neither are the files in dataName, which are the server's.
const (
	planName = "plan.json"
	dataName = "data"
)

// planHead is the beginning of every plan. No Kubernetes object begins like that.
const planHead = `{"version":`

// isPlan reports whether a file is the plan of a captured server.
func isPlan(name string) bool {
	if filepath.Base(name) != planName {
		return false
	}
	f, err := os.Open(name)
	if err != nil {
		return false // whoever reads the file gets the error
	}
	defer f.Close()
	head := make([]byte, len(planHead))
	n, _ := io.ReadFull(f, head)
	return string(head[:n]) == planHead
}

// isCapturedData reports whether a folder has the data of a captured server.
func isCapturedData(name string) bool {
	return filepath.Base(name) == dataName && isPlan(filepath.Join(filepath.Dir(name), planName))
}

func load(ctx context.Context, path string, stdin io.Reader) (manifest.File, error) {
	if err := ctx.Err(); err != nil {
		return manifest.File{}, fmt.Errorf("read manifest %s: %w", path, err)
	}
	if path == "-" {
		return read("standard input", stdin)
	}
	f, err := os.Open(path)
	if err != nil {
		return manifest.File{}, fmt.Errorf("read manifest: %w", err)
	}
	defer f.Close()
	return read(path, f)
}

// read parses at most one byte more than the limit, which Parse refuses, because
// the beginning of a manifest alone could be a different one.
func read(name string, r io.Reader) (manifest.File, error) {
	data, err := io.ReadAll(io.LimitReader(r, manifest.MaxFileSize+1))
	if err != nil {
		return manifest.File{}, fmt.Errorf("read manifest %s: %w", name, err)
	}
	return manifest.Parse(name, data)
}
