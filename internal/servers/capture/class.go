package capture

import (
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// A Class is the reason why an entry is in no layer.
type Class string

// The classes.
const (
	classExcluded  Class = "excluded"  // by SurveyOptions.Exclude
	classKernel    Class = "kernel"    // the kernel and its boot files: a container has the node's
	classVirtual   Class = "virtual"   // made by the kernel, not on a disk
	classIdentity  Class = "identity"  // keys and seeds of this one server
	className      Class = "name"      // the names of the server: a pod has its own
	classLease     Class = "lease"     // addresses that were handed out
	classLog       Class = "log"       // logs
	classCache     Class = "cache"     // can be generated or downloaded again
	classTemporary Class = "temporary" // gone with the next boot
	classState     Class = "state"     // of the system's own services
	classHome      Class = "home"      // homes of people: a workload has none
	classNested    Class = "nested"    // of containers and machines that run on the server
	classAccount   Class = "account"   // password hashes: nobody logs in to a container
	classSocket    Class = "socket"    // created by the program that listens
	classDevice    Class = "device"    // a pod gets its own /dev
	classMounted   Class = "mounted"   // another file system that is not the server's own
	classUnnamable Class = "unnamable" // a layer would take the name for a deletion
	classUnread    Class = "unread"    // could not be read
)

// classPatterns are the paths that are in no layer, in addition to those that
// differ between servers by design. A pattern is one of path.Match; with a slash at
// the end it matches everything below a directory.
var classPatterns = []struct {
	pattern string
	class   Class
}{
	{"/proc/", classVirtual}, {"/sys/", classVirtual}, {"/dev/", classVirtual},
	{"/boot/", classKernel}, {"/usr/lib/modules/", classKernel}, {"/usr/lib/firmware/", classKernel}, {"/lib/modules/", classKernel}, {"/lib/firmware/", classKernel},
	{"/initrd.img*", classKernel}, {"/vmlinuz*", classKernel}, {"/usr/src/linux-*", classKernel},
	{"/var/lib/initramfs-tools/", classKernel}, {"/var/lib/dkms/", classKernel},
	{"/lost+found", classState}, {"/swap.img", classState}, {"/var/spool/cron/", classState}, {"/var/spool/anacron/", classState},
	{"/var/lib/systemd/", classState}, {"/var/lib/dbus/", classState}, {"/var/lib/polkit-1/", classState}, {"/var/lib/apt/", classState},
	{"/var/lib/dpkg/*-old", classState}, {"/var/lib/dpkg/lock*", classState}, {"/var/lib/dpkg/triggers/Lock", classState},
	{"/var/lib/cloud/", classState}, {"/var/lib/snapd/", classState}, {"/var/lib/ubuntu-*", classState}, {"/var/lib/update-notifier/", classState},
	{"/var/lib/private/systemd/", classState}, {"/var/lib/command-not-found/", classCache}, {"/var/lib/man-db/", classCache},
	{"/etc/passwd-", classState}, {"/etc/group-", classState}, {"/etc/shadow-", classState}, {"/etc/gshadow-", classState},
	{"/etc/subuid-", classState}, {"/etc/subgid-", classState},
	{"/root/", classHome}, {"/home/", classHome},
	{"/var/lib/docker/", classNested}, {"/var/lib/containerd/", classNested}, {"/var/lib/containers/", classNested}, {"/var/lib/cni/", classNested},
	{"/var/lib/kubelet/", classNested}, {"/var/lib/lxc/", classNested}, {"/var/lib/lxd/", classNested}, {"/var/lib/libvirt/", classNested}, {"/opt/cni/", classNested},
}

// classOfExpected maps the classes of files that differ between servers by design.
// facts.Key is missing: private keys are found by their content, as secrets.
var classOfExpected = map[facts.Expected]Class{
	facts.Identity: classIdentity, facts.Name: className, facts.Lease: classLease, facts.Log: classLog,
	facts.Cache: classCache, facts.Temporary: classTemporary, facts.State: classState,
}

// classAt returns the class of an entry that is left out because of its path alone.
func classAt(e tree.Entry) (Class, bool) {
	for _, p := range classPatterns {
		if matches(p.pattern, e.Path) {
			return p.class, true
		}
	}
	// These files differ between servers, but a service reads them.
	if e.Path == "/etc/mailname" || slices.ContainsFunc(keptDirs, func(dir string) bool { return strings.HasPrefix(e.Path, dir) }) {
		return "", false
	}
	expected, is := facts.ExpectedAt(e.Path)
	class := classOfExpected[expected]
	if !is || class == "" {
		return "", false
	}
	return class, !isStructure(e, class)
}

// keptDirs are directories whose files are captured although they differ between
// servers.
var keptDirs = []string{"/var/spool/", "/var/lib/rpm/", "/usr/lib/sysimage/rpm/"}

// isStructure reports whether an entry is a directory that programs expect to
// exist, although its content is left out: /var/log/nginx, /var/cache/nginx.
func isStructure(e tree.Entry, class Class) bool {
	if e.Kind != tree.Directory {
		return false
	}
	return class == classLog || class == classCache && path.Dir(e.Path) == "/var/cache"
}

// matches reports whether a pattern of classPatterns matches a path.
func matches(pattern, p string) bool {
	if dir, isDir := strings.CutSuffix(pattern, "/"); isDir && dir != "" {
		return strings.HasPrefix(p, dir+"/")
	}
	ok, _ := path.Match(pattern, p)
	return ok
}

// generated are the files that maintainer scripts of packages create. No package
// contains them, but they follow from the packages and belong to their layer.
var generated = []string{
	"/etc/alternatives/", "/etc/ld.so.cache", "/etc/rc?.d/*", "/etc/ssl/certs/", "/etc/ssl/certs/ca-certificates.crt", "/etc/shells", "/etc/pam.d/common-*",
	"/etc/systemd/system/*.wants/*", "/etc/systemd/user/*.wants/*", "/etc/dpkg/origins/default", "/etc/.java/",
	"/var/lib/dpkg/", "/var/lib/ucf/", "/var/lib/pam/", "/var/lib/rpm/", "/usr/lib/sysimage/rpm/", "/lib/apk/db/",
	"/var/lib/misc/", "/var/lib/shells.state", "/etc/security/opasswd", "/etc/systemd/system/*.service", "/var/lib/python/", "/var/lib/vim/", "/var/lib/xml-core/", "/var/lib/sgml-base/", "/var/lib/emacsen-common/",
	"/usr/lib/locale/locale-archive", "/usr/lib/locale/C.utf8/", "/usr/share/mime/", "/usr/share/info/dir",
	"/usr/share/glib-2.0/schemas/gschemas.compiled", "/usr/share/applications/mimeinfo.cache",
	"/usr/lib/*/gio/modules/giomodule.cache", "/usr/lib/*/gdk-pixbuf-2.0/*/loaders.cache", "/usr/lib/*/gconv/gconv-modules.cache",
	"/usr/share/fonts/", "/usr/share/icons/*/icon-theme.cache", "/etc/mailcap", "/etc/fonts/conf.d/",
}

// skeleton are the directories and links that the first package creates on an
// empty disk (the postinst script of Debian's base-files).
var skeleton = []string{
	"/", "/home", "/media", "/mnt", "/opt", "/srv", "/etc/opt", "/etc/systemd/system/*.wants", "/usr/lib64", "/usr/local", "/usr/local/*",
	"/usr/local/share/man", "/usr/local/share/ca-certificates", "/var/local", "/var/mail", "/var/opt", "/var/spool/mail",
}

// isGenerated reports whether a maintainer script created an entry that no package
// contains. A file in the place of a generated link was made by hand.
func isGenerated(e tree.Entry, people bool) bool {
	// The files of users belong to the packages' layer unless a user was added by hand.
	if facts.IsAccountFile(e.Path) {
		return !people
	}
	if strings.HasSuffix(e.Path, ".pyc") && strings.HasPrefix(e.Path, "/usr/") || path.Base(e.Path) == "__pycache__" {
		// Packages never write there, so this was compiled from a file made by hand.
		return !strings.HasPrefix(e.Path, "/usr/local/")
	}
	if e.Kind == tree.Symlink && strings.HasPrefix(e.Target, "/etc/alternatives/") {
		return true
	}
	if e.Kind == tree.Directory || e.Kind == tree.Symlink && !strings.HasPrefix(e.Target, "/") {
		if slices.ContainsFunc(skeleton, func(pattern string) bool { return matches(pattern, e.Path) }) {
			return true
		}
	}
	// systemctl enable links to the units of packages. A link to anywhere else, or
	// a file, comes from an administrator.
	isUnitLink := strings.HasPrefix(e.Path, "/etc/systemd/")
	if isUnitLink && (e.Kind != tree.Symlink || !strings.HasPrefix(e.Target, "/lib/") && !strings.HasPrefix(e.Target, "/usr/lib/")) {
		return false
	}
	return slices.ContainsFunc(generated, func(pattern string) bool {
		// In the directories of /etc scripts create only links. Files there were
		// made by hand.
		inEtc := strings.HasPrefix(pattern, "/etc/") && strings.HasSuffix(pattern, "/")
		return matches(pattern, e.Path) && (!inEtc || e.Kind == tree.Symlink)
	})
}
