package manifest

import (
	"math"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// setDefaults sets the defaults of a kube-apiserver
// (k8s.io/kubernetes/pkg/apis/{core,apps,batch}/v1/defaults.go, 1.37) that
// matter to running the object's pods.
func setDefaults(typed any) {
	switch o := typed.(type) {
	case *corev1.Pod:
		defaultPod(&o.Spec)
	case *corev1.ReplicationController:
		defaultTo(&o.Spec.Replicas, 1)
		if o.Spec.Template != nil {
			defaultPod(&o.Spec.Template.Spec)
		}
	case *appsv1.Deployment:
		defaultTo(&o.Spec.Replicas, 1)
		defaultPod(&o.Spec.Template.Spec)
	case *appsv1.StatefulSet:
		defaultTo(&o.Spec.Replicas, 1)
		defaultPod(&o.Spec.Template.Spec)
	case *appsv1.DaemonSet:
		defaultPod(&o.Spec.Template.Spec)
	case *appsv1.ReplicaSet:
		defaultTo(&o.Spec.Replicas, 1)
		defaultPod(&o.Spec.Template.Spec)
	case *batchv1.Job:
		defaultJob(&o.Spec)
	case *batchv1.CronJob:
		defaultJob(&o.Spec.JobTemplate.Spec)
	case *corev1.Secret:
		defaultSecret(o)
	}
}

// defaultTo sets a field that is not set.
func defaultTo[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

// orDefault sets a field that has its zero value.
func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func defaultJob(s *batchv1.JobSpec) {
	if s.BackoffLimitPerIndex != nil {
		defaultTo(&s.BackoffLimit, math.MaxInt32)
	}
	defaultTo(&s.BackoffLimit, 6)
	if s.Completions == nil && s.Parallelism == nil {
		defaultTo(&s.Completions, 1)
	}
	defaultTo(&s.Parallelism, 1)
	defaultPod(&s.Template.Spec)
}

func defaultSecret(s *corev1.Secret) {
	orDefault(&s.Type, corev1.SecretTypeOpaque)
	for name, value := range s.StringData {
		if s.Data == nil {
			s.Data = map[string][]byte{}
		}
		s.Data[name] = []byte(value)
	}
	s.StringData = nil
}

func defaultPod(s *corev1.PodSpec) {
	orDefault(&s.RestartPolicy, corev1.RestartPolicyAlways)
	orDefault(&s.DNSPolicy, corev1.DNSClusterFirst)
	orDefault(&s.SchedulerName, corev1.DefaultSchedulerName)
	defaultTo(&s.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)
	if *s.TerminationGracePeriodSeconds < 0 {
		*s.TerminationGracePeriodSeconds = 1
	}
	defaultTo(&s.EnableServiceLinks, corev1.DefaultEnableServiceLinks)
	if s.SecurityContext == nil {
		s.SecurityContext = &corev1.PodSecurityContext{}
	}
	orDefault(&s.ServiceAccountName, s.DeprecatedServiceAccount)
	for i := range s.Volumes {
		defaultVolume(&s.Volumes[i])
	}
	for i := range s.InitContainers {
		defaultContainer(&s.InitContainers[i], s.HostNetwork)
	}
	for i := range s.Containers {
		defaultContainer(&s.Containers[i], s.HostNetwork)
	}
}

func defaultContainer(c *corev1.Container, hostNetwork bool) {
	orDefault(&c.ImagePullPolicy, pullPolicy(c.Image))
	orDefault(&c.TerminationMessagePath, corev1.TerminationMessagePathDefault)
	orDefault(&c.TerminationMessagePolicy, corev1.TerminationMessageReadFile)
	for i := range c.Ports {
		orDefault(&c.Ports[i].Protocol, corev1.ProtocolTCP)
		if hostNetwork {
			orDefault(&c.Ports[i].HostPort, c.Ports[i].ContainerPort)
		}
	}
	for i := range c.Env {
		if from := c.Env[i].ValueFrom; from != nil && from.FieldRef != nil {
			orDefault(&from.FieldRef.APIVersion, "v1")
		}
	}
	defaultResources(&c.Resources)
	for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		defaultProbe(p)
	}
	if c.Lifecycle != nil {
		for _, h := range []*corev1.LifecycleHandler{c.Lifecycle.PostStart, c.Lifecycle.PreStop} {
			if h != nil {
				defaultHTTP(h.HTTPGet)
			}
		}
	}
	if c.SecurityContext != nil {
		defaultTo(&c.SecurityContext.ProcMount, corev1.DefaultProcMount)
	}
}

// pullPolicy returns the default for an image: Always if it has the tag latest,
// or neither tag nor digest.
func pullPolicy(image string) corev1.PullPolicy {
	// A colon before the last slash belongs to the port of the registry.
	name, _, digested := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], "@")
	_, tag, tagged := strings.Cut(name, ":")
	if tag == "latest" || !tagged && !digested {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

// defaultResources sets the requests that are missing to the limits.
func defaultResources(r *corev1.ResourceRequirements) {
	for name, limit := range r.Limits {
		if _, ok := r.Requests[name]; ok {
			continue
		}
		if r.Requests == nil {
			r.Requests = corev1.ResourceList{}
		}
		r.Requests[name] = limit.DeepCopy()
	}
}

func defaultProbe(p *corev1.Probe) {
	if p == nil {
		return
	}
	orDefault(&p.TimeoutSeconds, 1)
	orDefault(&p.PeriodSeconds, 10)
	orDefault(&p.SuccessThreshold, 1)
	orDefault(&p.FailureThreshold, 3)
	defaultHTTP(p.HTTPGet)
	if p.GRPC != nil {
		defaultTo(&p.GRPC.Service, "")
	}
}

func defaultHTTP(h *corev1.HTTPGetAction) {
	if h == nil {
		return
	}
	orDefault(&h.Path, "/")
	orDefault(&h.Scheme, corev1.URISchemeHTTP)
}

func defaultVolume(v *corev1.Volume) {
	mode := corev1.ConfigMapVolumeSourceDefaultMode // 0644, the same for all of them
	if v.VolumeSource == (corev1.VolumeSource{}) {
		v.EmptyDir = &corev1.EmptyDirVolumeSource{}
	}
	switch {
	case v.ConfigMap != nil:
		defaultTo(&v.ConfigMap.DefaultMode, mode)
	case v.Secret != nil:
		defaultTo(&v.Secret.DefaultMode, mode)
	case v.DownwardAPI != nil:
		defaultTo(&v.DownwardAPI.DefaultMode, mode)
		defaultFieldRefs(v.DownwardAPI.Items)
	case v.Projected != nil:
		defaultTo(&v.Projected.DefaultMode, mode)
		for _, s := range v.Projected.Sources {
			if s.DownwardAPI != nil {
				defaultFieldRefs(s.DownwardAPI.Items)
			}
		}
	case v.HostPath != nil:
		defaultTo(&v.HostPath.Type, corev1.HostPathUnset)
	case v.Image != nil:
		orDefault(&v.Image.PullPolicy, pullPolicy(v.Image.Reference))
	}
}

func defaultFieldRefs(items []corev1.DownwardAPIVolumeFile) {
	for _, item := range items {
		if item.FieldRef != nil {
			orDefault(&item.FieldRef.APIVersion, "v1")
		}
	}
}
