package capture

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// maxComm is how much of a program's name the kernel keeps, in bytes.
const maxComm = 15

// portsOf are the ports that a service listens on: those that its program has
// open, or, if the server does not run, those that it is known for.
func (s *survey) portsOf(v *Service) []Port {
	var ports []Port
	for _, f := range s.facts {
		if f.Section != facts.Listener || !isProgram(f.Value, v.Command) {
			continue
		}
		protocol, address, _ := strings.Cut(f.Key, " ")
		at, err := netip.ParseAddrPort(address)
		if err == nil {
			ports = append(ports, Port{protocol, at.Port(), at.Addr().IsLoopback()})
		}
	}
	if d, known := daemonOf(v.Command[0]); known && !s.opts.Live {
		ports = slices.Clone(d.ports)
	}
	return mergePorts(ports)
}

// isProgram reports whether a process of a name is of a command: the program
// itself, or the one that a script starts.
func isProgram(comm string, command []string) bool {
	if comm == "" {
		return false
	}
	name := path.Base(command[0])
	aliases := map[string]string{"apache2ctl": "apache2", "apachectl": "apache2", "mysqld_safe": "mariadbd", "systemd-memcached-wrapper": "memcached"}
	if other, ok := aliases[name]; ok {
		name = other
	}
	return comm == name[:min(len(name), maxComm)]
}

// mergePorts sorts ports; one that is open to others too is not local.
func mergePorts(ports []Port) []Port {
	var list []Port
	for _, p := range ports {
		i := slices.IndexFunc(list, func(o Port) bool { return o.Protocol == p.Protocol && o.Number == p.Number })
		if i < 0 {
			list = append(list, p)
			continue
		}
		list[i].Local = list[i].Local && p.Local
	}
	slices.SortFunc(list, func(a, b Port) int {
		if a.Number != b.Number {
			return int(a.Number) - int(b.Number)
		}
		return strings.Compare(a.Protocol, b.Protocol)
	})
	return list
}
