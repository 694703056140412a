package pod

import (
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// An imageInfo is what the runtime says of an image.
type imageInfo struct {
	id   string // by which the runtime knows exactly this image
	user imageUser
}

// A containerPlan is all that decides how a container is made.
type containerPlan struct {
	spec      *PodSpec
	l         layout
	facts     facts
	image     imageInfo
	volumes   map[string]hostVolume
	recursive bool
	attempt   uint32

	seccompRoot string
}

// containerConfig describes a container to the runtime. It makes the mounts
// and files that only this container has.
func (p *containerPlan) containerConfig(c *corev1.Container) (*cri.ContainerConfig, error) {
	security, err := containerSecurity(p.spec, c, p.image.user, p.seccompRoot)
	if err != nil {
		return nil, err
	}
	env, err := buildEnv(p.spec, c, p.facts)
	if err != nil {
		return nil, err
	}
	set := mountSet{spec: p.spec, l: p.l, volumes: p.volumes, env: env.values, recursive: p.recursive, attempt: p.attempt}
	mounts, err := set.mounts(c)
	if err != nil {
		return nil, err
	}
	return &cri.ContainerConfig{
		Metadata:    &cri.ContainerMetadata{Name: c.Name, Attempt: p.attempt},
		Image:       &cri.ImageSpec{Image: p.image.id, UserSpecifiedImage: c.Image},
		Command:     expandAll(c.Command, env.values),
		Args:        expandAll(c.Args, env.values),
		WorkingDir:  c.WorkingDir,
		Envs:        keyValues(env.list()),
		Mounts:      mounts,
		Labels:      containerLabels(p.spec, p.l, c),
		Annotations: containerAnnotations(p.spec, c, p.attempt),
		LogPath:     logPath(c.Name, p.attempt),
		Stdin:       c.Stdin,
		StdinOnce:   c.StdinOnce,
		Tty:         c.TTY,
		StopSignal:  stopSignal(c),
		Linux: &cri.LinuxContainerConfig{
			Resources:       containerResources(&p.spec.Spec, c, p.facts.memory.Value()),
			SecurityContext: security,
		},
	}, nil
}

func keyValues(vars []variable) []*cri.KeyValue {
	out := make([]*cri.KeyValue, len(vars))
	for i, v := range vars {
		out[i] = &cri.KeyValue{Key: v.name, Value: []byte(v.value)}
	}
	return out
}

func containerLabels(s *PodSpec, l layout, c *corev1.Container) map[string]string {
	labels := podLabels(s, l)
	labels[labelContainerName] = c.Name
	return labels
}

func containerAnnotations(s *PodSpec, c *corev1.Container, attempt uint32) map[string]string {
	out := map[string]string{
		annotationRestarts:      strconv.FormatUint(uint64(attempt), 10),
		annotationMessagePath:   c.TerminationMessagePath,
		annotationMessagePolicy: string(c.TerminationMessagePolicy),
		annotationGracePeriod:   strconv.FormatInt(s.gracePeriod(), 10),
	}
	if s.TraceDir != "" {
		out[AnnotationTrace] = s.TraceDir
	}
	return out
}

// stopSignal is the signal that ends a container, the image's own if the
// manifest names none.
func stopSignal(c *corev1.Container) cri.Signal {
	if c.Lifecycle == nil || c.Lifecycle.StopSignal == nil {
		return cri.Signal_SIGNAL_RUNTIME_DEFAULT
	}
	return cri.Signal(cri.Signal_value["SIGNAL_"+string(*c.Lifecycle.StopSignal)])
}

// withDefaults fills in what the API server would have, as far as this package
// relies on it.
func withDefaults(s PodSpec) PodSpec {
	s.Spec = *s.Spec.DeepCopy()
	s.Labels, s.Annotations = maps.Clone(s.Labels), maps.Clone(s.Annotations)
	if s.Namespace == "" {
		s.Namespace = "default"
	}
	if s.Spec.RestartPolicy == "" {
		s.Spec.RestartPolicy = corev1.RestartPolicyAlways
	}
	for _, list := range [][]corev1.Container{s.Spec.InitContainers, s.Spec.Containers} {
		for i := range list {
			if list[i].TerminationMessagePath == "" {
				list[i].TerminationMessagePath = corev1.TerminationMessagePathDefault
			}
		}
	}
	return s
}
