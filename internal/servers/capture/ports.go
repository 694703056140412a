package capture

import (
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// maxComm is the length to which the kernel truncates a program's name, in bytes
// (TASK_COMM_LEN - 1).
const maxComm = 15

// portsOf returns the ports that a service listens on: those that its processes have
// open, or its usual ports if the server is not running.
func (s *survey) portsOf(v *Service) []Port {
	if d, known := daemonOf(v.Command[0]); known && !s.opts.Live && len(s.opts.Sockets) == 0 {
		return mergePorts(slices.Clone(d.ports))
	}
	var ports []Port
	for _, socket := range s.socketsOf(v) {
		if socket.Listens && socket.Protocol != "unix" {
			ports = append(ports, Port{socket.Protocol, socket.Local.Port(), socket.Local.Addr().IsLoopback()})
		}
	}
	return mergePorts(ports)
}

// socketsOf returns the sockets of the processes of a service's unit. A service that
// somebody started by hand has its program's.
func (s *survey) socketsOf(v *Service) []facts.Socket {
	var own, byProgram []facts.Socket
	for _, socket := range s.opts.Sockets {
		switch {
		case socket.Unit == v.Unit:
			own = append(own, socket)
		case isProgram(socket.Program, v.Command) && !s.isUnitOfOther(socket.Unit):
			byProgram = append(byProgram, socket)
		}
	}
	if len(own) > 0 {
		return own
	}
	return byProgram
}

// isUnitOfOther reports whether a unit is captured as a service.
func (s *survey) isUnitOfOther(unit string) bool {
	return unit != "" && slices.ContainsFunc(s.plan.Services, func(o Service) bool { return o.Unit == unit })
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
