package profile

import (
	"path"
	"slices"
	"strings"
)

// shared are the directories of the Filesystem Hierarchy Standard in which many
// programs keep files. A directory that a program created there is mounted
// instead of the shared one, and siblings there are never joined, because a
// volume over a shared directory would hide the files of other programs.
var shared = []string{
	"/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/media", "/mnt", "/opt", "/proc", "/run", "/run/lock",
	"/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/backups", "/var/cache", "/var/lib", "/var/local",
	"/var/log", "/var/mail", "/var/opt", "/var/spool", "/var/tmp",
}

// isShared reports whether several programs share a directory.
func isShared(dir string) bool {
	return slices.Contains(shared, dir) || path.Dir(dir) == "/usr" || path.Dir(dir) == "/usr/local" ||
		strings.HasPrefix(dir, "/lib") && path.Dir(dir) == "/"
}

// isKernels reports whether a path is in a file system of the kernel, where a
// volume cannot be mounted.
func isKernels(name string) bool {
	return within(name, "/dev") || within(name, "/proc") || within(name, "/sys")
}

// RuntimeFile returns which field of a pod sets a file that the runtime mounts
// into each container, and "" for other paths. No volume can make it writable.
func RuntimeFile(name string) string {
	switch name {
	case "/etc/hostname":
		return "hostname in the pod sets it"
	case "/etc/hosts":
		return "hostAliases in the pod add to it"
	case "/etc/resolv.conf":
		return "dnsConfig in the pod sets it"
	}
	return ""
}

// isFixed reports whether a path holds programs and configuration, which an
// immutable container must protect. There, mounting a single file is preferred
// to mounting the directory around it.
func isFixed(name string) bool {
	first := childOf(name, "/")
	switch first {
	case "/bin", "/boot", "/etc", "/opt", "/sbin", "/usr":
		return true
	}
	return name == "/" || strings.HasPrefix(first, "/lib")
}

// isScratch reports whether a directory holds temporary names by convention.
func isScratch(dir string) bool {
	return within(dir, "/tmp") || within(dir, "/var/tmp")
}

// isRuntime reports whether a reboot removes the files below a path.
func isRuntime(name string) bool {
	return within(name, "/run") || isScratch(name)
}
