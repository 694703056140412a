package policy

import (
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// An ImageContent is the content of an image that is available, so that the rules about
// volumes need no conventions. It may be used by several goroutines.
type ImageContent struct {
	Tree       tree.Tree
	Path       []string // directories of its PATH
	WorkDir    string
	Entrypoint []string
	Cmd        []string

	Digest string // of the image
	Index  string // digest of the index of several platforms that lists it, "" if there is none
}

// maxCounted bounds the files that are counted for a message.
const maxCounted = 1000

// resolve returns the path of a directory behind the links of the image, as a runtime mounts
// at it, and whether the image has it.
func (i *ImageContent) resolve(dir string) (string, bool) {
	real, exists, err := i.Tree.Resolve(dir)
	if err != nil {
		return dir, false
	}
	return real, exists
}

// files counts the files below a directory, up to maxCounted, and returns the first one.
func (i *ImageContent) files(dir string) (n int, first string) {
	real, _ := i.resolve(dir)
	for e := range i.Tree.Under(real) {
		if e.Kind == tree.Directory {
			continue
		}
		if n++; n == 1 {
			first = e.Path
		}
		if n == maxCounted {
			break
		}
	}
	return n, first
}

// code returns the first file below a directory that is run or loaded by a program, or "".
func (i *ImageContent) code(dir string) string {
	real, _ := i.resolve(dir)
	for e := range i.Tree.Under(real) {
		if e.Kind == tree.Regular && isCode(e) {
			return e.Path
		}
	}
	return ""
}

// inPath reports whether a directory is in the PATH of the image.
func (i *ImageContent) inPath(dir string) bool {
	real, _ := i.resolve(dir)
	return slices.ContainsFunc(i.Path, func(p string) bool {
		at, _ := i.resolve(cleanPath(p))
		return p != "" && at == real
	})
}

// program returns the path of the program that the image starts in a container without a
// command, "" if it is not known. A name without a slash is looked for in PATH.
func (i *ImageContent) program(c container) string {
	argv := i.Entrypoint
	if args := c.value.Get("args"); len(argv) == 0 && args.IsSet() {
		for _, v := range args.Items() {
			argv = append(argv, v.Text())
		}
	} else if len(argv) == 0 {
		argv = i.Cmd
	}
	switch {
	case len(argv) == 0 || argv[0] == "":
		return ""
	case strings.HasPrefix(argv[0], "/"):
		return cleanPath(argv[0])
	case strings.Contains(argv[0], "/"):
		return path.Join("/", i.WorkDir, argv[0])
	}
	for _, dir := range i.Path {
		if name := path.Join("/", dir, argv[0]); dir != "" {
			if _, exists := i.resolve(name); exists {
				return name
			}
		}
	}
	return ""
}

// isCode reports whether a file is run or loaded by a program. The mode of files that were
// copied from another system often has all bits, so it does not count for data.
func isCode(e tree.Entry) bool {
	name := path.Base(e.Path)
	ext := path.Ext(name)
	if slices.Contains(codeExtensions, ext) || strings.Contains(name, ".so.") {
		return true
	}
	return e.Mode&0o111 != 0 && e.Size > 0 && !slices.Contains(dataExtensions, ext)
}

var (
	codeExtensions = []string{".so", ".jar", ".war", ".class", ".py", ".pyc", ".rb", ".php", ".pl", ".pm", ".lua", ".mjs", ".cjs", ".node", ".dll", ".wasm"}
	dataExtensions = []string{
		".conf", ".cfg", ".cnf", ".ini", ".properties", ".env", ".json", ".yaml", ".yml", ".toml", ".xml", ".txt", ".md", ".html", ".htm", ".css", ".js", ".map",
		".svg", ".png", ".jpg", ".jpeg", ".gif", ".ico", ".woff", ".woff2", ".ttf", ".pem", ".crt", ".key", ".log", ".csv", ".sql", ".db", ".gz", ".zip", ".xz", ".tar",
	}
)

// childDigest returns the digest of the index that a manifest should pin instead of one
// platform's image, or "".
func (i *ImageContent) childDigest(digest string) string {
	if i == nil || digest != i.Digest || i.Index == digest {
		return ""
	}
	return i.Index
}
