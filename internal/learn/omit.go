package learn

import (
	"context"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/observe"
	"github.com/adamant-sh/adamant/internal/profile"
)

// LeaveOneOut runs a workload sealed by a proven profile, once for each volume
// without it, and marks the volume by what follows: hard if the workload is
// unhealthy or its load fails, soft if it complains, silent if calls fail and
// nothing else tells. A volume that is not missed keeps no mark.
func LeaveOneOut(ctx context.Context, o Options, s Subject, l Lesson) (Lesson, error) {
	for i := range l.Profile.Containers {
		c := &l.Profile.Containers[i]
		for j := range c.Volumes {
			need, err := o.without(ctx, s, l.Profile, i, j)
			if err != nil {
				return l, err
			}
			c.Volumes[j].Need = need
			o.say("%s: container %s without %s: %s", s.Name(), c.Name, c.Volumes[j].MountPath, orNotMissed(need))
		}
	}
	return l, nil
}

func orNotMissed(n profile.Need) string {
	if n == "" {
		return "not missed"
	}
	return string(n)
}

// without judges the workload without volume j of container i.
func (o Options) without(ctx context.Context, s Subject, p profile.Profile, i, j int) (profile.Need, error) {
	name, path := p.Containers[i].Name, p.Containers[i].Volumes[j].MountPath
	p.Containers = slices.Clone(p.Containers)
	p.Containers[i].Volumes = slices.Delete(slices.Clone(p.Containers[i].Volumes), j, j+1)
	sealed, err := s.sealedBy(p)
	if err != nil {
		return "", err
	}
	t, err := o.try(ctx, sealed.trial("without"))
	if err != nil {
		return "", err
	}
	switch {
	case !t.passed():
		return profile.Hard, nil
	case complains(t.Logs[name], path):
		return profile.Soft, nil
	case slices.ContainsFunc(tracesOf(t.Traces, name), failedReadOnly):
		return profile.Silent, nil
	}
	return "", nil
}

// troubled are the words by which a log line is known to complain.
var troubled = []string{"error", "fail", "cannot", "can't", "could not", "unable", "denied", "no such file", "warn"}

// complains reports whether a log speaks of a read-only root or has a line of
// trouble about the path.
func complains(log, path string) bool {
	for line := range strings.Lines(strings.ToLower(log)) {
		if strings.Contains(line, "read-only file system") || strings.Contains(line, "erofs") {
			return true
		}
		if !strings.Contains(line, strings.ToLower(path)) {
			continue
		}
		if slices.ContainsFunc(troubled, func(word string) bool { return strings.Contains(line, word) }) {
			return true
		}
	}
	return false
}

func failedReadOnly(t observe.Trace) bool {
	return slices.ContainsFunc(t.Accesses, func(a observe.Access) bool { return a.Errno == "EROFS" && a.Mount == "" })
}
