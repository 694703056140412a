package learn

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
)

// A Workload is one workload of a manifest, with the file, which also has the
// objects that the pods refer to.
type Workload struct {
	File   manifest.File
	Object manifest.Workload
}

// Workloads returns the workloads of a manifest, or an error that lists every
// field that is not supported on one machine.
func Workloads(f manifest.File) ([]Workload, error) {
	var refused manifest.Errors
	var out []Workload
	for _, w := range f.Workloads() {
		refused = append(refused, manifest.Unsupported(w)...)
		out = append(out, Workload{f, w})
	}
	if len(refused) > 0 {
		return nil, refused
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no workload in it: want a Pod, Deployment, StatefulSet, DaemonSet, Job or CronJob", f.Name)
	}
	return out, nil
}

// PassedOver returns the objects of a manifest that are not run with its workloads. The
// Services of the workloads are.
func PassedOver(f manifest.File, workloads []Workload) []manifest.Other {
	services, _ := f.Services() // a field that has no meaning here is no reason to name it twice
	return slices.DeleteFunc(f.Others(), func(o manifest.Other) bool {
		return o.Kind == "Service" && o.APIVersion == "v1" && slices.ContainsFunc(services, func(s corev1.Service) bool {
			isIts := s.Name == o.Name && s.Namespace == cmp.Or(o.Namespace, corev1.NamespaceDefault)
			return isIts && slices.ContainsFunc(workloads, func(w Workload) bool { return selects(&s, w) })
		})
	})
}

// Notes returns a note for each field of workloads that has no meaning on one
// machine.
func Notes(workloads []Workload) []string {
	var notes []string
	for _, s := range workloads {
		for _, note := range manifest.Notes(s.Object) {
			notes = append(notes, note.Error())
		}
	}
	return notes
}

// Name returns the kind and name, as in "Deployment/web".
func (s Workload) Name() string { return s.Object.Kind + "/" + s.Object.Name }

// Spec returns the pod as `adamant run` would start it.
func (s Workload) Spec() pod.PodSpec {
	w := s.Object
	return pod.SpecOf(pod.Template{
		Kind: w.Kind, Namespace: w.Namespace, Name: w.Name,
		Template: w.Template, ConfigMaps: s.File.ConfigMaps(), Secrets: s.File.Secrets(),
	})
}

// trial returns the pod under another name and without host ports, so that it can
// run beside the real one.
func (s Workload) trial(what string) pod.PodSpec {
	spec := s.Spec()
	var suffix [4]byte
	rand.Read(suffix[:]) // never fails on Linux
	name := spec.Name
	if len(name) > 200 {
		name = name[:200]
	}
	spec.Workload = ""
	spec.Name = fmt.Sprintf("%s-%s-%s", name, what, hex.EncodeToString(suffix[:]))
	spec.Spec = *spec.Spec.DeepCopy()
	// The host name must not vary with the random name, because programs use it
	// in names of files.
	if spec.Spec.Hostname == "" && len(name) <= 63 {
		spec.Spec.Hostname = name
	}
	eachContainer(&spec.Spec, func(c *corev1.Container) {
		for i := range c.Ports {
			c.Ports[i].HostPort = 0
		}
	})
	return spec
}

// freePorts returns an error if a port of a pod on the machine's network is taken.
// Such a pod cannot run beside another instance of itself.
func freePorts(spec corev1.PodSpec) error {
	if !spec.HostNetwork {
		return nil
	}
	for _, port := range declaredPorts(spec, "") {
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("the pod uses the machine's network, on which port %d is taken: stop what listens there, as with adamant rm", port)
		}
		if err == nil {
			l.Close()
		}
	}
	return nil
}

// writable lets every container of the pod write its root.
func writable(spec pod.PodSpec) pod.PodSpec {
	eachContainer(&spec.Spec, func(c *corev1.Container) {
		if c.SecurityContext != nil && c.SecurityContext.ReadOnlyRootFilesystem != nil {
			*c.SecurityContext.ReadOnlyRootFilesystem = false
		}
	})
	return spec
}

func eachContainer(spec *corev1.PodSpec, do func(*corev1.Container)) {
	for i := range spec.InitContainers {
		do(&spec.InitContainers[i])
	}
	for i := range spec.Containers {
		do(&spec.Containers[i])
	}
}

// forImage returns the manifest of a pod that runs an unmodified image.
func forImage(reference, name string) (manifest.File, error) {
	object := map[string]any{
		"apiVersion": "v1",
		"kind":       "Pod",
		"metadata":   map[string]any{"name": name},
		"spec":       map[string]any{"containers": []any{map[string]any{"name": name, "image": reference}}},
	}
	data, err := yaml.Marshal(object)
	if err != nil {
		return manifest.File{}, err
	}
	return manifest.Parse(reference, data)
}
