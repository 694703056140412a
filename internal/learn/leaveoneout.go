package learn

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// LeaveOneOut runs a workload sealed by a proven profile once for each volume,
// without that volume, and sets the volume's need by the effect:
//
//   - hard: the pod is unhealthy, its load gets other answers than before, or so it is
//     after its containers were killed and restarted;
//   - soft: its log or the output of the load has complaints that were not there
//     in the proof;
//   - silent: calls fail, without any of these effects.
//
// A volume without which nothing fails gets no need.
func LeaveOneOut(ctx context.Context, o Options, s Workload, l Lesson) (Lesson, error) {
	o, err := o.about(s)
	if err != nil {
		return l, err
	}
	o = o.like(l.writable)
	o.killOnce = true // what fails under load mostly fails without it, too
	for _, c := range l.Profile.Containers {
		o.forecast.expect(len(c.Volumes))
	}
	for i := range l.Profile.Containers {
		c := &l.Profile.Containers[i]
		for j := range c.Volumes {
			need, err := o.without(ctx, s, l, i, j)
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

// without runs the workload without volume j of container i and returns the
// need.
func (o Options) without(ctx context.Context, s Workload, l Lesson, i, j int) (profile.Need, error) {
	p := l.Profile
	c := p.Containers[i]
	p.Containers = slices.Clone(p.Containers)
	p.Containers[i].Volumes = slices.Delete(slices.Clone(c.Volumes), j, j+1)
	sealed, err := s.sealedBy(p)
	if err != nil {
		return "", err
	}
	if sealed, err = sealed.with(l.sealed.lent); err != nil {
		return "", err
	}
	t, err := o.try(ctx, sealed.trial("without"))
	if err != nil {
		return "", err
	}
	t.Traces = l.sealed.lent.repaid(t.Traces)
	return needOf(c.Name, c.Volumes[j].MountPath, l.sealed, t), nil
}

// needOf compares two runs, with and without a volume of a container, and
// returns the need.
func needOf(container, path string, with, without trial) profile.Need {
	differs := func(c Comparison) bool { return !c.Alike }
	switch {
	case !without.passed() || slices.ContainsFunc(compare(with.Outcomes, without.Outcomes), differs), restartsWorse(with, without):
		return profile.Hard
	case complains(without.words(container), with.words(container), path):
		return profile.Soft
	case slices.ContainsFunc(ownTraces(without.Traces, container), failedReadOnly):
		return profile.Silent
	}
	return ""
}

// restartsWorse reports whether a workload that came back after a kill, or answered its
// load then, no longer does so without a volume. Load that does not get the same answer
// twice is not compared.
func restartsWorse(with, without trial) bool {
	for _, now := range without.Restarts {
		i := slices.IndexFunc(with.Restarts, func(r restart) bool { return r.When == now.When })
		if i < 0 || with.Restarts[i].Failure != "" {
			continue
		}
		if now.Failure != "" {
			return true
		}
		before := with.Restarts[i].Outcomes
		for j, c := range compare(before, now.Outcomes) {
			if !c.Alike && with.repeats(j) && j < len(with.Again) && before[j].isAsGood(with.Again[j]) {
				return true
			}
		}
	}
	return false
}

// words returns the log of a container and the output of the load.
func (t trial) words(container string) string {
	text := t.Earlier[container] + t.Logs[container]
	for _, o := range t.Outcomes {
		text += "\n" + o.Output
	}
	return text
}

// troubled are the words that identify a complaint in a log line.
var troubled = []string{"error", "fail", "cannot", "can't", "could not", "unable", "denied", "no such file", "warn", "err "}

// complains reports whether a log has a complaint that usual does not have, or
// mentions a read-only file system, or has a complaint about the path. Numbers
// in lines are ignored: they differ from run to run.
func complains(log, usual, path string) bool {
	known := map[string]bool{}
	for line := range strings.Lines(strings.ToLower(usual)) {
		known[numbers.ReplaceAllString(line, "0")] = true
	}
	for line := range strings.Lines(strings.ToLower(log)) {
		if strings.Contains(line, "read-only file system") || strings.Contains(line, "erofs") {
			return true
		}
		trouble := slices.ContainsFunc(troubled, func(word string) bool { return strings.Contains(strings.TrimSpace(line)+" ", word) })
		if trouble && (strings.Contains(line, strings.ToLower(path)) || !known[numbers.ReplaceAllString(line, "0")]) {
			return true
		}
	}
	return false
}

var numbers = regexp.MustCompile(`[0-9][0-9a-f.:,]*`)

func failedReadOnly(t trace.Trace) bool {
	return slices.ContainsFunc(t.Accesses, func(a trace.Access) bool { return a.Errno == "EROFS" && a.Mount == "" })
}
