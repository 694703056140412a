package waves

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/change"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/text"
)

// summarize compares all servers at the end of a run and sets the statement of the
// record. If something could not be compared, the record is incomplete, because
// unknown must not look like equal.
func summarize(ctx context.Context, f Group, job change.Job, r *Record) error {
	var all []int
	for i := range r.servers() {
		all = append(all, i)
	}
	look, err := f.Compare(ctx, all)
	if err != nil {
		r.Statement = "how the servers compare is not known: " + err.Error()
		return err
	}
	r.Statement = consistency(job, r, look)
	for _, res := range r.Results {
		r.addGap(res.Server, notInspected(look.Comparison, res.Server, res.Change))
	}
	for _, name := range r.Others {
		r.addGap(name, notInspected(look.Comparison, name, change.State{}))
	}
	return nil
}

// addGap adds to the statement that something of a server is unknown.
func (r *Record) addGap(name, unseen string) {
	if unseen != "" {
		r.Incomplete = true
		r.Statement += "; " + name + " " + unseen
	}
}

// notInspected describes what could not be read on a server, empty if everything was.
func notInspected(c compare.Comparison, name string, st change.State) string {
	var parts []string
	if why := c.Unreached[name]; why != "" {
		parts = append(parts, "was not compared: "+text.FirstLine(why))
	}
	for _, u := range []struct {
		list []facts.Unknown
		what string
	}{{c.Unknowns[name], "could not be read"}, {st.Unknowns, "may have changed and could not be read"}} {
		if n := len(u.list); n > 0 {
			parts = append(parts, fmt.Sprintf("has what %s: %s, %s%s", u.what, u.list[0].Path, text.FirstLine(u.list[0].Reason), andMore(n-1)))
		}
	}
	return strings.Join(parts, "; ")
}

// consistency counts the servers on which the change is complete, and describes the
// others: "2 of 3 on nginx 1.22.1-9; web-3 half changed: libssl3 is held; differs in 3
// packages, 41 files".
func consistency(job change.Job, r *Record, look Inspection) string {
	var parts []string
	for _, p := range job.Packages {
		parts = append(parts, countVersion(p, r, look))
	}
	if len(job.Packages) == 0 {
		what := "as asked for"
		if r.Action == Revert {
			what = "as before"
		}
		parts = append(parts, fmt.Sprintf("%d of %d %s", len(r.Succeeded()), len(r.servers()), what))
	}
	for _, res := range r.Results {
		differs := differences(look.Comparison, res.Server)
		switch {
		case !res.Succeeded():
			s := res.Server + " " + string(res.Outcome)
			if res.Cause != "" {
				s += ": " + text.FirstLine(res.Cause)
			}
			parts = append(parts, s+differs)
		case differs != "":
			parts = append(parts, res.Server+strings.Replace(differs, "; ", " ", 1))
		}
	}
	for _, name := range r.Others {
		if differs := differences(look.Comparison, name); differs != "" {
			parts = append(parts, name+strings.Replace(differs, "; ", " ", 1))
		}
	}
	return strings.Join(parts, "; ")
}

// countVersion counts the servers that have a package in the version that was asked
// for, or without one in the version that most servers have.
func countVersion(p change.PackageSpec, r *Record, look Inspection) string {
	votes := map[string]int{} // never for the empty version
	best := p.Version
	for _, name := range r.servers() {
		version := installedVersion(look.Packages[name][p.Name])
		if version == "" {
			continue
		}
		votes[version]++
		if p.Version == "" && votes[version] > votes[best] {
			best = version
		}
	}
	return strings.TrimSpace(fmt.Sprintf("%d of %d on %s %s", votes[best], len(r.servers()), p.Name, best))
}

// installedVersion returns the version of a package that is installed in one version
// for all its architectures, empty otherwise.
func installedVersion(packages []facts.InstalledPackage) string {
	version := ""
	for i, p := range packages {
		if !p.IsInstalled() || i > 0 && p.Version != version {
			return ""
		}
		version = p.Version
	}
	return version
}

// differences counts the packages, files and settings in which a server differs from
// the others. It is empty if there are none.
func differences(c compare.Comparison, name string) string {
	packages, files, others := 0, 0, 0
	for _, d := range c.Differences {
		switch {
		case !d.Split && !slices.Contains(d.Odd, name):
		case d.Section == facts.Package:
			packages++
		case d.Section == compare.File && !d.Derived:
			files++
		case d.Section != compare.File:
			others++
		}
	}
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{packages, "package"}, {files, "file"}, {others, "setting"}} {
		if p.n > 0 {
			parts = append(parts, text.Count(p.n, p.what))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "; differs in " + strings.Join(parts, ", ")
}
