// Package inspect describes a container from inside: its user, its resources,
// and the files on given paths.
package inspect

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"
)

// A Report describes a container.
type Report struct {
	Status   map[string]string `json:"status"` // lines of /proc/self/status that identify and confine
	Args     []string          `json:"args"`
	Env      []string          `json:"env"` // sorted
	Dir      string            `json:"dir"`
	Hostname string            `json:"hostname"`
	Limits   string            `json:"limits"`
	OOMScore string            `json:"oomScoreAdj"`
	Cgroup   map[string]string `json:"cgroup"` // limits by the file that holds them
	Files    map[string]string `json:"files"`  // the files in /etc that a runtime writes
	Mounts   []Mount           `json:"mounts"`
	Entries  []Entry           `json:"entries"`
	Writable map[string]string `json:"writable"` // by inspected path: "yes", or the error
}

// Inspect describes the calling process and the paths.
func Inspect(paths []string) (Report, error) {
	r := Report{Args: os.Args, Env: environment(), Cgroup: cgroup(), Files: map[string]string{}, Writable: map[string]string{}}
	var err error
	if r.Status, err = status(); err != nil {
		return r, err
	}
	if r.Mounts, err = mounts(); err != nil {
		return r, err
	}
	if r.Dir, err = os.Getwd(); err != nil {
		return r, err
	}
	if r.Hostname, err = os.Hostname(); err != nil {
		return r, err
	}
	r.Limits = content("/proc/self/limits")
	r.OOMScore = strings.TrimSpace(content("/proc/self/oom_score_adj"))
	for _, f := range []string{"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"} {
		r.Files[f] = settled(f)
	}
	for _, p := range paths {
		entries, err := walk(p)
		if err != nil {
			return r, err
		}
		r.Entries = append(r.Entries, entries...)
		r.Writable[p] = writable(p)
	}
	return r, nil
}

// settled waits until a file is not empty and returns its content: a kubelet
// truncates and rewrites /etc/hosts whenever it starts another container of the
// pod.
func settled(path string) string {
	for range 100 {
		if c := content(path); c != "" {
			return c
		}
		time.Sleep(10 * time.Millisecond)
	}
	return ""
}

// content returns the content of a small file or, if that cannot be read, the
// error, because the error is part of the report.
func content(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "error: " + cause(err)
	}
	return string(data)
}

// cause returns the error without the name of the call that failed.
func cause(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}
