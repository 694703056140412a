package profile

import (
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// codeSuffixes are the suffixes of files that are executed or loaded without
// being executable.
var codeSuffixes = []string{
	".class", ".dll", ".ex", ".exs", ".jar", ".js", ".jsp", ".lua", ".mjs", ".php", ".pl", ".pm", ".py", ".rb", ".sh", ".so", ".ts", ".war",
}

// isCode reports whether a file of the image is a program, a script or a
// library.
func isCode(e tree.Entry) bool {
	if e.Kind != tree.Regular || e.Size == 0 {
		return false
	}
	return e.Mode&0o111 != 0 || slices.Contains(codeSuffixes, path.Ext(e.Path)) || strings.Contains(path.Base(e.Path), ".so.")
}

// codeIn returns the programs, scripts and libraries that the image has at or
// below a path, without those that mounts hide: the first one and their number.
func (s Rootfs) codeIn(name string) (first string, count int) {
	for e := range s.Tree.Under(name) {
		if !isCode(e) || s.onMount(e.Path) {
			continue
		}
		if count == 0 {
			first = e.Path
		}
		count++
	}
	return first, count
}

// isIdleCheck reports whether a program may ask whether a path is writable
// without a wish to write there: installers and interpreters ask about programs
// and configuration, which stay protected unless a proof fails.
func isIdleCheck(name string, s Rootfs) bool {
	if isFixed(name) || isKernels(name) {
		return true
	}
	dir := name
	if !s.isDir(dir) {
		dir = path.Dir(dir)
	}
	_, count := s.codeIn(dir)
	return count > 0
}
