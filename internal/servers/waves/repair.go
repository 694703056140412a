package waves

import (
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/servers/change"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// A Repair is what would make a server that deviates like the others, in place.
type Repair struct {
	Server   string               `json:"server"`
	Packages []change.PackageSpec `json:"packages,omitempty"` // to be brought to the version of the others
	Purge    []string             `json:"purge,omitempty"`    // packages that the others do not have
	Copy     []string             `json:"copy,omitempty"`     // files to be copied from the others
	Remove   []string             `json:"remove,omitempty"`   // files that the others do not have
	ByHand   []string             `json:"byHand,omitempty"`   // what no update does by itself
}

// Repairs derives from a comparison what repairing in place would change, for each
// server that deviates, in the order of the servers. What is split is nobody's to
// repair: split says in how much servers differ without a majority.
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
			byServer[name].add(d, explained[differenceKey(d)])
		}
	}
	for _, name := range c.Servers {
		if r := byServer[name]; r != nil {
			list = append(list, *r)
		}
	}
	return list, split
}

// explainedIn are the files that come and go with a package's version, and the
// facts that come and go with files.
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

// fromFiles are the sections of facts that are nothing but what files say.
var sectionsOfFiles = []facts.Section{facts.Sudoers, facts.Cron, facts.Timer, facts.SSH, facts.TLS}

// nameOf is what a cause calls a difference.
func differenceKey(d compare.Difference) string {
	if d.Section == compare.File {
		return d.Key
	}
	return string(d.Section) + " " + d.Key
}

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
		r.ByHand = append(r.ByHand, string(d.Section)+" "+d.Key)
	case d.Derived || explained:
	case d.Usual == "":
		r.Remove = append(r.Remove, d.Key)
	case slices.Equal(d.Fields, []string{"content"}) || len(d.Fields) == 0:
		r.Copy = append(r.Copy, d.Key)
	default:
		r.ByHand = append(r.ByHand, "file "+d.Key+": "+strings.Join(d.Fields, ", "))
	}
}
