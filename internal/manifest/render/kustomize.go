package render

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	k8syaml "sigs.k8s.io/yaml"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// IsKustomization reports whether a file with this name makes its folder one that Kustomize
// renders.
func IsKustomization(name string) bool {
	return slices.Contains(konfig.RecognizedKustomizationFileNames(), name)
}

// Kustomize renders a folder as kubectl kustomize does, without its helm and its git: what
// would have to be downloaded or started is an error. Files are loaded from below the
// folder of the kustomization that names them only.
//
// The library has global state: one folder can be rendered at a time.
func Kustomize(ctx context.Context, dir string) (Result, error) {
	return runKustomize(ctx, dir, nil, func(*types.Kustomization) {})
}

// Patched renders a folder as Kustomize does, with a strategic-merge patch in place of the
// file PatchFile: where its kustomization applies that, or else as the last of its patches.
// Without a patch it is rendered without the file. The kustomization has the content, or
// that of its file if it is nil.
func Patched(ctx context.Context, dir string, content, patch []byte) (Result, error) {
	return runKustomize(ctx, dir, content, func(k *types.Kustomization) { replacePatch(k, patch) })
}

// runKustomize renders a folder, after its kustomization was changed. That has the content,
// or that of its file if it is nil.
func runKustomize(ctx context.Context, dir string, content []byte, change func(*types.Kustomization)) (result Result, err error) {
	root, err := filepath.Abs(dir)
	if err == nil {
		root, err = filepath.EvalSymlinks(root)
	}
	if err != nil {
		return result, err
	}
	k := &kustomize{FileSystem: filesys.MakeFsOnDisk(), ctx: ctx, change: change, dir: dir, root: root, content: map[string][]byte{}, sources: map[string]*source{}}
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		file := filepath.Join(root, name)
		if _, err := os.Lstat(file); err == nil && content != nil {
			k.content[file] = content
		}
	}
	defer func() {
		result.Read = k.read
		if r := recover(); r != nil {
			err = fmt.Errorf("kustomize panicked: %v", r)
		}
		if err != nil && k.refused.Detail != "" {
			err = k.refused // the text of the library repeats it several times
		}
	}()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(k, root)
	if err != nil {
		return result, err
	}
	if len(k.kustomizations) == 0 || !k.changed {
		return result, manifest.FieldError{File: dir, Detail: "its kustomization is a link to a file of another name or folder", Hint: "write a kustomization there that names the other under resources"}
	}
	if k.kustomizations[0].Kind == types.ComponentKind {
		return result, k.refuse(k.kustomizations[0].file, "check the folder with the overlay", "a component that no rendered overlay uses")
	}
	if result.Documents, err = k.documents(resources); err == nil && len(result.Documents) == 0 {
		err = k.refuse(k.kustomizations[0].file, "", "it renders to no object")
	}
	return result, err
}

// kustomize is the file system from which a folder is rendered. It reads files once,
// within bounds, and refuses kustomizations that need more than files.
type kustomize struct {
	filesys.FileSystem
	ctx     context.Context
	dir     string // as it was named
	root    string // absolute, without links
	change  func(*types.Kustomization)
	changed bool // change was called
	content map[string][]byte
	read    []string
	size    int
	refused manifest.FieldError // why a kustomization was refused

	kustomizations []kustomization // in the order in which they were read: those that are applied last are first
	sources        map[string]*source
}

type kustomization struct {
	types.Kustomization
	file   string // absolute
	source *source
}

// display returns the name of a file as the user would write it.
func (k *kustomize) display(file string) string {
	rel, err := filepath.Rel(k.root, file)
	if err != nil {
		return file
	}
	return filepath.Join(k.dir, rel)
}

var errReadOnly = errors.New("nothing is written while a folder is rendered")

func (*kustomize) Create(string) (filesys.File, error) { return nil, errReadOnly }
func (*kustomize) Mkdir(string) error                  { return errReadOnly }
func (*kustomize) MkdirAll(string) error               { return errReadOnly }
func (*kustomize) RemoveAll(string) error              { return errReadOnly }
func (*kustomize) WriteFile(string, []byte) error      { return errReadOnly }

// ReadFile implements filesys.FileSystem.
func (k *kustomize) ReadFile(name string) ([]byte, error) {
	content, err := k.load(name)
	if err != nil {
		return nil, k.refuse(name, "", "%s", strings.TrimPrefix(err.Error(), "open "+name+": "))
	}
	if !IsKustomization(filepath.Base(name)) {
		return content, nil
	}
	var one types.Kustomization
	if err := one.Unmarshal(content); err != nil {
		return content, nil // the library says it with the same words
	}
	if filepath.Dir(name) == k.root {
		k.change(&one)
		k.changed = true
	}
	one.FixKustomization()
	if err := k.check(&one, name); err != nil {
		return nil, err
	}
	file := k.display(name)
	k.kustomizations = append(k.kustomizations, kustomization{one, name, newSource(file, content, 1, content)})
	if !slices.Contains(one.BuildMetadata, types.OriginAnnotations) {
		one.BuildMetadata = append(one.BuildMetadata, types.OriginAnnotations)
	}
	return k8syaml.Marshal(one)
}

// load returns the content of a file.
func (k *kustomize) load(name string) ([]byte, error) {
	if err := k.ctx.Err(); err != nil {
		return nil, err
	}
	if content, ok := k.content[name]; ok {
		if k.size += len(content); k.size > maxRead {
			return nil, fmt.Errorf("the files of the overlay have more than %d MiB", maxRead>>20)
		}
		return content, nil
	}
	k.read = append(k.read, name)
	content, err := readRegular(name)
	if err != nil {
		return nil, err
	}
	if k.size += len(content); k.size > maxRead {
		return nil, fmt.Errorf("the files of the overlay have more than %d MiB", maxRead>>20)
	}
	if err := checkAliases(content); err != nil {
		return nil, err
	}
	k.content[name] = content
	return content, nil
}

// readRegular reads a regular file of a bounded size.
func readRegular(name string) ([]byte, error) {
	return readOpened(os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0))
}

// readOpened reads and closes a file that was opened without blocking. It refuses all but
// regular files of a bounded size: others may have no end.
func readOpened(f *os.File, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	}
	content, err := io.ReadAll(io.LimitReader(f, manifest.MaxFileSize+1))
	if err == nil && len(content) > manifest.MaxFileSize {
		err = fmt.Errorf("larger than %d MiB", manifest.MaxFileSize>>20)
	}
	return content, err
}

// checkAliases refuses a file whose aliases multiply it. The YAML library counts them when
// it decodes, and Kustomize does not decode that way.
func checkAliases(content []byte) error {
	if !bytes.ContainsRune(content, '*') || !bytes.ContainsRune(content, '&') {
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var value any
		switch err := decoder.Decode(&value); {
		case err == nil:
		case strings.Contains(err.Error(), "excessive aliasing"):
			return errors.New("aliases multiply this document to too many values")
		default:
			return nil // the end, or what Kustomize refuses itself
		}
	}
}

// refuse keeps why something in a file cannot be rendered.
func (k *kustomize) refuse(file, hint, format string, args ...any) error {
	if k.refused.Detail == "" {
		k.refused = manifest.FieldError{File: k.display(file), Detail: fmt.Sprintf(format, args...), Hint: hint}
	}
	return k.refused
}

// check refuses a kustomization that would have Kustomize connect to something or start a
// program.
func (k *kustomize) check(one *types.Kustomization, file string) error {
	if len(one.HelmCharts)+len(one.HelmChartInflationGenerator) > 0 {
		return k.refuse(file, "kustomize build --enable-helm "+k.dir+" | adamant check -", "helmCharts are not rendered, because Kustomize would start helm and download them")
	}
	for _, path := range loadedBy(one) {
		if isRemote(path) {
			return k.refuse(file, "kubectl kustomize "+k.dir+" | adamant check -", "%s is remote, and nothing is downloaded", path)
		}
	}
	for _, plugin := range slices.Concat(one.Generators, one.Transformers, one.Validators) {
		if err := k.checkPlugin(plugin, file); err != nil {
			return err
		}
	}
	return nil
}

// loadedBy returns what a kustomization loads: paths and URLs.
func loadedBy(one *types.Kustomization) []string {
	paths := slices.Concat(one.Resources, one.Components, one.Crds, one.Configurations)
	for _, value := range one.OpenAPI {
		paths = append(paths, value)
	}
	//lint:ignore SA1019 Kustomize still reads the field
	for _, p := range slices.Concat(one.Patches, one.PatchesJson6902) {
		paths = append(paths, p.Path)
	}
	//lint:ignore SA1019 Kustomize still reads the field
	for _, p := range one.PatchesStrategicMerge {
		if !strings.Contains(string(p), "\n") {
			paths = append(paths, string(p))
		}
	}
	for _, r := range one.Replacements {
		paths = append(paths, r.Path)
	}
	var sources []types.KvPairSources
	for _, g := range one.ConfigMapGenerator {
		sources = append(sources, g.KvPairSources)
	}
	for _, g := range one.SecretGenerator {
		sources = append(sources, g.KvPairSources)
	}
	for _, s := range sources {
		paths = append(append(paths, s.EnvSources...), s.EnvSource)
		for _, file := range s.FileSources {
			_, path, found := strings.Cut(file, "=")
			if !found {
				path = file
			}
			paths = append(paths, path)
		}
	}
	return paths
}

// isRemote reports whether Kustomize would download a path, by its own parser of the
// addresses of repositories, which finds them in relative paths, too.
func isRemote(path string) bool {
	scheme, _, _ := strings.Cut(strings.ToLower(path), ":")
	if scheme == "http" || scheme == "https" || strings.Contains(path, "://") {
		return true
	}
	return new(resource.Origin).Append(path).Repo != ""
}

// checkPlugin refuses a generator, transformer or validator in a folder, where patches could
// change what it loads, and one that loads something remote.
func (k *kustomize) checkPlugin(plugin, file string) error {
	const hint = "write its configuration to a file, or render it yourself: kubectl kustomize DIR | adamant check -"
	content := []byte(plugin)
	if !strings.Contains(plugin, "\n") {
		path := filepath.Join(filepath.Dir(file), plugin)
		info, err := os.Stat(path)
		switch {
		case isRemote(plugin):
			return k.refuse(file, hint, "%s is remote, and nothing is downloaded", plugin)
		case err != nil:
			return nil // the library says it
		case info.IsDir():
			return k.refuse(file, hint, "%s is a folder of plugins, which is not rendered", plugin)
		}
		if content, err = readRegular(path); err != nil {
			return k.refuse(path, "", "%v", err)
		}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var n yaml.Node
		err := decoder.Decode(&n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return k.refuse(file, hint, "a plugin that is no YAML: %v", err)
		}
		if remote := remoteIn(&n); remote != "" {
			return k.refuse(file, hint, "a plugin names %s, which is remote, and nothing is downloaded", remote)
		}
	}
}

// remoteIn returns a scalar that is the address of something remote.
func remoteIn(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		for _, part := range append(strings.Split(n.Value, "="), n.Value) {
			if isRemote(part) {
				return part
			}
		}
	}
	for _, child := range n.Content {
		if remote := remoteIn(child); remote != "" {
			return remote
		}
	}
	return ""
}

// documents returns the rendered resources.
func (k *kustomize) documents(resources resmap.ResMap) ([]Document, error) {
	var list []Document
	for _, r := range resources.Resources() {
		o := &kustomizeOrigin{k: k, file: k.kustomizations[0].file}
		origin, err := r.GetOrigin()
		if err != nil {
			return nil, err
		}
		switch {
		case origin == nil:
		case origin.ConfiguredIn != "":
			o.file, o.generated = filepath.Join(k.root, origin.ConfiguredIn), true
		case origin.Path != "":
			o.file = filepath.Join(k.root, origin.Path)
		}
		if err := r.SetOrigin(nil); err != nil {
			return nil, err
		}
		data, err := r.AsYAML()
		if err != nil {
			return nil, err
		}
		list = append(list, Document{File: k.display(o.file), Data: data, Origin: o})
	}
	return list, nil
}
