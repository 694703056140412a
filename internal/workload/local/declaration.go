package local

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/workload/batch"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A declaration holds the objects of one manifest.
type declaration struct {
	workloads  []declared
	services   []corev1.Service
	configMaps []corev1.ConfigMap
	secrets    []corev1.Secret
	claims     []corev1.PersistentVolumeClaim
	claimRefs  []manifest.ClaimRef // claims that must exist
	ingresses  []networkingv1.Ingress
	notes      []string
	refused    []manifest.Other // objects without a meaning on this machine
	file       manifest.File
}

// declares reports whether a Service, Ingress or Secret of a name is declared.
func (d declaration) declares(kind, name string) bool {
	has := func(m metav1.ObjectMeta) bool { return nameOf(m) == name }
	switch kind {
	case "Service":
		return slices.ContainsFunc(d.services, func(s corev1.Service) bool { return has(s.ObjectMeta) })
	case "Ingress":
		return slices.ContainsFunc(d.ingresses, func(i networkingv1.Ingress) bool { return has(i.ObjectMeta) })
	case "Secret":
		return slices.ContainsFunc(d.secrets, func(s corev1.Secret) bool { return has(s.ObjectMeta) })
	}
	return false
}

// A declared workload is one to keep running.
type declared struct {
	key      Key
	spec     rollout.Spec
	policy   rollout.Policy
	template corev1.PodTemplateSpec
	retain   int
	paused   bool

	claims    []corev1.PersistentVolumeClaim // templates of a StatefulSet
	retention retention                      // of their claims
	job       *batch.JobSpec                 // of a Job
	cron      *cronRecord                    // of a CronJob, without its state
}

// parseDeclaration reads a manifest. Every unsupported field is an error with
// its path and line.
func parseDeclaration(f manifest.File) (declaration, error) {
	d := declaration{configMaps: f.ConfigMaps(), secrets: f.Secrets(), file: f}
	var refused manifest.Errors
	for _, w := range f.Workloads() {
		refused = append(refused, manifest.Declared.Unsupported(w)...)
		one, err := declareWorkload(w)
		if err != nil {
			refused = append(refused, w.Errorf("metadata.annotations", "", "%v", err))
		}
		d.workloads = append(d.workloads, one)
		d.claimRefs = append(d.claimRefs, w.ClaimRefs()...)
		for _, n := range manifest.Declared.Notes(w) {
			d.notes = append(d.notes, n.Error())
		}
	}
	services, errs := f.Services()
	d.services = services
	claims, notes, claimErrs := f.PersistentClaims()
	d.claims = claims
	for _, n := range notes {
		d.notes = append(d.notes, n.Error())
	}
	ingresses, _, ingressErrs := f.Ingresses()
	d.ingresses = ingresses
	if refused = append(refused, slices.Concat(errs, claimErrs, ingressErrs)...); len(refused) > 0 {
		return d, refused
	}
	d.refused = PassedOver(f)
	if len(d.workloads)+len(d.services)+len(d.configMaps)+len(d.secrets)+len(d.claims)+len(d.ingresses) == 0 {
		return d, fmt.Errorf("%s: nothing in it that can be kept running: want a Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob, Pod, Service, Ingress, ConfigMap, Secret or PersistentVolumeClaim", f.Name)
	}
	return d, nil
}

// PassedOver returns the objects of a manifest without a meaning on this machine.
func PassedOver(f manifest.File) []manifest.Other {
	_, foreign, _ := f.Ingresses() // of other classes
	return slices.DeleteFunc(f.Others(), func(o manifest.Other) bool {
		return o.APIVersion == "v1" && (o.Kind == "Service" || o.Kind == "PersistentVolumeClaim") || o.IsIngress() && !slices.Contains(foreign, o)
	})
}

func declareWorkload(w manifest.Workload) (declared, error) {
	switch o := w.Object.(type) {
	case *batchv1.Job:
		return declareJob(w, o)
	case *batchv1.CronJob:
		return declareCronJob(w, o)
	case *appsv1.StatefulSet:
		return declareStatefulSet(w, o)
	}
	deployment := asDeployment(w)
	spec, policy, err := rollout.FromDeployment(deployment)
	d := declared{
		key:  Key{w.Namespace, w.Kind, w.Name},
		spec: spec, policy: policy, template: w.WithClaims(), retain: defaultRetain, paused: deployment.Spec.Paused,
	}
	if n := deployment.Spec.RevisionHistoryLimit; n != nil {
		d.retain = int(*n)
	}
	if err == nil {
		err = checkReplicas(spec.Replicas)
	}
	d.spec.Alone = isExclusive(&d.template.Spec) || w.Kind == "Pod"
	if isExclusive(&d.template.Spec) {
		// Two instances cannot share a port of the machine, so there is no surge.
		d.spec.MaxSurge.Type, d.spec.MaxSurge.IntVal = 0, 0
		if d.spec.Kind == rollout.BlueGreen || d.spec.Kind == rollout.Canary {
			err = fmt.Errorf("strategy %s needs two instances at once, which its host port or host network does not allow", d.spec.Kind)
		}
		if d.spec.Replicas > 1 {
			err = fmt.Errorf("%d replicas cannot share one host port or the host network: put a Service before them instead", d.spec.Replicas)
		}
	}
	return d, err
}

// asDeployment returns any kind of workload as a Deployment. A Pod keeps its
// name, so the old instance must be gone before the new one is created:
// Recreate.
func asDeployment(w manifest.Workload) *appsv1.Deployment {
	switch o := w.Object.(type) {
	case *appsv1.Deployment:
		return o
	case *appsv1.ReplicaSet:
		return &appsv1.Deployment{ObjectMeta: o.ObjectMeta, Spec: appsv1.DeploymentSpec{Replicas: o.Spec.Replicas, MinReadySeconds: o.Spec.MinReadySeconds}}
	case *appsv1.DaemonSet:
		return &appsv1.Deployment{ObjectMeta: o.ObjectMeta, Spec: appsv1.DeploymentSpec{MinReadySeconds: o.Spec.MinReadySeconds}}
	case *corev1.Pod:
		return &appsv1.Deployment{ObjectMeta: o.ObjectMeta, Spec: appsv1.DeploymentSpec{Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}}}
	}
	return &appsv1.Deployment{}
}

// defaultRetain is the default of spec.revisionHistoryLimit in Kubernetes.
const defaultRetain = 10

// isExclusive reports whether only one instance can run on a machine at a time.
func isExclusive(spec *corev1.PodSpec) bool {
	if spec.HostNetwork {
		return true
	}
	return slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool {
		return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.HostPort != 0 })
	})
}

// Keys returns the keys of all objects of a manifest that can be deleted.
func Keys(f manifest.File) []Key {
	var keys []Key
	for _, w := range f.Workloads() {
		keys = append(keys, Key{w.Namespace, w.Kind, w.Name})
	}
	services, _ := f.Services() // an unsupported field does not matter for deleting
	for _, s := range services {
		keys = append(keys, Key{namespaceOf(s.ObjectMeta), "Service", s.Name})
	}
	ingresses, _, _ := f.Ingresses()
	for _, i := range ingresses {
		keys = append(keys, Key{namespaceOf(i.ObjectMeta), "Ingress", i.Name})
	}
	for _, c := range f.ConfigMaps() {
		keys = append(keys, Key{namespaceOf(c.ObjectMeta), "ConfigMap", c.Name})
	}
	for _, s := range f.Secrets() {
		keys = append(keys, Key{namespaceOf(s.ObjectMeta), "Secret", s.Name})
	}
	return keys
}
