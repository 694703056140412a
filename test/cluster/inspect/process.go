package inspect

import (
	"bufio"
	"os"
	"slices"
	"strings"
)

// status returns the identity and the restrictions of the process from its
// status file (proc(5)).
func status() (map[string]string, error) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	wanted := []string{
		"Uid", "Gid", "Groups", "Umask", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
		"NoNewPrivs", "Seccomp", "NSpid", "NSpgid",
	}
	got := map[string]string{}
	s := bufio.NewScanner(f)
	for s.Scan() {
		if name, value, ok := strings.Cut(s.Text(), ":"); ok && slices.Contains(wanted, name) {
			got[name] = strings.Join(strings.Fields(value), " ")
		}
	}
	return got, s.Err()
}

func environment() []string {
	env := os.Environ()
	slices.Sort(env)
	return env
}

// cgroup returns the memory and CPU limits, of cgroup version 1 or 2.
func cgroup() map[string]string {
	limits := map[string]string{}
	for _, f := range []string{
		"memory/memory.limit_in_bytes", "cpu/cpu.shares", "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us", "cpuset/cpuset.cpus",
		"memory.max", "memory.min", "memory.high", "cpu.weight", "cpu.max", "cpuset.cpus",
	} {
		if data, err := os.ReadFile("/sys/fs/cgroup/" + f); err == nil {
			limits[f] = strings.TrimSpace(string(data))
		}
	}
	return limits
}

// A Mount is one line of mountinfo without the fields that differ from run to
// run.
type Mount struct {
	Path    string   `json:"path"`
	Type    string   `json:"type"`
	Options []string `json:"options"`
	Size    string   `json:"size,omitempty"`   // limit of a tmpfs
	Shared  []string `json:"shared,omitempty"` // kinds of propagation: shared, master, unbindable
}

// mounts parses /proc/self/mountinfo (proc(5)).
func mounts() ([]Mount, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []Mount
	s := bufio.NewScanner(f)
	for s.Scan() {
		before, after, _ := strings.Cut(s.Text(), " - ")
		b, a := strings.Fields(before), strings.Fields(after)
		m := Mount{Path: b[4], Type: a[0], Options: strings.Split(b[5], ",")}
		for _, o := range strings.Split(a[2], ",") {
			if size, ok := strings.CutPrefix(o, "size="); ok {
				m.Size = size
			}
		}
		for _, o := range b[6:] {
			kind, _, _ := strings.Cut(o, ":")
			m.Shared = append(m.Shared, kind)
		}
		all = append(all, m)
	}
	slices.SortStableFunc(all, func(a, b Mount) int { return strings.Compare(a.Path, b.Path) })
	return all, s.Err()
}
