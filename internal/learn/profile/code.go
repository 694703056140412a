package profile

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/learn/trace"
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

// codeNames are the names of directories that hold code, even if the image has
// none there.
var codeNames = []string{"bin", "dist-packages", "node_modules", "sbin", "site-packages"}

// exposes returns which code or configuration of the image becomes writable by
// a mount, or "".
func (s Rootfs) exposes(m mount) string {
	switch first, count := s.codeIn(m.path); {
	case m.kind == file:
		return ""
	case m.path == "/etc":
		return "the configuration of all programs, accounts and certificates"
	case count > 1:
		return fmt.Sprintf("%d programs, scripts and libraries, such as %s", count, first)
	case count == 1:
		return first
	case slices.Contains(codeNames, path.Base(m.path)):
		return "a directory of programs"
	}
	return ""
}

// maxFilesShown bounds the alternatives to one volume.
const maxFilesShown = 5

// filesIn returns the files that are written below a directory: those of the
// image or, if there are none, those that are created and stay.
func (s Rootfs) filesIn(dir string, writes []Write) []string {
	var ofImage, made []string
	for _, w := range writes {
		if w.Path == dir || !within(w.Path, dir) || isVarying(w.Path) {
			continue
		}
		e, had := s.Tree.Lookup(w.Path)
		switch {
		case had && e.Kind == tree.Regular && !onlyChecks(w):
			ofImage = append(ofImage, w.Path)
		case !had && onlyMakes(&w) && w.Ops[trace.Create] > 0:
			made = append(made, w.Path)
		}
	}
	if len(ofImage) == 0 {
		ofImage = made
	}
	return ofImage[:min(len(ofImage), maxFilesShown)]
}

// onlyChecks reports whether a program only asked whether it may write.
func onlyChecks(w Write) bool { return len(w.Ops) == 1 && w.Ops[trace.Check] > 0 }

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
