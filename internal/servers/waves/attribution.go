package waves

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/compare"
)

// Blame says of each cause of a comparison what it comes of, by the records of
// runs: an update that failed, a change that was intended, or neither, which is an
// edit by hand. It says nothing where no run touched the servers.
func AttributeCauses(c *compare.Comparison, records []Record) {
	b := attribution{records: slices.Clone(records), differences: map[string]compare.Difference{}}
	slices.Reverse(b.records)
	for _, d := range c.Differences {
		b.differences[differenceKey(d)] = d
	}
	for _, r := range b.records {
		b.left = append(b.left, b.valuesLeft(r))
	}
	for i := range c.Causes {
		c.Causes[i].Why = b.explain(c.Causes[i], c.Servers)
	}
}

// A blame knows of each run what it left of what differs now.
type attribution struct {
	records     []Record      // first
	left        []valuesByKey // of each of them
	differences map[string]compare.Difference
}

// afters are values by thing and server.
type valuesByKey map[string]map[string]string

// leftBy keeps of a record what the comparison is about.
func (b *attribution) valuesLeft(r Record) valuesByKey {
	left := valuesByKey{}
	note := func(key, name, value string) {
		if _, differs := b.differences[key]; !differs {
			return
		}
		if left[key] == nil {
			left[key] = map[string]string{}
		}
		left[key][name] = value
	}
	for _, res := range r.Results {
		for _, f := range res.Change.Facts {
			note(string(f.Section)+" "+f.Key, res.Server, f.After)
		}
		for _, f := range res.Change.Files {
			note(f.Path, res.Server, f.After)
		}
	}
	return left
}

func (b attribution) explain(c compare.Cause, all []string) string {
	if c.Kind == compare.ByResult {
		return "" // what it follows from has a cause of its own
	}
	odd := c.Odd
	if len(odd) == 0 {
		odd = all
	}
	known := false
	for _, s := range odd {
		known = known || b.touched(s)
		for _, key := range append(slices.Clone(c.Facts), c.Files...) {
			if why := b.failedUpdate(s, key); why != "" {
				return why
			}
			if why := b.intendedChange(s, key); why != "" {
				return why
			}
		}
	}
	switch {
	case !known:
		return ""
	case c.Kind == compare.ByEdit || c.Kind == compare.ByHand || c.Kind == compare.BySetting && len(c.Files) > 0:
		return "edited by hand: no run of update did it"
	}
	return "no run of update did it"
}

// knows reports whether any run touched a server.
func (b attribution) touched(name string) bool {
	return slices.ContainsFunc(b.records, func(r Record) bool { return r.changeOn(name) != "" })
}

// failed finds the newest run that changed a thing elsewhere, and failed here.
func (b attribution) failedUpdate(name, key string) string {
	for n, r := range b.records {
		i := slices.IndexFunc(r.Results, func(res Result) bool { return res.Server == name })
		if i < 0 || b.left[n][key] == nil {
			continue
		}
		if res := r.Results[i]; !res.Succeeded() {
			return fmt.Sprintf("failed update: run %s by %s, %s: %s", r.displayName(), r.By, res.Outcome, clause(res.Cause))
		}
		return ""
	}
	return ""
}

// intended finds the newest run that made a thing on a server what it is now.
func (b attribution) intendedChange(name, key string) string {
	for n, r := range b.records {
		after, touched := b.left[n][key][name]
		if !touched {
			continue
		}
		if after == b.differences[key].Values[name] && r.Action != Revert {
			return fmt.Sprintf("intended change: run %s by %s", r.displayName(), r.By) + withReason(r.Reason)
		}
		return ""
	}
	return ""
}

func withReason(reason string) string {
	if reason == "" {
		return ""
	}
	return ", " + clause(reason)
}

// clause is the first line of a text, as a part of a sentence.
func clause(text string) string { return strings.TrimSuffix(firstLine(text), ".") }

// name is the number of a run, or its id as long as it has not ended.
func (r *Record) displayName() string {
	if r.Number == 0 {
		return r.ID
	}
	return strconv.Itoa(r.Number)
}
