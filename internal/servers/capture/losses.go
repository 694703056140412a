package capture

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// findLosses adds everything that the server has and the workload will not have, or
// not in the same way, unless an earlier step added it.
func (s *survey) findLosses() {
	if info, err := s.root.ReadDir("/var/lib/dpkg/info"); err != nil || len(info) == 0 {
		s.addLoss("packages", "there are no lists of dpkg: what belongs to a package is not known, and all is in one layer", "")
	}
	s.findFileLosses()
	s.findScheduleLosses()
	s.findKernelLosses()
	s.findServiceLosses()
	for _, u := range s.unread {
		s.addUnread(u.Path, "it could not be read: "+u.Err.Error(), "survey the server again")
	}
}

// findFileLosses adds files that an image or a container cannot have.
func (s *survey) findFileLosses() {
	var privileged, odd []string
	for _, it := range s.items {
		if it.Kind == tree.Regular && it.Mode&0o6000 != 0 && it.Mode&0o111 != 0 {
			privileged = append(privileged, it.Path)
		}
		if len(it.Xattrs) != len(portable(it.Xattrs)) {
			odd = append(odd, it.Path)
		}
	}
	if len(privileged) > 0 {
		s.addLoss(firstOf(privileged), "they run with more rights than who starts them, in a container too", "set allowPrivilegeEscalation: false where they are not needed")
	}
	if len(odd) > 0 {
		s.addLoss(firstOf(odd), "their access lists and user attributes are not carried over", "set mode and owner instead")
	}
	for _, l := range s.plan.LeftOut {
		switch l.Class {
		case classHome:
			s.addLoss(firstOf(l.Paths), "homes of people are no part of a workload", "name those that a service needs as data")
		case classAccount:
			s.addLoss(firstOf(l.Paths), "password hashes are not put into an image", "log in to nothing that runs; use keys of its own")
		case classNested:
			s.addLoss(firstOf(l.Paths), "containers and machines that run on the server are not captured", "write manifests of them; their volumes can be named as data")
		case classDevice:
			s.addLoss(firstOf(l.Paths), "devices are given to a pod by its node", "mount them with hostPath")
		case classUnnamable:
			s.addLoss(firstOf(l.Paths), "a layer takes names that begin with .wh. for deletions", "rename them")
		case classMounted:
			s.findMountLosses(l.Paths)
		}
	}
}

// findMountLosses adds network file systems and the like. Mounts that every system
// has are not a loss.
func (s *survey) findMountLosses(points []string) {
	for _, at := range points {
		if _, usual := virtualDirs["/"+strings.Split(at, "/")[1]]; !usual {
			s.addLoss(at, s.mounted[at]+" is mounted there, and was not read", "mount it as a volume")
		}
	}
}

// firstOf joins the first paths of a list and counts the others.
func firstOf(paths []string) string {
	const shown = 5
	text := strings.Join(paths[:min(len(paths), shown)], ", ")
	if len(paths) > shown {
		text += fmt.Sprintf(" and %d more", len(paths)-shown)
	}
	return text
}

// findScheduleLosses adds cron jobs, timers and sockets that no package contains.
func (s *survey) findScheduleLosses() {
	const hint = "make it a CronJob"
	for _, f := range s.facts {
		file, job, isRule := strings.Cut(f.Key, ": ")
		switch {
		case f.Section == facts.Cron && isRule && !s.isShipped(file) && !strings.Contains(strings.SplitN(job, " ", 2)[0], "="):
			s.addLoss(f.Key, "a job of cron", hint)
		case f.Section == facts.Cron && !isRule && !s.isShipped(f.Key):
			s.addLoss(f.Key, "a job of cron, "+f.Value, hint)
		case f.Section == facts.Service && f.Value == "enabled" && path.Ext(f.Key) == ".timer":
			if file := findUnit(s.root, f.Key); !s.isShipped(file) {
				s.addLoss(f.Key, "a timer", hint)
			}
		case f.Section == facts.Service && f.Value == "enabled" && path.Ext(f.Key) == ".socket":
			if file := findUnit(s.root, f.Key); !s.isShipped(file) {
				s.addLoss(f.Key, "systemd listens in place of a service, and starts it", "let the service listen itself")
			}
		}
	}
}

// isShipped reports whether a file is unchanged since its package installed it.
func (s *survey) isShipped(file string) bool {
	i, found := slices.BinarySearchFunc(s.items, file, func(it *item, p string) int { return tree.ComparePaths(it.Path, p) })
	return found && s.items[i].sum != "" && s.items[i].sum == s.items[i].own
}

// settings are files that configure the machine, each with a hint for a workload.
var settings = []struct{ pattern, why, hint string }{
	{"/etc/sysctl.conf", "a setting of the kernel", "set it on the node, or in securityContext.sysctls if it is of the network"},
	{"/etc/sysctl.d/*.conf", "a setting of the kernel", "set it on the node, or in securityContext.sysctls if it is of the network"},
	{"/etc/modules", "a module of the kernel", "load it on the node"},
	{"/etc/modules-load.d/*.conf", "a module of the kernel", "load it on the node"},
	{"/etc/security/limits.conf", "a limit of logins", "set it in the runtime of the node"},
	{"/etc/security/limits.d/*.conf", "a limit of logins", "set it in the runtime of the node"},
	{"/etc/nftables.conf", "a rule of the firewall", "write a NetworkPolicy"},
	{"/etc/iptables/rules.v?", "a rule of the firewall", "write a NetworkPolicy"},
	{"/etc/ufw/user*.rules", "a rule of the firewall", "write a NetworkPolicy"},
	{"/etc/udev/rules.d/*.rules", "a rule for devices", "set it on the node"},
	{"/etc/rc.local", "a command at the start of the machine", "make it an init container"},
}

// maxLines bounds the lines of one file that are listed.
const maxLines = 20

// findKernelLosses adds settings of the machine that no package contains.
func (s *survey) findKernelLosses() {
	for _, it := range s.items {
		for _, set := range settings {
			if it.Kind != tree.Regular || !matches(set.pattern, it.Path) || s.isShipped(it.Path) {
				continue
			}
			lines := textLines(s.root, it.Path)
			for _, line := range lines[:min(len(lines), maxLines)] {
				s.addLoss(it.Path+": "+line, set.why, set.hint)
			}
			if more := len(lines) - maxLines; more > 0 {
				s.addLoss(it.Path, fmt.Sprintf("%d more like these", more), set.hint)
			}
		}
	}
}

// unitLosses are settings of units that a workload does not have. Settings that only
// confine a service are not listed, because sealing replaces them.
var unitLosses = []struct{ key, why, hint string }{
	{"ExecStartPre", "it has commands that run before it", "make them init containers, if they do more than check"},
	{"ExecStartPost", "it has commands that run after it was started", "make them a postStart hook"},
	{"AmbientCapabilities", "its user has capabilities, which Kubernetes gives to root only", "let it run as root with capabilities, or without them"},
	{"DynamicUser", "its user is made at each start", "give it a user of its own"},
	{"BindPaths", "it sees directories in other places", "mount them as volumes"},
	{"RootDirectory", "it has a root of its own", "make an image of that"},
	{"LoadCredential", "it is given credentials", "make them a Secret"},
	{"LimitNOFILE", "it has a limit of its own for open files", "set it in the runtime of the node"},
	{"MemoryMax", "it has a limit of memory", "set resources.limits.memory"},
	{"CPUQuota", "it has a limit of processor time", "set resources.limits.cpu"},
}

// findServiceLosses adds settings of units that the workloads will not have.
func (s *survey) findServiceLosses() {
	for i, u := range s.units {
		v := s.plan.Services[i]
		for _, l := range unitLosses {
			if value := u.last(l.key); value != "" && value != "no" && value != "infinity" {
				s.addLoss(fmt.Sprintf("%s: %s=%s", v.Unit, l.key, value), l.why, l.hint)
			}
		}
		if slices.ContainsFunc(v.Command, isShownSecret) {
			s.addLoss(v.Unit, "its command seems to have a password, which is in the plan and the manifest", "give it in a file or a variable")
		}
		for _, p := range v.Ports {
			if p.Local && !s.plan.isLinkedTo(v.Name) {
				s.addLoss(fmt.Sprintf("%s: port %d", v.Unit, p.Number), "it listens on a loopback address, where no other pod reaches it", "let it listen on all addresses, or put both into one pod")
			}
		}
	}
}

// isShownSecret reports whether a word of a command holds a secret, and not just
// the name of the file or variable that holds it.
func isShownSecret(word string) bool {
	name, value, _ := strings.Cut(word, "=")
	return secretName.MatchString(name) && value != "" && !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "$(")
}
