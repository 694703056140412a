package observe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// traceAnnotation is the annotation of a container (not of its pod) with the
// directory for its traces, which must be absolute, exist, be owned by root and
// be writable only by root. A container without it is not traced.
const traceAnnotation = "adamant.sh/trace"

// Annotations that CRI runtimes put on containers.
const (
	typeAnnotation = "io.kubernetes.cri.container-type"
	nameAnnotation = "io.kubernetes.cri.container-name"
)

const maxConfig = 16 << 20 // bytes of a bundle's configuration or runc's state

// traceOf returns the directory for the traces of an invocation's container. It
// is empty if the container is not traced. An error means that this is unknown.
func traceOf(in invocation) (dir, name string, err error) {
	bundle := in.bundle
	if in.command == "exec" {
		if bundle, err = bundleOf(in.root, in.id); err != nil {
			return "", "", err
		}
	}
	var spec struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := readJSON(filepath.Join(bundle, "config.json"), &spec); err != nil {
		return "", "", err
	}
	dir = spec.Annotations[traceAnnotation]
	if dir == "" || spec.Annotations[typeAnnotation] == "sandbox" {
		return "", "", nil
	}
	if err := checkDir(dir); err != nil {
		return dir, "", fmt.Errorf("annotation %s: %w", traceAnnotation, err)
	}
	name = spec.Annotations[nameAnnotation]
	if name == "" {
		name = in.id
	}
	return dir, name, nil
}

// bundleOf finds the bundle of an existing container in runc's state.
func bundleOf(root, id string) (string, error) {
	// The ID becomes a part of a path.
	if id == "" || id != filepath.Base(id) || id == ".." {
		return "", fmt.Errorf("container %q: no name of a container", id)
	}
	var state struct {
		Config struct {
			Labels []string `json:"labels"`
		} `json:"config"`
	}
	err := readJSON(filepath.Join(root, id, "state.json"), &state)
	if errors.Is(err, os.ErrNotExist) {
		if _, there := os.Lstat(filepath.Join(root, id)); there == nil {
			// Not "no such container": commands would then run in the
			// container without being traced.
			return "", fmt.Errorf("container %s: it has no state.json: only runc's containers can be traced", id)
		}
	}
	if err != nil {
		return "", err
	}
	for _, l := range state.Config.Labels {
		if b, ok := strings.CutPrefix(l, "bundle="); ok {
			return b, nil
		}
	}
	return "", fmt.Errorf("container %s: its state names no bundle", id)
}

func readJSON(name string, into any) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxConfig)).Decode(into); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

func checkDir(dir string) error {
	if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir {
		return fmt.Errorf("%q is not an absolute clean path", dir)
	}
	// Not Stat: the target of a link could be replaced after this check.
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid != 0 || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is not owned by root, or others may write to it", dir)
	}
	return nil
}
