// Package inspect describes a container from inside: who it runs as, what it was
// given, and what lies on the paths it is asked about.
package inspect

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"
)

// A Report is what the container looks like.
type Report struct {
	Status   map[string]string `json:"status"` // lines of /proc/self/status that identify and confine
	Args     []string          `json:"args"`
	Env      []string          `json:"env"` // sorted
	Dir      string            `json:"dir"`
	Hostname string            `json:"hostname"`
	Limits   string            `json:"limits"`
	OOMScore string            `json:"oomScoreAdj"`
	Cgroup   map[string]string `json:"cgroup"` // limits by the file that holds them
	Files    map[string]string `json:"files"`  // what a runtime writes into /etc
	Mounts   []Mount           `json:"mounts"`
	Entries  []Entry           `json:"entries"`
	Writable map[string]string `json:"writable"` // by path asked about: "yes", or the error
}

// Inspect describes the process that calls it, and the paths.
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

// settled returns a file's content once there is some: a kubelet empties
// /etc/hosts and writes it anew whenever it starts another container of the pod.
func settled(path string) string {
	for range 100 {
		if c := content(path); c != "" {
			return c
		}
		time.Sleep(10 * time.Millisecond)
	}
	return ""
}

// content returns a small file's content, or the error in its place: that a
// file cannot be read is part of the picture.
func content(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "error: " + cause(err)
	}
	return string(data)
}

// cause is the error's reason without the call that failed.
func cause(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}
