package learn

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/text"
)

const (
	limitRoom  = 16        // an automatic limit is at least this many times what the volume held: a proof under ten times the load passes
	leastLimit = 256 << 20 // the smallest automatic limit, in bytes
)

// Values of choices.
const (
	automatic = "auto"
	none      = "none"
)

// Choices are decisions about the volumes of sealed workloads, which a person
// takes because no run can. Each is "PATH=VALUE" or "CONTAINER:PATH=VALUE", with
// the path of a volume in a profile. The container may be "Deployment/web/app".
type Choices struct {
	SizeLimits []string // a quantity, "auto" or "none"; "auto" without a path is for all volumes
	Mediums    []string // "Memory" or "none"
	Claims     []string // name of a PersistentVolumeClaim, followed by ":SIZE" if sealing shall add it to the file
}

// A choice is one of Choices.
type choice struct {
	arg       string
	container string // empty for any
	path      string // empty for all volumes
	value     string
}

// parseChoice splits "[CONTAINER:]PATH=VALUE".
func parseChoice(arg, values string) (choice, error) {
	want := fmt.Errorf("%q: want PATH=VALUE, with the path of a volume and %s", arg, values)
	i := strings.LastIndexByte(arg, '=')
	if i < 0 {
		return choice{}, want
	}
	c := choice{arg: arg, path: arg[:i], value: arg[i+1:]}
	// A mount path has no colon.
	if container, at, ok := strings.Cut(c.path, ":"); ok {
		c.container, c.path = container, at
	}
	if !path.IsAbs(c.path) || c.value == "" {
		return choice{}, want
	}
	c.path = path.Clean(c.path)
	return c, nil
}

func parseSizeLimit(arg string) (choice, error) {
	if arg == automatic {
		return choice{arg: arg, value: arg}, nil
	}
	const values = "a size such as 64Mi, auto or none"
	c, err := parseChoice(arg, values)
	if err == nil && c.value != automatic && c.value != none && !isSize(c.value) {
		err = fmt.Errorf("%q: want %s", arg, values)
	}
	return c, err
}

func parseMedium(arg string) (choice, error) {
	const values = "Memory or none"
	c, err := parseChoice(arg, values)
	if err == nil && c.value != string(corev1.StorageMediumMemory) && c.value != none {
		err = fmt.Errorf("%q: want %s", arg, values)
	}
	return c, err
}

func parseClaim(arg string) (choice, error) {
	const values = "the NAME of a claim or NAME:SIZE"
	c, err := parseChoice(arg, values)
	if err != nil {
		return c, err
	}
	name, size, sized := strings.Cut(c.value, ":")
	if wrong := validation.IsDNS1123Subdomain(name); len(wrong) > 0 {
		return c, fmt.Errorf("%q: %q cannot be the name of a claim: %s", arg, name, wrong[0])
	}
	if sized && !isSize(size) {
		return c, fmt.Errorf("%q: want %s, with a size such as 10Gi", arg, values)
	}
	return c, nil
}

func isSize(s string) bool {
	q, err := resource.ParseQuantity(s)
	return err == nil && q.Sign() > 0
}

// parsedChoices are Choices in the order in which they apply.
type parsedChoices struct{ claims, mediums, limits []choice }

func (c Choices) parse() (p parsedChoices, err error) {
	for _, kind := range []struct {
		args  []string
		parse func(string) (choice, error)
		to    *[]choice
	}{{c.Claims, parseClaim, &p.claims}, {c.Mediums, parseMedium, &p.mediums}, {c.SizeLimits, parseSizeLimit, &p.limits}} {
		for _, arg := range kind.args {
			one, err := kind.parse(arg)
			if err != nil {
				return p, err
			}
			*kind.to = append(*kind.to, one)
		}
	}
	// A choice for one volume precedes one for all, wherever it stands.
	slices.SortStableFunc(p.limits, func(a, b choice) int { return cmp.Compare(min(len(a.path), 1), min(len(b.path), 1)) })
	return p, nil
}

// Check returns an error if a choice cannot be parsed.
func (c Choices) Check() error {
	_, err := c.parse()
	return err
}

// ApplyTo returns profiles with the choices, by which files can be sealed, and the
// notes that sealing should print.
func (c Choices) ApplyTo(files []manifest.File, profiles []profile.Profile) ([]profile.Profile, []string, error) {
	profiles, notes, err := c.Apply(profiles)
	if err != nil {
		return nil, nil, err
	}
	all, err := manifest.Join(files...) // one file may have another's claims
	if err != nil {
		return nil, nil, err
	}
	keepClaims(all, profiles)
	return profiles, slices.Concat(notes, volumeNotes(all, profiles), DurableNotes(profiles)), nil
}

// Apply returns profiles with the choices, and a note for each limit and medium
// that the command line does not show.
func (c Choices) Apply(profiles []profile.Profile) ([]profile.Profile, []string, error) {
	p, err := c.parse()
	if err != nil {
		return nil, nil, err
	}
	out, volumes := volumesOf(profiles)
	claimed := map[string]string{}
	for _, one := range p.claims {
		if err := volumes.claim(one, claimed); err != nil {
			return nil, nil, err
		}
	}
	for _, one := range p.mediums {
		if err := volumes.medium(one); err != nil {
			return nil, nil, err
		}
	}
	for _, one := range p.limits {
		if err := volumes.limit(one); err != nil {
			return nil, nil, err
		}
	}
	var notes []string
	for _, v := range volumes {
		notes = append(notes, v.notes...)
		if note := v.inherited(); note != "" {
			notes = append(notes, note)
		}
	}
	return out, notes, nil
}

// A choiceVolume is a volume of a profile to which choices apply.
type choiceVolume struct {
	*profile.Volume
	workload, container string
	writes              []profile.Write

	mediumChosen, limitChosen bool
	notes                     []string
}

type choiceVolumes []*choiceVolume

// volumesOf copies profiles, and returns the copies and all volumes in them.
func volumesOf(profiles []profile.Profile) ([]profile.Profile, choiceVolumes) {
	var all choiceVolumes
	profiles = slices.Clone(profiles)
	for i := range profiles {
		p := &profiles[i]
		p.Containers = slices.Clone(p.Containers)
		for j := range p.Containers {
			c := &p.Containers[j]
			c.Volumes = slices.Clone(c.Volumes)
			for k := range c.Volumes {
				all = append(all, &choiceVolume{Volume: &c.Volumes[k], workload: p.Name, container: c.Name, writes: c.Writes})
			}
		}
	}
	return profiles, all
}

// owner returns the container of the volume: "Deployment/web/app".
func (v *choiceVolume) owner() string { return v.workload + "/" + v.container }

func (v *choiceVolume) String() string { return v.owner() + ":" + text.Escape(v.MountPath) }

// of returns the volumes that a choice is for. It returns an error that lists the
// volumes if there is none.
func (all choiceVolumes) of(c choice) (choiceVolumes, error) {
	var found choiceVolumes
	for _, v := range all {
		if (c.path == "" || c.path == v.MountPath) && (c.container == "" || c.container == v.container || c.container == v.owner()) {
			found = append(found, v)
		}
	}
	if len(found) > 0 || c.path == "" {
		return found, nil
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%q: the profiles have no volumes", c.arg)
	}
	var names []string
	for _, v := range all {
		names = append(names, v.String())
	}
	return nil, fmt.Errorf("%q: no volume has this path; there are %s", c.arg, strings.Join(names, ", "))
}

func (all choiceVolumes) claim(c choice, claimed map[string]string) error {
	found, err := all.of(c)
	if err != nil {
		return err
	}
	if len(found) > 1 {
		return fmt.Errorf("%q: %d containers have a volume there, and one claim would mix their files: choose one, as in %s=%s",
			c.arg, len(found), found[0], c.value)
	}
	name, size, _ := strings.Cut(c.value, ":")
	if at := claimed[name]; at != "" {
		return fmt.Errorf("%q: claim %s was chosen for %s already: a claim has the files of one volume", c.arg, name, at)
	}
	v := found[0]
	claimed[name] = v.String()
	v.Claim, v.Medium, v.SizeLimit = &profile.Claim{Name: name, Size: size}, "", ""
	return nil
}

func (all choiceVolumes) medium(c choice) error {
	found, err := all.of(c)
	for _, v := range found {
		if v.Claim != nil {
			return fmt.Errorf("%q: a claim has no medium", c.arg)
		}
		v.mediumChosen = true
		if v.Medium = c.value; c.value == none {
			v.Medium = ""
		}
	}
	return err
}

func (all choiceVolumes) limit(c choice) error {
	found, err := all.of(c)
	for _, v := range found {
		switch {
		case v.Claim != nil && c.path == "":
			continue
		case v.Claim != nil:
			return fmt.Errorf("%q: a claim has no size limit", c.arg)
		}
		v.limitChosen, v.notes = true, nil
		switch c.value {
		case none:
			v.SizeLimit = ""
		case automatic:
			if err := v.automatic(); err != nil {
				return err
			}
		default:
			v.SizeLimit = c.value
		}
	}
	return err
}

// automatic limits the volume to limitRoom times the most bytes that it is known
// to have had, or the sum of the largest sizes of its files if that is more,
// rounded up to a power of two.
func (v *choiceVolume) automatic() error {
	if v.Used == 0 {
		return fmt.Errorf("%s: its profile does not tell how much it held: learn it anew, or choose a size: --size-limit %s=SIZE", v, text.Escape(v.MountPath))
	}
	held := max(v.Used, v.written())
	limit := int64(leastLimit)
	for limit/limitRoom < held && limit < 1<<60 {
		limit *= 2
	}
	v.SizeLimit = quantity(limit)
	effect := "a pod with more is evicted, and the data is lost"
	if v.Medium != "" {
		effect = "writes beyond it fail"
	}
	v.notes = []string{fmt.Sprintf("%s is limited to %s, as it held %s at most: %s", v, v.SizeLimit, text.Bytes(held), effect)}
	return nil
}

// written returns the sum of the sizes of all files that were written in the
// volume, also of those that were removed again.
func (v *choiceVolume) written() (sum int64) {
	for _, w := range v.writes {
		if isBelow(w.Path, v.MountPath) {
			sum += w.Bytes
		}
	}
	return sum
}

// inherited returns a note about a limit or medium that only the profile has.
func (v *choiceVolume) inherited() string {
	var has, drop []string
	at := text.Escape(v.MountPath) + "=" + none
	if v.SizeLimit != "" && !v.limitChosen {
		has, drop = append(has, "is limited to "+v.SizeLimit), append(drop, "--size-limit "+at)
	}
	if v.Medium != "" && !v.mediumChosen {
		has, drop = append(has, "is in memory"), append(drop, "--medium "+at)
	}
	if len(has) == 0 {
		return ""
	}
	return fmt.Sprintf("%s %s, as its profile asks; without that: %s", v, strings.Join(has, " and "), strings.Join(drop, " "))
}

// ExposureWarnings returns a warning for each volume that makes code or the whole
// configuration of the image writable.
func ExposureWarnings(profiles []profile.Profile) []string {
	_, all := volumesOf(profiles)
	var warnings []string
	for _, v := range all {
		if v.Exposes == "" {
			continue
		}
		w := fmt.Sprintf("%s makes all of %s writable: %s", v, text.Escape(v.MountPath), text.Escape(v.Exposes))
		if len(v.Files) > 0 {
			w += "; if the program writes them in place, mount only " + text.Escape(strings.Join(v.Files, ", ")) + " (file: true in the profile)"
		}
		warnings = append(warnings, w)
	}
	return warnings
}

// DurableNotes returns a note for each volume whose data should outlive its pod
// and that is no claim.
func DurableNotes(profiles []profile.Profile) []string {
	_, all := volumesOf(profiles)
	var notes []string
	for _, v := range all {
		if v.Durable != "" && v.Claim == nil {
			notes = append(notes, fmt.Sprintf("%s is lost with its pod, but should outlive it (%s): adamant seal --claim %s=NAME", v, text.Escape(v.Durable), text.Escape(v.MountPath)))
		}
	}
	return notes
}
