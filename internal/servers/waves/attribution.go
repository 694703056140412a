package waves

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/text"
)

// AttributeCauses sets Why of each cause of a comparison from the records of runs: a
// failed update, an intended change, or an edit by hand if no run explains it. Why
// stays empty where no run changed the servers, because without a record an edit by
// hand cannot be told from any other change.
func AttributeCauses(c *compare.Comparison, records []Record) {
	b := attribution{records: slices.Clone(records), differences: map[string]compare.Difference{}}
	slices.Reverse(b.records)
	for _, d := range c.Differences {
		b.differences[d.Name()] = d
	}
	for _, r := range b.records {
		b.left = append(b.left, b.valuesLeft(r))
	}
	for i := range c.Causes {
		c.Causes[i].Why = b.explain(c.Causes[i], c.Servers)
	}
}

// An attribution holds the records of runs and the differences of a comparison.
type attribution struct {
	records     []Record      // newest first
	left        []valuesByKey // values after each run
	differences map[string]compare.Difference
}

// valuesByKey holds values by the key of a difference and by server.
type valuesByKey map[string]map[string]string

// valuesLeft returns the values that a run left, of the differences only: records of
// large updates list thousands of files that are equal everywhere.
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
			note(f.Name(), res.Server, f.After)
		}
		for _, f := range res.Change.Files {
			note(f.Path, res.Server, f.After)
		}
	}
	return left
}

func (b attribution) explain(c compare.Cause, all []string) string {
	if c.Kind == compare.ByResult {
		return "" // it follows from files that have another cause
	}
	// Without a majority every server may be the one that was changed.
	odd := c.Odd
	if len(odd) == 0 {
		odd = all
	}
	keys := append(slices.Clone(c.Facts), c.Files...)
	// A failure explains more than a success on another server.
	for _, why := range []func(name, key string, all []string) string{b.failedUpdate, b.failedElsewhere, b.intendedChange} {
		for _, s := range odd {
			for _, key := range keys {
				if text := why(s, key, all); text != "" {
					return text
				}
			}
		}
	}
	switch {
	case !slices.ContainsFunc(odd, b.touched):
		return ""
	case len(c.Files) > 0 && c.Kind != compare.ByPackage && c.Kind != compare.ByAccount && c.Kind != compare.Platform:
		return "edited by hand: no run of update did it"
	}
	return "no run of update did it"
}

// touched reports whether any run changed a server.
func (b attribution) touched(name string) bool {
	return slices.ContainsFunc(b.records, func(r Record) bool { return r.changeOn(name) != "" })
}

// failedUpdate explains a difference by the newest run that changed it on another server
// and failed on this one.
func (b attribution) failedUpdate(name, key string, _ []string) string {
	for n, r := range b.records {
		i := slices.IndexFunc(r.Results, func(res Result) bool { return res.Server == name })
		// A run that changed this key nowhere cannot be the reason.
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

// failedElsewhere explains a difference by a run that succeeded on the server and failed
// on others: the others are those that deviate from the intention, even if they are the
// majority.
func (b attribution) failedElsewhere(name, key string, all []string) string {
	r := b.runThatLeft(name, key)
	if r == nil {
		return ""
	}
	var failed []string
	var first Result
	for _, res := range r.Results {
		if res.Succeeded() || !slices.Contains(all, res.Server) {
			continue
		}
		if len(failed) == 0 {
			first = res
		}
		failed = append(failed, res.Server)
	}
	if len(failed) == 0 {
		return ""
	}
	who := strings.Join(failed, ", ")
	if 2*len(failed) > len(all) {
		who = "most: " + who
	}
	return fmt.Sprintf("failed update: run %s by %s failed on %s (%s: %s), and succeeded on %s",
		r.displayName(), r.By, who, first.Outcome, clause(first.Cause), name)
}

// intendedChange explains a difference by the run that left the value that the server
// has now.
func (b attribution) intendedChange(name, key string, _ []string) string {
	if r := b.runThatLeft(name, key); r != nil {
		return fmt.Sprintf("intended change: run %s by %s", r.displayName(), r.By) + withReason(r.Reason)
	}
	return ""
}

// runThatLeft returns the newest run that changed a value of a server, if it succeeded
// there and the server still has the value that it left; nil otherwise. An undo restored
// a value on purpose, but did not intend the difference.
func (b attribution) runThatLeft(name, key string) *Record {
	for n := range b.records {
		r := &b.records[n]
		after, touched := b.left[n][key][name]
		if !touched {
			continue
		}
		i := slices.IndexFunc(r.Results, func(res Result) bool { return res.Server == name })
		if after == b.differences[key].Values[name] && r.Action != Revert && r.Results[i].Succeeded() {
			return r
		}
		return nil
	}
	return nil
}

func withReason(reason string) string {
	if reason == "" {
		return ""
	}
	return ", " + clause(reason)
}

// clause returns the first line of a text without its full stop.
func clause(s string) string { return strings.TrimSuffix(text.FirstLine(s), ".") }

// displayName returns the number of a run, or its id while it has not ended.
func (r *Record) displayName() string {
	if r.Number == 0 {
		return r.ID
	}
	return strconv.Itoa(r.Number)
}
