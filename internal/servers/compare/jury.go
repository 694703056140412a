package compare

import (
	"maps"
	"slices"
	"strings"
)

// A jury decides which value is right: that of most servers, or of the one that
// is right by definition.
type jury struct {
	servers  []string
	baseline string // empty if most decide
}

// absent is the value of a server that does not have a thing: one like others.
const absent = "\x00"

// judge finds what most servers have of a thing, and who deviates. It reports
// whether any does.
func (j jury) judge(values map[string]string) (Difference, bool) {
	vote := func(s string) string {
		if v, has := values[s]; has {
			return v
		}
		return absent
	}
	votes := map[string]int{}
	for _, s := range j.servers {
		votes[vote(s)]++
	}
	d := Difference{Values: values}
	if len(votes) < 2 {
		return d, false
	}
	right, ok := j.right(votes, vote)
	if !ok {
		d.Split = true
		return d, true
	}
	d.Usual = strings.TrimPrefix(right, absent)
	for _, s := range j.servers {
		if vote(s) != right {
			d.Odd = append(d.Odd, s)
		}
	}
	return d, true
}

func (j jury) right(votes map[string]int, vote func(string) string) (string, bool) {
	if j.baseline != "" {
		return vote(j.baseline), true
	}
	for _, v := range slices.Sorted(maps.Keys(votes)) {
		if 2*votes[v] > len(j.servers) {
			return v, true
		}
	}
	return "", false
}

// who says by whose word a value is right.
func (j jury) who() string {
	if j.baseline != "" {
		return j.baseline
	}
	return "most"
}
