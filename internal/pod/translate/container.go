package translate

import (
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// An Image is an image as the runtime resolved it.
type Image struct {
	ID       string // by which the runtime knows exactly this image
	UID      *int64 // user of the image, if it is a number
	Username string // user of the image, if it is a name
}

// A ContainerPlan is the configuration of one container, together with the files
// and mounts that must exist before the runtime creates it.
type ContainerPlan struct {
	Config         *cri.ContainerConfig
	Subpaths       []Subpath
	TerminationLog string // path of an empty file that anybody may write; empty for none
}

// PlanContainer translates one container of a pod. attempt is the number of the
// start, from 0.
func PlanContainer(s *PodSpec, f Facts, c *corev1.Container, image Image, attempt uint32) (ContainerPlan, error) {
	security, err := containerSecurity(s, f, c, image)
	if err != nil {
		return ContainerPlan{}, err
	}
	env, err := buildEnv(s, f, c)
	if err != nil {
		return ContainerPlan{}, err
	}
	mounts, subpaths, err := volumeMounts(f, c, env.values)
	if err != nil {
		return ContainerPlan{}, err
	}
	plan := ContainerPlan{Subpaths: subpaths}
	if !mountedOn(mounts, etcHosts) {
		mounts = append(mounts, &cri.Mount{ContainerPath: etcHosts, HostPath: f.Layout.EtcHosts()})
	}
	if c.TerminationMessagePath != "" {
		plan.TerminationLog = f.Layout.TerminationLog(c.Name, attempt)
		mounts = append(mounts, &cri.Mount{ContainerPath: absolute(c.TerminationMessagePath), HostPath: plan.TerminationLog})
	}
	plan.Config = &cri.ContainerConfig{
		Metadata:    &cri.ContainerMetadata{Name: c.Name, Attempt: attempt},
		Image:       &cri.ImageSpec{Image: image.ID, UserSpecifiedImage: c.Image},
		Command:     expandAll(c.Command, env.values),
		Args:        expandAll(c.Args, env.values),
		WorkingDir:  c.WorkingDir,
		Envs:        env.keyValues(),
		Mounts:      mounts,
		Labels:      containerLabels(s, f.Layout, c),
		Annotations: containerAnnotations(s, c, attempt),
		LogPath:     LogPath(c.Name, attempt),
		Stdin:       c.Stdin,
		StdinOnce:   c.StdinOnce,
		Tty:         c.TTY,
		StopSignal:  StopSignal(c),
		Linux: &cri.LinuxContainerConfig{
			Resources:       containerResources(&s.Spec, c, f.Node.Memory),
			SecurityContext: security,
		},
	}
	return plan, nil
}

func containerLabels(s *PodSpec, l Layout, c *corev1.Container) map[string]string {
	labels := podLabels(s, l)
	labels[labelContainerName] = c.Name
	return labels
}

func containerAnnotations(s *PodSpec, c *corev1.Container, attempt uint32) map[string]string {
	out := map[string]string{
		annotationRestarts:      strconv.FormatUint(uint64(attempt), 10),
		annotationMessagePath:   c.TerminationMessagePath,
		annotationMessagePolicy: string(c.TerminationMessagePolicy),
		annotationGracePeriod:   strconv.FormatInt(s.GracePeriod(), 10),
	}
	if s.TraceDir != "" {
		out[annotationTrace] = s.TraceDir
	}
	return out
}

// StopSignal returns the stop signal of a container. If the manifest has none, the
// runtime uses the image's.
func StopSignal(c *corev1.Container) cri.Signal {
	if c.Lifecycle == nil || c.Lifecycle.StopSignal == nil {
		return cri.Signal_SIGNAL_RUNTIME_DEFAULT
	}
	return cri.Signal(cri.Signal_value["SIGNAL_"+string(*c.Lifecycle.StopSignal)])
}

// WithDefaults returns a copy of a spec with the defaults of the API server that
// this package and package pod need.
func WithDefaults(s PodSpec) PodSpec {
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
