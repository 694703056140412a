package policy

import (
	"fmt"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// A pod is a pod's spec in an object.
type pod struct {
	object     *manifest.Resource
	path       string
	named      string // path with the names of items instead of indexes
	spec       manifest.Value
	windows    bool
	containers []container
	volumes    map[string]volume
	filledBy   map[string]int // index of the first init container that can write to a volume

	misplaced     manifest.Value // a field of the pod that was meant for its containers
	misplacedPath string
}

func newPod(o *manifest.Resource, s manifest.PodSpec) *pod {
	p := &pod{object: o, path: s.Path, named: s.Named, spec: s.Value, windows: IsWindows(s.Value), volumes: map[string]volume{}, filledBy: map[string]int{}}
	for _, v := range o.Value.Get("spec", "volumeClaimTemplates").Items() {
		name := v.Get("metadata", "name").Text()
		p.volumes[name] = volume{name: name, kind: "persistentVolumeClaim"}
	}
	for i, v := range p.spec.Get("volumes").Items() {
		name := v.Get("name").Text()
		p.volumes[name] = volume{name, v, volumeKind(v), i}
	}
	p.misplaced, p.misplacedPath = p.findMisplaced()
	for _, list := range manifest.ContainerLists() {
		for i, v := range p.spec.Get(list).Items() {
			if v.IsMapping() {
				p.addContainer(container{pod: p, list: list, index: i, value: v})
			}
		}
	}
	return p
}

func (p *pod) addContainer(c container) {
	for i, v := range c.value.Get("volumeMounts").Items() {
		m := mount{value: v, index: i, path: mountPath(v), readOnly: v.Get("readOnly").IsTrue()}
		if m.path == "" {
			continue
		}
		name := v.Get("name").Text()
		m.volume = p.volumes[name]
		c.mounts = append(c.mounts, m)
		if _, filled := p.filledBy[name]; !filled && c.list == "initContainers" && m.writable() {
			p.filledBy[name] = c.index
		}
	}
	p.containers = append(p.containers, c)
}

// mountPath returns the clean path of a mount, or "" if it has none. A kubelet makes a relative
// path absolute (MakeAbsolutePath in k8s.io/kubernetes/pkg/volume/util).
func mountPath(mount manifest.Value) string {
	p := mount.Get("mountPath").Text()
	if p == "" {
		return ""
	}
	return cleanPath("/" + p)
}

// IsWindows reports whether a pod can only run on Windows, where the fields for Linux mean
// nothing.
func IsWindows(spec manifest.Value) bool {
	if spec.Get("os", "name").Text() == "windows" {
		return true
	}
	for _, label := range osLabels {
		if spec.Get("nodeSelector", label).Text() == "windows" {
			return true
		}
	}
	terms := spec.Get("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
	all := false
	for _, term := range terms.Items() { // any one of the terms is enough
		only := false
		for _, e := range term.Get("matchExpressions").Items() {
			only = only || isOSLabel(e.Get("key").Text()) && e.Get("operator").Text() == "In" && onlyWindows(e.Get("values"))
		}
		if !only {
			return false
		}
		all = true
	}
	return all
}

var osLabels = []string{"kubernetes.io/os", "beta.kubernetes.io/os"}

func isOSLabel(s string) bool { return s == osLabels[0] || s == osLabels[1] }

func onlyWindows(values manifest.Value) bool {
	n := 0
	for _, v := range values.Items() {
		if v.Text() != "windows" {
			return false
		}
		n++
	}
	return n > 0
}

// A container is a container of a pod: an init container, a sidecar, an ordinary or an
// ephemeral one.
type container struct {
	pod    *pod
	list   string // "containers"
	index  int
	value  manifest.Value
	mounts []mount
	need   *Need // by its profile; nil if it has none

	content *ImageContent // nil if the image is not available
}

// name returns the name of the container, or its place in the list if it has none.
func (c container) name() string {
	if name := c.value.Get("name").Scalar(); name != "" {
		return name
	}
	return fmt.Sprintf("%s[%d]", c.list, c.index)
}

// security returns a field of the container's security context, or the pod's if the
// container does not set it.
func (c container) security(fields ...string) manifest.Value {
	fields = append([]string{"securityContext"}, fields...)
	if v := c.value.Get(fields...); v.IsSet() {
		return v
	}
	return c.pod.spec.Get(fields...)
}

// isHostProcess reports whether the container is a process of a Windows host.
func (c container) isHostProcess() bool { return c.security("windowsOptions", "hostProcess").IsTrue() }

// A mount is a volume in a container.
type mount struct {
	value    manifest.Value // of volumeMounts
	index    int
	path     string // clean
	volume   volume
	readOnly bool
}

// A volume is a volume of a pod.
type volume struct {
	name  string
	value manifest.Value // of volumes; absent for a claim of a StatefulSet
	kind  string         // "emptyDir"; empty if it is unknown
	index int
}

// source returns the field that configures the volume.
func (v volume) source() manifest.Value { return v.value.Get(v.kind) }

// volumeKind returns the kind of a volume. One without any is an emptyDir, as a
// kube-apiserver makes it.
func volumeKind(v manifest.Value) string {
	for name, source := range v.Entries() {
		if name != "name" && source.IsSet() {
			return name
		}
	}
	return "emptyDir"
}

// writable reports whether the container can write to the mount.
func (m mount) writable() bool {
	if m.readOnly || m.volume.source().Get("readOnly").IsTrue() {
		return false
	}
	switch m.volume.kind {
	case "", "configMap", "secret", "projected", "downwardAPI", "image":
		return false
	}
	return true
}
