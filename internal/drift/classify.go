package drift

import (
	"bytes"
	"encoding/binary"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// classes holds every class, from the most to the least significant.
var classes = []Class{Executable, Library, Script, Config, PackageDB, Data, Cache, Log}

func (c Class) rank() int { return slices.Index(classes, c) }

// classify returns the class of an entry by the head of its content (nil if unknown;
// 512 bytes are enough), its mode and its path. Executable content takes precedence
// over the path: a program in a log directory is a program.
func classify(e tree.Entry, head []byte) Class {
	switch {
	case inAny(e.Path, packagePaths):
		return PackageDB
	case e.Kind == tree.Regular && bytes.HasPrefix(head, []byte(elfMagic)):
		return classifyELF(e.Path, head)
	case e.Kind == tree.Regular && bytes.HasPrefix(head, []byte("#!")):
		return Script
	case isLibraryName(e.Path) && e.Kind != tree.Directory:
		return Library
	case slices.Contains(scriptNames, path.Ext(e.Path)) && e.Kind != tree.Directory:
		return Script
	case e.Kind == tree.Regular && e.Mode&0o111 != 0:
		return Executable
	case e.Kind == tree.Symlink && slices.Contains(programDirs, path.Dir(e.Path)):
		return Executable
	}
	return classifyPath(e)
}

const elfMagic = "\x7fELF"

// classifyELF distinguishes libraries from programs. Both are of type ET_DYN (3) today,
// so the name decides; relocatable objects (1), kernel modules among them, are
// loaded into something else.
func classifyELF(name string, head []byte) Class {
	const typeAt, relocatable = 16, 1
	if isLibraryName(name) {
		return Library
	}
	if len(head) >= typeAt+2 && binary.LittleEndian.Uint16(head[typeAt:]) == relocatable {
		return Library
	}
	return Executable
}

// isLibraryName reports whether a name is that of a shared object, with or without a
// version (libc.so.6), a static library, a kernel module, or compiled code of another
// runtime.
func isLibraryName(name string) bool {
	base := path.Base(name)
	return strings.Contains(base+".", ".so.") || slices.Contains(libraryNames, path.Ext(base))
}

func classifyPath(e tree.Entry) Class {
	base := path.Base(e.Path)
	switch {
	case inAny(e.Path, logPaths) || path.Ext(base) == ".log":
		return Log
	case inAny(e.Path, cachePaths) || hasDir(e.Path, ".cache") || hasDir(e.Path, "__pycache__"):
		return Cache
	case inAny(e.Path, configPaths) || hasDir(e.Path, ".ssh"):
		return Config
	case e.Kind != tree.Directory && (slices.Contains(configNames, path.Ext(base)) || isDotFile(base)):
		return Config
	}
	return Data
}

// isDotFile reports whether a name is one like .bashrc or .env.
func isDotFile(base string) bool {
	return strings.HasPrefix(base, ".") && !strings.HasPrefix(base, "..") && path.Ext(base[1:]) == ""
}

var (
	packagePaths = []string{
		"/var/lib/dpkg", "/var/lib/rpm", "/usr/lib/sysimage/rpm", "/var/lib/pacman/local",
		"/lib/apk/db", "/usr/lib/apk/db", "/etc/apk/world", "/var/lib/apt/extended_states",
	}
	logPaths     = []string{"/var/log"}
	cachePaths   = []string{"/var/cache", "/tmp", "/var/tmp", "/var/lib/apt/lists"}
	configPaths  = []string{"/etc", "/usr/local/etc", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/var/spool/cron", "/usr/lib/systemd", "/lib/systemd"}
	programDirs  = []string{"/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"}
	configNames  = []string{".conf", ".cfg", ".cnf", ".ini", ".yaml", ".yml", ".toml", ".properties", ".env", ".json", ".xml", ".service", ".socket", ".timer"}
	scriptNames  = []string{".sh", ".bash", ".py", ".pl", ".pm", ".rb", ".php", ".lua", ".js", ".mjs", ".cjs", ".ts", ".ps1", ".tcl", ".awk", ".jsp"}
	libraryNames = []string{".so", ".a", ".o", ".ko", ".pyc", ".jar", ".war", ".class", ".dll", ".wasm", ".node"}
)

// hasDir reports whether a directory in a path, or its last component, has a name.
func hasDir(p, name string) bool {
	for {
		i := strings.Index(p, name)
		if i < 0 {
			return false
		}
		end := i + len(name)
		if i > 0 && p[i-1] == '/' && (end == len(p) || p[end] == '/') {
			return true
		}
		p = p[end:]
	}
}

// isBelow reports whether a path lies below a directory.
func isBelow(p, dir string) bool {
	return len(p) > len(dir) && p[len(dir)] == '/' && strings.HasPrefix(p, dir)
}

// inAny reports whether a path is one of those named or lies below it.
func inAny(p string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return p == dir || isBelow(p, dir) })
}
