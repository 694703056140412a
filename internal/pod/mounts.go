package pod

import (
	"fmt"
	"os"
	"path"

	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/volume"
)

const etcHosts = "/etc/hosts"

// mountSet makes the mounts of one container.
type mountSet struct {
	spec      *PodSpec
	l         layout
	volumes   map[string]hostVolume
	env       map[string]string // what a subPathExpr may refer to
	recursive bool              // the runtime can mount recursively read-only
	attempt   uint32
}

// mounts are all mounts of a container: its volumes, /etc/hosts and the file
// for its last words.
func (m *mountSet) mounts(c *corev1.Container) ([]*cri.Mount, error) {
	var out []*cri.Mount
	hosts := true
	for i := range c.VolumeMounts {
		mount, err := m.volumeMount(c, i)
		if err != nil {
			return nil, fmt.Errorf("mount of volume %s on %s: %w", c.VolumeMounts[i].Name, c.VolumeMounts[i].MountPath, err)
		}
		hosts = hosts && path.Clean(mount.ContainerPath) != etcHosts
		out = append(out, mount)
	}
	if hosts {
		out = append(out, &cri.Mount{ContainerPath: etcHosts, HostPath: m.l.etcHosts()})
	}
	if c.TerminationMessagePath != "" {
		file, err := m.terminationLog(c)
		if err != nil {
			return nil, err
		}
		out = append(out, &cri.Mount{ContainerPath: absolute(c.TerminationMessagePath), HostPath: file})
	}
	return out, nil
}

func (m *mountSet) volumeMount(c *corev1.Container, index int) (*cri.Mount, error) {
	vm := &c.VolumeMounts[index]
	v, ok := m.volumes[vm.Name]
	if !ok {
		return nil, fmt.Errorf("the pod has no such volume")
	}
	out := &cri.Mount{
		ContainerPath: absolute(vm.MountPath),
		HostPath:      v.path,
		Readonly:      vm.ReadOnly || v.readOnly,
		Propagation:   propagation(vm.MountPropagation),
		MountOptions:  vm.BindMountOptions,
	}
	recursive, err := m.recursiveReadOnly(vm)
	if err != nil {
		return nil, err
	}
	out.RecursiveReadOnly = recursive
	sub, err := m.subPath(vm)
	if err != nil {
		return nil, err
	}
	switch {
	case v.image != "":
		out.Image, out.ImageSubPath = &cri.ImageSpec{Image: v.image}, sub
	case sub != "":
		out.HostPath = m.l.subpath(vm.Name, c.Name, index)
		if err := volume.BindSubpath(v.path, sub, out.HostPath); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (m *mountSet) subPath(vm *corev1.VolumeMount) (string, error) {
	if vm.SubPathExpr == "" {
		return vm.SubPath, nil
	}
	sub, unknown := expandStrict(vm.SubPathExpr, m.env)
	if len(unknown) > 0 {
		return "", fmt.Errorf("subPathExpr %q refers to %v, which the container's environment does not have", vm.SubPathExpr, unknown)
	}
	return sub, nil
}

func (m *mountSet) recursiveReadOnly(vm *corev1.VolumeMount) (bool, error) {
	switch deref(vm.RecursiveReadOnly, corev1.RecursiveReadOnlyDisabled) {
	case corev1.RecursiveReadOnlyIfPossible:
		return m.recursive && vm.ReadOnly, nil
	case corev1.RecursiveReadOnlyEnabled:
		if !m.recursive {
			return false, fmt.Errorf("recursiveReadOnly is Enabled, but this runtime cannot mount so (containerd can from 2.0 on)")
		}
		return true, nil
	}
	return false, nil
}

// terminationLog makes the file in which a container can leave a message.
func (m *mountSet) terminationLog(c *corev1.Container) (string, error) {
	if err := os.MkdirAll(m.l.container(c.Name), 0o750); err != nil {
		return "", err
	}
	file := m.l.terminationLog(c.Name, m.attempt)
	f, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o666)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return file, f.Chmod(0o666)
}

func propagation(mode *corev1.MountPropagationMode) cri.MountPropagation {
	switch deref(mode, corev1.MountPropagationNone) {
	case corev1.MountPropagationHostToContainer:
		return cri.MountPropagation_PROPAGATION_HOST_TO_CONTAINER
	case corev1.MountPropagationBidirectional:
		return cri.MountPropagation_PROPAGATION_BIDIRECTIONAL
	}
	return cri.MountPropagation_PROPAGATION_PRIVATE
}

func absolute(p string) string {
	if path.IsAbs(p) {
		return p
	}
	return "/" + p
}
