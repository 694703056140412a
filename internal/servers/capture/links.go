package capture

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// linkServices finds the services that talk to each other over this machine only, and
// puts them into one pod each.
func (s *survey) linkServices() {
	services := s.plan.Services
	for i := range services {
		texts := s.linkTexts(&services[i], &s.units[i])
		for j := range services {
			if i == j {
				continue
			}
			link, socket := s.findLink(i, j, texts)
			if link.Over == "" {
				continue
			}
			s.plan.Links = append(s.plan.Links, link)
			if socket != "" {
				s.shareSocket(&services[i], &services[j], path.Dir(socket))
			}
		}
	}
	s.plan.formPods()
}

// findLink returns a link from a service to another one, and the path of its socket if it
// has one. Over is empty if there is no link.
func (s *survey) findLink(from, to int, texts []linkText) (l Link, socket string) {
	a, b := &s.plan.Services[from], &s.plan.Services[to]
	l = Link{From: a.Name, To: b.Name}
	for _, p := range b.Ports {
		if p.Protocol != "tcp" || slices.ContainsFunc(a.Ports, func(o Port) bool { return o.Protocol == "tcp" && o.Number == p.Number }) {
			continue // what names a port of its own is how the service is told to listen
		}
		for _, t := range texts {
			if address := t.ports[p.Number]; address != "" {
				l.Over, l.Why = address, t.where+" names it"
				return l, ""
			}
		}
		if address, open := s.connected(a, p.Number); open {
			l.Over, l.Why = address, "a connection is open"
			return l, ""
		}
	}
	own := listeningPaths(s.socketsOf(a))
	for _, at := range listeningPaths(s.socketsOf(b)) {
		for _, t := range texts {
			// A directory of its own in /run stands for the sockets in it.
			isNamed := t.paths[at] || t.paths[path.Dir(at)] && isBelow(path.Dir(at), "/run")
			if isNamed && !slices.Contains(own, at) {
				l.Over, l.Why = at, t.where+" names it"
				return l, at
			}
		}
	}
	return l, ""
}

// connected reports whether a service has a connection to a port of this machine.
func (s *survey) connected(v *Service, port uint16) (string, bool) {
	for _, socket := range s.socketsOf(v) {
		isOwn := socket.Remote.Addr().IsLoopback() || socket.Remote.Addr() == socket.Local.Addr()
		if socket.Protocol == "tcp" && !socket.Listens && isOwn && socket.Remote.Port() == port {
			return socket.Remote.String(), true
		}
	}
	return "", false
}

func listeningPaths(sockets []facts.Socket) []string {
	var paths []string
	for _, socket := range sockets {
		if socket.Protocol == "unix" && socket.Listens {
			paths = append(paths, withoutVarRun(socket.Path))
		}
	}
	return paths
}

// withoutVarRun returns the path in /run for one in /var/run, which is a link to it.
func withoutVarRun(p string) string {
	if rest, ok := strings.CutPrefix(p, "/var/run/"); ok {
		return "/run/" + rest
	}
	return p
}

// shareSocket gives both services a directory with sockets. If it lies in the data of one
// of them, the other gets that data.
func (s *survey) shareSocket(a, b *Service, dir string) {
	for _, d := range s.plan.Data {
		if dir == d.Path || isBelow(dir, d.Path) {
			a.Data, b.Data = withPath(a.Data, d.Path), withPath(b.Data, d.Path)
			return
		}
	}
	a.Sockets, b.Sockets = withPath(a.Sockets, dir), withPath(b.Sockets, dir)
}

func withPath(list []string, p string) []string {
	if !slices.Contains(list, p) {
		list = append(list, p)
		slices.Sort(list)
	}
	return list
}

// A linkText is a text of a service and the addresses of this machine in it.
type linkText struct {
	where string            // "its command", or a file
	ports map[uint16]string // loopback addresses, by their port
	paths map[string]bool
}

// Bounds of the files of an application that are searched for addresses.
const (
	maxLinkFiles = 200
	maxLinkFile  = 256 << 10 // bytes
)

// linkTexts returns the texts of a service that can name the addresses to which it
// connects: its settings, its configuration, the files that its command names, and the
// files beside those.
func (s *survey) linkTexts(v *Service, u *unit) []linkText {
	settings := settingsOf(v, u)
	texts := []linkText{linkTextOf("its command or environment", settings)}
	named := map[string]bool{}
	s.addNamed(named, settings)
	files := s.configFiles(v, u, named)
	dirs := map[string]bool{}
	if v.WorkingDir != "" {
		dirs[path.Clean(v.WorkingDir)] = true
	}
	for p := range named {
		if e, _ := s.files.Lookup(p); e.Kind == tree.Directory {
			dirs[p] = true
		} else if isApplication(p) {
			dirs[path.Dir(p)] = true
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		files = s.addApplication(files, dir, 2)
	}
	files = slices.DeleteFunc(files, func(file string) bool { return s.isOfOther(v, file) })
	for _, file := range files {
		if t := linkTextOf(file, textLines(s.root, file)); len(t.ports) > 0 || len(t.paths) > 0 {
			texts = append(texts, t)
		}
	}
	return texts
}

// isOfOther reports whether the command of another service names a file, and that of this
// one does not.
func (s *survey) isOfOther(v *Service, file string) bool {
	return !slices.Contains(v.Command, file) && slices.ContainsFunc(s.plan.Services, func(o Service) bool { return slices.Contains(o.Command, file) })
}

// addApplication adds the small files in a directory of an application, down to a depth,
// without the libraries that it brings along.
func (s *survey) addApplication(files []string, dir string, depth int) []string {
	for e := range s.files.Children(dir) {
		switch {
		case len(files) >= maxLinkFiles || !isApplication(e.Path):
		case e.Kind == tree.Regular && e.Size < maxLinkFile:
			files = append(files, e.Path)
		case e.Kind == tree.Directory && depth > 1 && !slices.Contains([]string{"node_modules", "venv", ".venv", "vendor", ".git"}, path.Base(e.Path)):
			files = s.addApplication(files, e.Path, depth-1)
		}
	}
	return files
}

// isApplication reports whether a file can be one of an application, and not of the
// system.
func isApplication(p string) bool {
	return !slices.ContainsFunc([]string{"/usr/bin/", "/usr/sbin/", "/usr/lib", "/usr/share/", "/bin/", "/sbin/", "/lib", "/etc/", "/run/", "/dev/", "/proc/", "/tmp/", "/var/log/"},
		func(dir string) bool { return strings.HasPrefix(p, dir) })
}

// Addresses of this machine in a text: with their port, or as the values of two settings.
var (
	loopback    = `(?:127(?:\.[0-9]{1,3}){3}|localhost|\[::1\]|::1)`
	addressPort = regexp.MustCompile(`(?i)(?:^|[^A-Za-z0-9.:\-])(` + loopback + `:([0-9]{1,5}))(?:[^0-9.]|$)`)
	hostSetting = regexp.MustCompile(`(?i)(?:host|addr|server|url)[\w.\-]*["']?\s*(?:=>|[=:, \t])\s*["']?` + loopback + `(?:["'\s,;)/}]|$)`)
	portSetting = regexp.MustCompile(`(?i)port[\w.\-]*["']?\s*(?:=>|[=:, \t])\s*["']?([0-9]{1,5})(?:["'\s,;)}]|$)`)
)

func linkTextOf(where string, lines []string) linkText {
	t := linkText{where: where, ports: map[uint16]string{}, paths: map[string]bool{}}
	hasHost := false
	var ports []string
	for _, line := range lines {
		for _, m := range addressPort.FindAllStringSubmatch(line, maxNamed) {
			t.addPort(m[1], m[2])
		}
		hasHost = hasHost || hostSetting.MatchString(line)
		for _, m := range portSetting.FindAllStringSubmatch(line, maxNamed) {
			ports = append(ports, m[1])
		}
		for _, p := range pathInText.FindAllString(line, maxNamed) {
			if len(t.paths) < maxNamed {
				t.paths[withoutVarRun(path.Clean(p))] = true
			}
		}
	}
	if hasHost {
		for _, port := range ports {
			t.addPort("localhost:"+port, port)
		}
	}
	return t
}

func (t *linkText) addPort(address, port string) {
	if n, err := strconv.ParseUint(port, 10, 16); err == nil && t.ports[uint16(n)] == "" {
		t.ports[uint16(n)] = address
	}
}

// isLinkedTo reports whether another service connects to a service.
func (p *Plan) isLinkedTo(name string) bool {
	return slices.ContainsFunc(p.Links, func(l Link) bool { return l.To == name })
}

// formPods gives services that are linked one pod. It has the name of the first of them
// that others can reach.
func (p *Plan) formPods() {
	group := map[string]string{} // of each service, named after one of them
	for _, v := range p.Services {
		group[v.Name] = v.Name
	}
	for _, l := range p.Links {
		if from, to := group[l.From], group[l.To]; from != to {
			for name, g := range group {
				if g == to {
					group[name] = from
				}
			}
		}
	}
	names := map[string]string{}
	for _, isMain := range []func(v Service) bool{
		func(v Service) bool { return v.isReachable() && !p.isLinkedTo(v.Name) }, Service.isReachable, func(Service) bool { return true },
	} {
		for _, v := range p.Services {
			if g := group[v.Name]; names[g] == "" && isMain(v) {
				names[g] = v.Name
			}
		}
	}
	for i := range p.Services {
		p.Services[i].Pod = names[group[p.Services[i].Name]]
	}
}

// isReachable reports whether other machines can connect to a service.
func (v Service) isReachable() bool {
	return slices.ContainsFunc(v.Ports, func(p Port) bool { return !p.Local })
}
