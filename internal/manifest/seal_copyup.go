package manifest

import corev1 "k8s.io/api/core/v1"

const (
	imageRoot  = "/image"       // where an init container finds the application's image
	volumeRoot = "/volumes"     // below it, the volumes under the paths they are for
	toolRoot   = "/adamant-bin" // where the tool is installed
)

// copyUp adds the init container that prepares volumes for the container c,
// which is at the path at in the pod.
func (s *sealer) copyUp(at string, c *corev1.Container, name string, prepared []preparation) {
	mounts := []any{}
	args := []string{"copy-up", "--from", imageRoot, "--to", volumeRoot}
	init := Fields{{"name", name}}
	if s.opts.Form == InstalledTool {
		args[2] = "/"
		init = append(init, Field{"image", c.Image})
		if s.sets(at + ".imagePullPolicy") {
			init = append(init, Field{"imagePullPolicy", string(c.ImagePullPolicy)})
		}
		args = append([]string{toolRoot + "/adamant"}, args...)
		mounts = append(mounts, Fields{{"name", s.installed()}, {"mountPath", toolRoot}, {"readOnly", true}})
	} else {
		init = append(init, Field{"image", s.opts.Image})
		args = append([]string{"/adamant"}, args...)
		mounts = append(mounts, Fields{{"name", s.imageVolume(at, c)}, {"mountPath", imageRoot}, {"readOnly", true}})
	}
	for _, p := range prepared {
		args = append(args, p.argument())
		mounts = append(mounts, Fields{{"name", p.volume}, {"mountPath", volumeRoot + p.MountPath}})
	}
	s.inits = append(s.inits, append(init,
		Field{"command", args},
		Field{"securityContext", s.rootContext("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID")},
		Field{"volumeMounts", mounts}))
}

// rootContext returns the security context of a container that must be root to
// set the owners of files, and needs no other privilege.
func (s *sealer) rootContext(capabilities ...string) Fields {
	can := Fields{{"drop", []string{"ALL"}}}
	if len(capabilities) > 0 {
		can = append(can, Field{"add", capabilities})
	}
	f := Fields{
		{"allowPrivilegeEscalation", false},
		{"readOnlyRootFilesystem", true},
		{"runAsUser", 0},
	}
	// With the pod's runAsNonRoot, a kubelet refuses to start a container as
	// root.
	if pod := s.w.Template.Spec.SecurityContext; pod != nil && isTrue(pod.RunAsNonRoot) {
		f = append(f, Field{"runAsNonRoot", false})
	}
	return append(f, Field{"capabilities", can})
}

// imageVolume adds the container's image as a volume.
func (s *sealer) imageVolume(at string, c *corev1.Container) string {
	name := s.take(s.volumes, slug("image-"+c.Name))
	image := Fields{{"reference", c.Image}}
	if s.sets(at + ".imagePullPolicy") {
		image = append(image, Field{"pullPolicy", string(c.ImagePullPolicy)})
	}
	s.ops = append(s.ops, s.w.Append("spec.volumes", Fields{{"name", name}, {"image", image}}))
	return name
}

// installed adds the volume with the tool and the init container that copies
// the tool to it, once for each pod.
func (s *sealer) installed() string {
	if s.tool != "" {
		return s.tool
	}
	s.tool = s.take(s.volumes, "adamant-bin")
	s.ops = append(s.ops, s.w.Append("spec.volumes", Fields{{"name", s.tool}, {"emptyDir", Fields{}}}))
	s.inits = append(s.inits, Fields{
		{"name", s.take(s.containers, "adamant-install")},
		{"image", s.opts.Image},
		{"command", []string{"/adamant", "copy-up", "--install", toolRoot + "/adamant"}},
		{"securityContext", s.rootContext()},
		{"volumeMounts", []any{Fields{{"name", s.tool}, {"mountPath", toolRoot}}}},
	})
	return s.tool
}

// sets reports whether the manifest sets a field of the pod explicitly.
func (s *sealer) sets(fieldPath string) bool {
	p, err := s.w.resolve(fieldPath)
	if err != nil {
		return false
	}
	_, steps := s.w.node.find(p)
	return steps == len(p)
}
