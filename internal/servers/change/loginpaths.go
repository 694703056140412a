package change

import (
	"debug/elf"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// loginPrograms are the programs that logins and reverts of changes need.
var loginPrograms = []string{
	"/usr/sbin/sshd", "/usr/lib/openssh", "/usr/libexec/openssh", "/bin/sh", "/bin/bash", "/usr/bin/systemctl", "/usr/sbin/nft",
	"/usr/sbin/xtables-nft-multi", "/usr/sbin/xtables-legacy-multi", "/usr/bin/sudo",
}

// libraryDirs are the directories in which the dynamic linker finds libraries, and
// the modules of PAM and NSS.
func libraryDirs(root *rootfs.Root) []string {
	dirs := []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64"}
	for _, base := range []string{"/lib", "/usr/lib"} {
		entries, err := root.ReadDir(base)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if e.Kind == tree.Directory && strings.Contains(path.Base(e.Path), "-linux-") {
				dirs = append(dirs, e.Path)
			}
		}
	}
	return dirs
}

// maxLogin bounds the programs and libraries of logins that are saved.
const maxLogin = 2000

// loginPaths returns the files that a login needs and that are in no directory of
// configuration: sshd, shells, the modules of PAM, and their libraries; and the
// directories with the keys of users. Paths that do not exist are left out.
func loginPaths(root *rootfs.Root) []string {
	found := map[string]bool{}
	dirs := libraryDirs(root)
	var todo []string
	add := func(p string) {
		target, ok, err := root.Resolve(p)
		if err != nil || !ok || found[target] || len(found) >= maxLogin {
			return
		}
		found[target], found[linkOf(root, p)] = true, true
		todo = append(todo, target)
	}
	for _, p := range slices.Concat(loginPrograms, loginShells(root)) {
		add(p)
	}
	for _, dir := range dirs {
		add(path.Join(dir, "security"))
	}
	for len(todo) > 0 {
		p := todo[0]
		todo = todo[1:]
		if entries, err := root.ReadDir(p); err == nil {
			for _, e := range entries {
				add(e.Path)
			}
			continue
		}
		for _, library := range librariesOf(root, p) {
			for _, dir := range dirs {
				add(path.Join(dir, library))
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// linkOf returns a path with the symbolic links of its directory resolved, so that a link
// is saved together with its target.
func linkOf(root *rootfs.Root, p string) string {
	dir, _, err := root.Resolve(path.Dir(p))
	if err != nil {
		return p
	}
	return path.Join(dir, path.Base(p))
}

// loginShells returns the shells of users, and the directories with their keys.
func loginShells(root *rootfs.Root) (paths []string) {
	f, err := root.Open("/etc/passwd")
	if err != nil {
		return nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		field := strings.Split(strings.TrimSpace(line), ":")
		if len(field) < 7 || strings.HasSuffix(field[6], "/nologin") || strings.HasSuffix(field[6], "/false") {
			continue
		}
		paths = append(paths, field[6], path.Join(field[5], ".ssh"))
	}
	return paths
}

// librariesOf returns the names of the libraries that a program or library needs, none
// for other files.
func librariesOf(root *rootfs.Root, p string) []string {
	f, err := root.Open(p)
	if err != nil {
		return nil
	}
	defer f.Close()
	program, err := elf.NewFile(f)
	if err != nil {
		return nil
	}
	names, err := program.ImportedLibraries()
	if err != nil {
		return nil
	}
	if s := program.Section(".interp"); s != nil {
		if text, err := s.Data(); err == nil {
			names = append(names, path.Base(strings.TrimRight(string(text), "\x00")))
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return strings.Contains(name, "/") })
}
