package local

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// Line returns the progress of the latest rollout as one line.
func (s Status) Line() string {
	if s.Job != nil || s.CronJob != nil {
		return s.jobLine()
	}
	line := fmt.Sprintf("%s/%s generation %d: %s, %d of %d updated, %d ready", s.Kind, s.Name, s.Generation, s.phase(), s.Updated, s.Replicas, s.Ready)
	for _, extra := range []string{s.traffic(), s.Waiting, s.Reason} {
		if extra != "" {
			line += "; " + text.EscapeLines(extra)
		}
	}
	return line
}

// Picture returns the progress of the latest rollout as several lines, with a
// row of instances for each generation.
func (s Status) Picture(color bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s/%s  %s\n", s.Kind, s.Namespace, s.Name, s.phase())
	if s.Job != nil || s.CronJob != nil {
		fmt.Fprintf(&b, "  %s\n", s.of())
	}
	byGeneration := map[int][]InstanceStatus{}
	last := s.Generation
	for _, i := range s.Instances {
		byGeneration[i.Generation] = append(byGeneration[i.Generation], i)
		last = max(last, i.Generation)
	}
	for g := 1; g <= last; g++ {
		if len(byGeneration[g]) == 0 && g != s.Generation {
			continue
		}
		fmt.Fprintf(&b, "  generation %-3d ", g)
		for _, i := range byGeneration[g] {
			b.WriteString(i.mark(color))
		}
		if share, ok := s.Shares[g]; ok {
			fmt.Fprintf(&b, "  %d%% of the traffic", share)
		}
		b.WriteByte('\n')
	}
	for _, i := range s.Instances {
		fmt.Fprintf(&b, "    %s %-24s %-9s %s\n", i.mark(color), i.Name, i.Phase, i.lastMessage())
	}
	for _, why := range []string{s.Waiting, s.Reason} {
		if why != "" {
			fmt.Fprintf(&b, "  %s\n", text.EscapeLines(why))
		}
	}
	return b.String()
}

func (s Status) phase() string {
	var more []string
	if s.Paused {
		more = append(more, "paused")
	}
	if s.Compromised > 0 {
		more = append(more, fmt.Sprintf("%d compromised", s.Compromised))
	}
	switch {
	case s.Deleting:
		return "Deleting"
	case s.CronJob != nil:
		return s.CronJob.phase()
	case s.Job != nil:
		s.Phase = rollout.Phase(s.Job.State)
		if more = slices.DeleteFunc(more, func(m string) bool { return m == "paused" }); len(more) == 0 {
			break
		}
		fallthrough
	case len(more) > 0:
		return string(s.Phase) + " (" + strings.Join(more, ", ") + ")"
	}
	return string(s.Phase)
}

// address returns the first address of the workload's Services or else of its Ingress
// objects, empty if none is open.
func (s Status) address() string {
	for _, svc := range s.Services {
		if svc.Address != "" {
			return svc.Address
		}
	}
	for _, i := range s.Ingresses {
		if address := cmp.Or(i.TLS, i.Address); address != "" {
			return address
		}
	}
	return ""
}

// traffic formats the shares of the traffic, empty if one generation gets all of
// it.
func (s Status) traffic() string {
	if len(s.Shares) < 2 {
		return ""
	}
	var parts []string
	for _, g := range slices.Sorted(maps.Keys(s.Shares)) {
		parts = append(parts, fmt.Sprintf("generation %d %d%%", g, s.Shares[g]))
	}
	return strings.Join(parts, ", ")
}

// drift formats the drift with the number of changes.
func (i InstanceStatus) drift() string {
	if i.Drift != "" && i.Changes > 0 {
		return fmt.Sprintf("%s (%d)", i.Drift, i.Changes)
	}
	return text.OrDash(string(i.Drift))
}

// lastMessage returns the beginning of the instance's message.
func (i InstanceStatus) lastMessage() string {
	return text.Cut(text.EscapeLines(text.FirstLine(i.Message)), 60)
}

// mark returns the symbol of an instance.
func (i InstanceStatus) mark(color bool) string {
	symbol, code := "○", "33"
	switch {
	case i.Phase == "Ending":
		symbol, code = "·", "2"
	case i.Drift == rollout.Drifted:
		symbol, code = "◆", "35"
	case i.Phase == "Ready", i.Phase == "Succeeded":
		symbol, code = "●", "32"
	case i.Phase == "Crashed", i.Phase == "Failed":
		symbol, code = "✗", "31"
	}
	if !color {
		return symbol
	}
	return "\x1b[" + code + "m" + symbol + "\x1b[0m"
}
