package capture

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// maxComm is the length to which the kernel truncates a program's name, in bytes
// (TASK_COMM_LEN - 1).
const maxComm = 15

// portsOf returns the ports that a service listens on: those that its program has
// open, or its usual ports if the server is not running.
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

// isProgram reports whether comm, the kernel's name of a process, is the program
// of a command, or the program that a known script starts.
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

// mergePorts sorts ports and merges duplicates. A port is local only if it is on
// loopback addresses alone.
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
