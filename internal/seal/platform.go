package seal

import (
	"slices"

	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/manifest"
)

// Limits of what a pod can demand. Values and terms can be many, and their combinations more.
const (
	maxDemanded  = 20 // operating systems, or architectures
	maxPlatforms = 64
)

// platformsOf returns the platforms that a pod's image must have: those in use that the pod
// allows, and those that the pod demands. It returns nil if the pod allows no platform in use
// and demands no other, or demands more than maxPlatforms.
func platformsOf(pod manifest.Value, inUse []image.Platform) []image.Platform {
	var all []image.Platform
	for _, d := range demandsOf(pod) {
		for _, p := range d.platforms(inUse) {
			if !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
		if len(all) > maxPlatforms {
			return nil
		}
	}
	return all
}

// A demand is what one alternative of a pod's scheduling asks of its node.
type demand struct{ os, architecture values }

// values are those that a label of a node may have.
type values struct {
	in    []string
	notIn []string
	isSet bool // in counts; otherwise all are allowed
}

func (v values) allow(s string) bool {
	return (!v.isSet || slices.Contains(v.in, s)) && !slices.Contains(v.notIn, s)
}

// require allows only some of the values that were allowed.
func (v *values) require(in []string) {
	kept := slices.DeleteFunc(slices.Clone(in), func(s string) bool { return !v.allow(s) })
	v.in, v.isSet = kept, true
}

// named returns the values that are named, or one by default if any is allowed.
func (v values) named(otherwise string) []string {
	if v.isSet {
		return slices.DeleteFunc(slices.Clone(v.in), func(s string) bool { return !v.allow(s) })
	}
	if v.allow(otherwise) {
		return []string{otherwise}
	}
	return nil
}

// demandsOf returns the alternatives of a pod's scheduling. A node has to meet one of them.
func demandsOf(pod manifest.Value) []demand {
	var base demand
	if os := pod.Get("os", "name").Text(); os != "" {
		base.os.require([]string{os})
	}
	for label, v := range pod.Get("nodeSelector").Entries() {
		if field := base.field(label); field != nil {
			field.require([]string{v.Text()})
		}
	}
	var all []demand
	terms := pod.Get("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
	for _, term := range terms.Items() {
		d := base
		for _, e := range term.Get("matchExpressions").Items() {
			d.match(e)
		}
		all = append(all, d)
	}
	if len(all) == 0 {
		return []demand{base}
	}
	return all
}

// field returns the values of a label of nodes, or nil if it is of no concern.
func (d *demand) field(label string) *values {
	switch label {
	case "kubernetes.io/os", "beta.kubernetes.io/os":
		return &d.os
	case "kubernetes.io/arch", "beta.kubernetes.io/arch":
		return &d.architecture
	}
	return nil
}

// match adds an expression of a term.
func (d *demand) match(expression manifest.Value) {
	field := d.field(expression.Get("key").Text())
	if field == nil {
		return
	}
	var list []string
	for _, v := range expression.Get("values").Items() {
		if list = append(list, v.Text()); len(list) == maxDemanded {
			break
		}
	}
	switch expression.Get("operator").Text() {
	case "In":
		field.require(list)
	case "NotIn":
		field.notIn = append(slices.Clone(field.notIn), list...)
	}
}

// platforms returns those in use that meet the demand. For an operating system and an
// architecture that the demand names and that are not in use together, it adds the platform.
func (d demand) platforms(inUse []image.Platform) []image.Platform {
	var all []image.Platform
	for _, p := range inUse {
		if d.os.allow(p.OS) && d.architecture.allow(p.Architecture) {
			all = append(all, p)
		}
	}
	if !d.os.isSet && !d.architecture.isSet {
		return all
	}
	for _, os := range d.os.named("linux") {
		for _, architecture := range d.architecture.named("amd64") {
			isCovered := slices.ContainsFunc(all, func(p image.Platform) bool {
				return (p.OS == os || !d.os.isSet) && (p.Architecture == architecture || !d.architecture.isSet)
			})
			if !isCovered {
				all = append(all, image.NewPlatform(os, architecture, ""))
			}
		}
	}
	return all
}
