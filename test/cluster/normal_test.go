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
	// A kubelet adds the source and the time of its configuration to a pod's
	// annotations.
	kubeletNote = regexp.MustCompile(`kubernetes\.io/config\.(seen|source)="[^"]*"\n`)
)

// parseReport parses a report and removes the differences that are allowed: the
// pod's address, the times of volumes, data that only a cluster has, and
// properties that the API leaves to the runtime.
func parseReport(t *testing.T, log []byte) inspect.Report {
	t.Helper()
	log = podAddress.ReplaceAll(log, []byte("ADDRESS"))
	log = writeTime.ReplaceAll(log, []byte("..TIME"))
	var r inspect.Report
	if err := json.Unmarshal(log, &r); err != nil {
		t.Fatalf("no report: %v: %s", err, log)
	}
	// These variables hold the address of the cluster's API server.
	r.Env = slices.DeleteFunc(r.Env, func(e string) bool { return strings.HasPrefix(e, "KUBERNETES_") })
	// In the pod's process namespace the number depends on the order of starts.
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
		// The content of an image volume may be a snapshot or a copy.
		if m.Type == "overlay" || m.Type == "ext4" || m.Type == "xfs" || m.Type == "btrfs" {
			r.Mounts[i].Type = "disk"
		}
	}
	return r
}

// sortedOptions sorts the options of a resolver, because a kubelet takes them
// from a map.
func sortedOptions(resolvConf string) string {
	lines := strings.Split(resolvConf, "\n")
	for i, line := range lines {
		if options, ok := strings.CutPrefix(line, "options "); ok {
			lines[i] = "options " + strings.Join(slices.Sorted(slices.Values(strings.Fields(options))), " ")
		}
	}
	return strings.Join(lines, "\n")
}
