package policy

import (
	"path"
	"slices"
	"strings"
)

// cleanPath returns an absolute path without superfluous parts, or "" if it is none.
func cleanPath(p string) string {
	if !strings.HasPrefix(p, "/") {
		return ""
	}
	return path.Clean(p)
}

// isWithin reports whether a clean path is dir or below it.
func isWithin(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}

func hostPathWritable(c container, r *reporter) {
	for _, m := range c.mounts {
		if m.volume.kind == "hostPath" && !m.readOnly {
			r.mount(m, "%s of the node is writable at %s", hostPath(m.volume), m.path).about(hostPath(m.volume))
		}
	}
}

func hostPath(v volume) string {
	p := v.source().Get("path").Text()
	if clean := cleanPath(p); clean != "" {
		return clean
	}
	return "a path"
}

// mount adds a finding about a mount of a container.
func (r *reporter) mount(m mount, format string, args ...any) *Finding {
	return r.add(m.value, joinPath(r.basePath(), "volumeMounts")+"["+itoa(m.index)+"]", format, args...).about(m.path)
}

// sockets are where runtimes listen. /var/run is a link to /run on a node.
var sockets = []string{
	"/run/docker.sock", "/run/containerd/containerd.sock", "/run/crio/crio.sock", "/run/cri-dockerd.sock", "/run/dockershim.sock",
	"/run/k3s/containerd/containerd.sock", "/run/k0s/containerd.sock", "/run/podman/podman.sock", "/run/nri/nri.sock",
	"/var/snap/microk8s/common/run/containerd.sock", "/run/docker/containerd/containerd.sock",
}

// runtimeSocket reports a runtime's socket in a container. It can be used on a read-only
// mount, too.
func runtimeSocket(c container, r *reporter) {
	for _, m := range c.mounts {
		if m.volume.kind != "hostPath" {
			continue
		}
		p := hostPath(m.volume)
		if rest, ok := strings.CutPrefix(p, "/var/run"); ok && (rest == "" || rest[0] == '/') {
			p = "/run" + rest
		}
		if i := slices.IndexFunc(sockets, func(s string) bool { return isWithin(s, p) }); i >= 0 {
			source := m.volume.source().Get("path")
			at := joinPath(c.pod.path, "volumes") + "[" + itoa(m.volume.index) + "].hostPath.path"
			r.add(source, at, "%s has the socket of a container runtime (%s): whoever reaches it can start any container on the node", hostPath(m.volume), sockets[i]).about(hostPath(m.volume), m.path)
		}
	}
}

// codeRoots are the directories that hold nothing but programs and libraries.
var codeRoots = []string{
	"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec",
	"/usr/local/bin", "/usr/local/sbin", "/usr/local/lib", "/usr/local/lib64", "/usr/local/libexec", "/usr/local/go", "/go/bin",
}

// codeParents are directories in which such directories are, and the usual places of an
// application as a whole.
var codeParents = []string{
	"/", "/usr", "/usr/local", "/usr/src/app", "/opt", "/app", "/application", "/code", "/workspace", "/go", "/home/app", "/srv/app",
}

// codeNames are the names of directories that hold code, wherever they are.
var codeNames = []string{"bin", "sbin", "lib", "lib64", "libexec", "site-packages", "dist-packages", "node_modules", "plugins", "modules"}

// holdsCode reports whether a directory holds code by convention.
func holdsCode(dir string) bool {
	if slices.Contains(codeParents, dir) || slices.ContainsFunc(codeRoots, func(root string) bool { return isWithin(dir, root) }) {
		return true
	}
	parent, name := path.Split(dir)
	switch parent {
	case "/opt/":
		return !holdsData(name) // /opt/NAME is an application
	case "/var/lib/", "/var/", "/":
		return false // data, also if it is called lib
	}
	return slices.Contains(codeNames, name) && (isWithin(dir, "/opt") || isWithin(dir, "/app") || isWithin(dir, "/usr") || isWithin(dir, "/srv") || isWithin(dir, "/home"))
}

// dataNames are the names of directories of data below /opt.
var dataNames = []string{"data", "tmp", "temp", "cache", "log", "logs", "run", "var", "work", "storage", "backup", "backups", "config", "conf", "etc"}

func holdsData(name string) bool { return slices.Contains(dataNames, name) }

// writableOverCode reports a writable volume over a directory of code, in the PATH of
// the container, or with the program that it starts. The content of the image decides where
// code is, or a convention if the image is not available.
func writableOverCode(c container, r *reporter) {
	searched := searchPath(c)
	program := programOf(c)
	if c.content != nil && !c.value.Get("command").IsSet() {
		program = c.content.program(c)
	}
	for _, m := range c.mounts {
		if !m.writable() {
			continue
		}
		isConvention := holdsCode(m.path)
		if c.content != nil {
			if first := c.content.code(m.path); first != "" {
				r.mount(m, "volume %s is writable at %s, where the image has code, such as %s", m.volume.name, m.path, first)
				continue
			}
			if _, exists := c.content.resolve(m.path); exists {
				isConvention = false
			}
		}
		switch {
		case isConvention:
			r.mount(m, "volume %s is writable at %s, where programs are by convention", m.volume.name, m.path)
		case slices.Contains(searched, m.path):
			r.mount(m, "volume %s is writable at %s, which is in the PATH of the container", m.volume.name, m.path)
		case len(searched) == 0 && c.content != nil && c.content.inPath(m.path):
			r.mount(m, "volume %s is writable at %s, which is in the PATH of the image", m.volume.name, m.path)
		case program != "" && innermost(c.mounts, program) == m.path:
			r.mount(m, "volume %s is writable at %s, and the container starts %s from it", m.volume.name, m.path, program)
		}
	}
}

// searchPath returns the directories of the PATH that the manifest sets.
func searchPath(c container) []string {
	var all []string
	for _, e := range c.value.Get("env").Items() {
		if e.Get("name").Text() != "PATH" {
			continue
		}
		for dir := range strings.SplitSeq(e.Get("value").Text(), ":") {
			all = append(all, cleanPath(dir))
		}
	}
	return all
}

// programOf returns the path of the program that the manifest starts, or "".
func programOf(c container) string {
	for _, v := range c.value.Get("command").Items() {
		return cleanPath(v.Text())
	}
	return ""
}

// innermost returns the path of the mount that a file is on, or "".
func innermost(mounts []mount, file string) string {
	best := ""
	for _, m := range mounts {
		if isWithin(file, m.path) && len(m.path) > len(best) {
			best = m.path
		}
	}
	return best
}

// filled are directories in which nearly every image that has them has files.
var filled = []string{
	"/", "/bin", "/sbin", "/lib", "/lib64", "/usr", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/local", "/usr/local/bin", "/usr/local/lib",
	"/usr/share", "/etc", "/etc/ssl", "/etc/ssl/certs", "/etc/pki", "/etc/nginx", "/etc/nginx/conf.d", "/etc/apache2", "/etc/httpd",
	"/etc/ingress-controller", "/usr/share/nginx", "/usr/share/nginx/html", "/usr/local/apache2", "/usr/local/tomcat", "/usr/local/etc",
	"/usr/src/app", "/opt", "/app", "/application", "/var", "/var/lib", "/var/lib/dpkg", "/var/www", "/var/www/html", "/docker-entrypoint.d", "/go",
}

// hidesImageContent reports an empty volume over a directory in which the image has files,
// unless an init container fills it. Without the image, that is decided by convention.
func hidesImageContent(c container, r *reporter) {
	for _, m := range c.mounts {
		if m.volume.kind != "emptyDir" && m.volume.kind != "ephemeral" || c.isFilled(m.volume.name) {
			continue
		}
		if c.content != nil {
			if n, first := c.content.files(m.path); n == 1 {
				r.mount(m, "volume %s is empty and hides %s of the image", m.volume.name, first)
			} else if n > 1 {
				r.mount(m, "volume %s is empty and hides %s files that the image has in %s, such as %s", m.volume.name, counted(n), m.path, first)
			}
			continue
		}
		if !slices.Contains(filled, m.path) {
			continue
		}
		r.mount(m, "volume %s is empty and hides what the image has in %s", m.volume.name, m.path)
	}
}

// counted returns a number of files, which were counted up to maxCounted.
func counted(n int) string {
	if n == maxCounted {
		return itoa(n) + " or more"
	}
	return itoa(n)
}

// isFilled reports whether an init container that starts before this one can write to a
// volume, so that it can fill it.
func (c container) isFilled(volume string) bool {
	by, ok := c.pod.filledBy[volume]
	return ok && (c.list != "initContainers" || by < c.index)
}

func unboundedVolume(p *pod, r *reporter) {
	for i, v := range p.spec.Get("volumes").Items() {
		if !v.IsMapping() || volumeKind(v) != "emptyDir" {
			continue
		}
		at := joinPath(p.path, "volumes") + "[" + itoa(i) + "].emptyDir.sizeLimit"
		limit := v.Get("emptyDir", "sizeLimit")
		last, _ := v.Find("emptyDir", "sizeLimit")
		name := v.Get("name").Scalar()
		switch {
		case !limit.IsSet():
			where := "the disk of the node"
			if v.Get("emptyDir", "medium").Text() == "Memory" {
				where = "the memory of the container or, without a limit there, of the node"
			}
			r.add(last, at, "volume %s has no sizeLimit: it can fill %s", name, where).about(name)
		case strings.Trim(strings.TrimRight(limit.Scalar(), "EPTGMKimk"), "+-0.") == "" || strings.HasPrefix(limit.Scalar(), "-"):
			r.add(last, at, "volume %s has the sizeLimit %s, which a kubelet takes for none", name, limit.Scalar()).about(name)
		}
	}
}
