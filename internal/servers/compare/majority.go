package compare

import (
	"maps"
	"slices"
	"strings"
)

// A majority decides which value is expected: that of most servers, or that of the
// baseline if there is one.
type majority struct {
	servers  []string
	baseline string // empty if most decide
}

// absent stands for the value of a server that does not have a key. It counts as a
// vote, because most servers may lack a file that one has.
const absent = "\x00"

// difference finds the value that most servers have, and the servers that deviate.
// It reports whether any does.
func (m majority) difference(values map[string]string) (Difference, bool) {
	vote := func(s string) string {
		if v, has := values[s]; has {
			return v
		}
		return absent
	}
	votes := map[string]int{}
	for _, s := range m.servers {
		votes[vote(s)]++
	}
	d := Difference{Values: values}
	if len(votes) < 2 {
		return d, false
	}
	right, ok := m.expected(votes, vote)
	if !ok {
		d.Split, d.Sides = true, m.sides(values)
		return d, true
	}
	d.Usual = strings.TrimPrefix(right, absent)
	for _, s := range m.servers {
		if vote(s) != right {
			d.Odd = append(d.Odd, s)
		}
	}
	return d, true
}

// expected returns the value that servers should have; ok is false if there is no
// majority.
func (m majority) expected(votes map[string]int, vote func(string) string) (value string, ok bool) {
	if m.baseline != "" {
		return vote(m.baseline), true
	}
	for _, v := range slices.Sorted(maps.Keys(votes)) {
		if 2*votes[v] > len(m.servers) {
			return v, true
		}
	}
	return "", false
}

// name returns how messages name the majority: "most", or the baseline.
func (m majority) name() string {
	if m.baseline != "" {
		return m.baseline
	}
	return "most"
}
