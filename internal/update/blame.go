package update

import (
	"fmt"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/server"
)

// Blame says of each cause of a comparison what it comes of, by the records of
// runs: an update that failed, a change that was intended, or neither, which is an
// edit by hand. It says nothing where no run touched the servers.
func Blame(c *server.Comparison, records []Record) {
	b := blame{newest: slices.Clone(records), differences: map[string]server.Difference{}}
	slices.Reverse(b.newest)
	for _, d := range c.Differences {
		key := d.Key
		if d.Section != server.File {
			key = string(d.Section) + " " + d.Key
		}
		b.differences[key] = d
	}
	for i := range c.Causes {
		c.Causes[i].Why = b.why(c.Causes[i], c.Servers)
	}
}

type blame struct {
	newest      []Record // first
	differences map[string]server.Difference
}

func (b blame) why(c server.Cause, all []string) string {
	if c.Kind == server.ByResult {
		return "" // what it follows from has a cause of its own
	}
	odd := c.Odd
	if len(odd) == 0 {
		odd = all
	}
	known := false
	for _, s := range odd {
		known = known || b.knows(s)
		for _, key := range append(slices.Clone(c.Facts), c.Files...) {
			if why := b.failed(s, key); why != "" {
				return why
			}
			if why := b.intended(s, key); why != "" {
				return why
			}
		}
	}
	switch {
	case !known:
		return ""
	case c.Kind == server.ByEdit || c.Kind == server.ByHand:
		return "edited by hand: no run of update did it"
	}
	return "no run of update did it"
}

// knows reports whether any run touched a server.
func (b blame) knows(name string) bool {
	return slices.ContainsFunc(b.newest, func(r Record) bool { return r.changeOn(name) != "" })
}

// failed finds the newest run that changed a thing elsewhere, and failed here.
func (b blame) failed(name, key string) string {
	for _, r := range b.newest {
		i := slices.IndexFunc(r.Results, func(res Result) bool { return res.Server == name })
		if !r.touched(key) || i < 0 {
			continue
		}
		if res := r.Results[i]; !res.Fine() {
			return fmt.Sprintf("failed update: run %d by %s, %s: %s", r.Number, r.By, res.Outcome, clause(res.Cause))
		}
		return ""
	}
	return ""
}

// intended finds the newest run that made a thing on a server what it is now.
func (b blame) intended(name, key string) string {
	d, ok := b.differences[key]
	if !ok {
		return ""
	}
	for _, r := range b.newest {
		for _, res := range r.Results {
			after, touched := res.after(key)
			if res.Server != name || !touched {
				continue
			}
			if after == d.Values[name] && r.Action != Revert {
				return fmt.Sprintf("intended change: run %d by %s", r.Number, r.By) + because(r.Reason)
			}
			return ""
		}
	}
	return ""
}

// after is what a run left of a thing on a server.
func (r Result) after(key string) (value string, touched bool) {
	for _, f := range r.Change.Facts {
		if string(f.Section)+" "+f.Key == key {
			return f.After, true
		}
	}
	for _, f := range r.Change.Files {
		if f.Path == key {
			return f.After, true
		}
	}
	return "", false
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ", " + clause(reason)
}

// clause is the first line of a text, as a part of a sentence.
func clause(text string) string { return strings.TrimSuffix(firstLine(text), ".") }
