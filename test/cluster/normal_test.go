//go:build cluster

package cluster

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/test/cluster/inspect"
)

var (
	podAddress = regexp.MustCompile(`10\.\d+\.\d+\.\d+`)
	writeTime  = regexp.MustCompile(`\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.\d+`)
	// A kubelet adds to a pod's annotations whence and when it had the pod.
	kubeletNote = regexp.MustCompile(`kubernetes\.io/config\.(seen|source)="[^"]*"\n`)
)

// parseReport reads a report and makes equal what may differ: the pod's address,
// the time at which a volume was written, what only a cluster has, and where the
// API leaves a choice to the runtime.
func parseReport(t *testing.T, log []byte) inspect.Report {
	t.Helper()
	log = podAddress.ReplaceAll(log, []byte("ADDRESS"))
	log = writeTime.ReplaceAll(log, []byte("..TIME"))
	var r inspect.Report
	if err := json.Unmarshal(log, &r); err != nil {
		t.Fatalf("no report: %v: %s", err, log)
	}
	// The variables that tell where a cluster's API server is.
	r.Env = slices.DeleteFunc(r.Env, func(e string) bool { return strings.HasPrefix(e, "KUBERNETES_") })
	// With the pod's process namespace, the number is whatever came next in it.
	for _, id := range []string{"NSpid", "NSpgid"} {
		if r.Status[id] != "1" {
			r.Status[id] = "of the pod"
		}
	}
	r.Files["/etc/resolv.conf"] = sortedOptions(r.Files["/etc/resolv.conf"])
	for i, e := range r.Entries {
		r.Entries[i].Content = kubeletNote.ReplaceAllString(e.Content, "")
	}
	for i, m := range r.Mounts {
		// An image's content may be a snapshot or a copy.
		if m.Type == "overlay" || m.Type == "ext4" || m.Type == "xfs" || m.Type == "btrfs" {
			r.Mounts[i].Type = "disk"
		}
	}
	return r
}

// sortedOptions sorts a resolver's options: a kubelet takes them from a map.
func sortedOptions(resolvConf string) string {
	lines := strings.Split(resolvConf, "\n")
	for i, line := range lines {
		if options, ok := strings.CutPrefix(line, "options "); ok {
			lines[i] = "options " + strings.Join(slices.Sorted(slices.Values(strings.Fields(options))), " ")
		}
	}
	return strings.Join(lines, "\n")
}
