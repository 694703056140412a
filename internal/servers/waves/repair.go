package waves

import (
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/change"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// A Repair is the changes in place that make a deviating server equal to the others.
type Repair struct {
	Server   string               `json:"server"`
	Packages []change.PackageSpec `json:"packages,omitempty"` // to be brought to the version of the others
	Purge    []string             `json:"purge,omitempty"`    // packages that the others do not have
	Copy     []string             `json:"copy,omitempty"`     // files to be copied from the others
	Remove   []string             `json:"remove,omitempty"`   // files that the others do not have
	ByHand   []string             `json:"byHand,omitempty"`   // differences that no update removes
}

// Repairs derives the repair of each deviating server from a comparison, in the order of
// the servers. It only lists what an update can really do, the rest is ByHand: a plan
// that promised more would be trusted. split is the number of differences without a
// majority. They cannot be repaired, because no value is the usual one.
func Repairs(c compare.Comparison) (list []Repair, split int) {
	byServer := map[string]*Repair{}
	explained := explainedKeys(c)
	for _, d := range c.Differences {
		if d.Split {
			split++
			continue
		}
		for _, name := range d.Odd {
			if byServer[name] == nil {
				byServer[name] = &Repair{Server: name}
			}
			byServer[name].add(d, explained[d.Name()])
		}
	}
	for _, name := range c.Servers {
		if r := byServer[name]; r != nil {
			list = append(list, *r)
		}
	}
	return list, split
}

// explainedKeys returns the differences that disappear with another one: files that
// belong to a package, and facts that are read from a file. Repairing them separately
// would overwrite files of the package manager.
func explainedKeys(c compare.Comparison) map[string]bool {
	explained := map[string]bool{}
	for _, cause := range c.Causes {
		if cause.Kind == compare.ByPackage {
			for _, f := range cause.Files {
				explained[f] = true
			}
			continue
		}
		for _, f := range cause.Facts {
			section, _, _ := strings.Cut(f, " ")
			explained[f] = len(cause.Files) > 0 && slices.Contains(sectionsOfFiles, facts.Section(section))
		}
	}
	return explained
}

// sectionsOfFiles are the sections whose facts are all read from files.
var sectionsOfFiles = []facts.Section{facts.Sudoers, facts.Cron, facts.Timer, facts.SSH, facts.TLS, facts.SysctlFile}

func (r *Repair) add(d compare.Difference, explained bool) {
	switch {
	case d.Section == facts.Package && d.Usual == "":
		r.Purge = append(r.Purge, d.Key)
	case d.Section == facts.Package:
		usual := facts.ParsePackages(d.Key, d.Usual)
		if len(usual) != 1 || !usual[0].IsInstalled() {
			// No package manager can be asked for several versions or for a broken state.
			r.ByHand = append(r.ByHand, "package "+d.Key+" is "+d.Usual+" on the others")
			return
		}
		r.Packages = append(r.Packages, change.PackageSpec{Name: usual[0].Name, Version: usual[0].Version})
	case d.Section != compare.File && explained:
	case d.Section != compare.File:
		r.ByHand = append(r.ByHand, d.Name())
	case d.Derived || explained: // the repair of another difference creates it anew
	case d.Usual == "":
		r.Remove = append(r.Remove, d.Key)
	case slices.Equal(d.Fields, []string{"content"}) || len(d.Fields) == 0:
		r.Copy = append(r.Copy, d.Key)
	default:
		// A copy keeps the mode and owner of the file that it replaces.
		r.ByHand = append(r.ByHand, "file "+d.Key+": "+strings.Join(d.Fields, ", "))
	}
}
