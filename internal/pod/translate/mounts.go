package translate

import (
	"fmt"
	"path"

	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/ptr"
)

const etcHosts = "/etc/hosts"

// A Subpath is a path in a volume that must be mounted on Target, in the pod's
// own directory, before its container is created. The content of the volume may
// be hostile: a container can put a symbolic link at the path.
type Subpath struct {
	Volume    string // name of the volume
	MountPath string // in the container, for messages
	Source    string // directory of the volume
	Path      string // relative to Source
	Target    string
}

// volumeMounts returns the mounts of a container's volumes. env is its
// environment, to which a subPathExpr may refer.
func volumeMounts(f Facts, c *corev1.Container, env map[string]string) (mounts []*cri.Mount, subpaths []Subpath, err error) {
	for i := range c.VolumeMounts {
		vm := &c.VolumeMounts[i]
		mount, sub, err := volumeMount(f, vm, env)
		if err != nil {
			return nil, nil, fmt.Errorf("mount of volume %s on %s: %w", vm.Name, vm.MountPath, err)
		}
		switch {
		case mount.Image != nil:
			mount.ImageSubPath = sub
		case sub != "":
			target := f.Layout.subpath(vm.Name, c.Name, i)
			subpaths = append(subpaths, Subpath{Volume: vm.Name, MountPath: vm.MountPath, Source: mount.HostPath, Path: sub, Target: target})
			mount.HostPath = target
		}
		mounts = append(mounts, mount)
	}
	return mounts, subpaths, nil
}

// volumeMount returns the mount of a whole volume, and the subPath.
func volumeMount(f Facts, vm *corev1.VolumeMount, env map[string]string) (_ *cri.Mount, subPath string, err error) {
	v, ok := f.Volumes[vm.Name]
	if !ok {
		return nil, "", fmt.Errorf("the pod has no such volume")
	}
	recursive, err := recursiveReadOnly(vm, f.RecursiveReadOnly)
	if err != nil {
		return nil, "", err
	}
	sub, err := expandSubPath(vm, env)
	if err != nil {
		return nil, "", err
	}
	out := &cri.Mount{
		ContainerPath:     absolute(vm.MountPath),
		HostPath:          v.Path,
		Readonly:          vm.ReadOnly || v.ReadOnly,
		RecursiveReadOnly: recursive,
		Propagation:       propagation(vm.MountPropagation),
		MountOptions:      vm.BindMountOptions,
	}
	if v.Image != "" {
		out.Image = &cri.ImageSpec{Image: v.Image}
	}
	return out, sub, nil
}

func expandSubPath(vm *corev1.VolumeMount, env map[string]string) (string, error) {
	if vm.SubPathExpr == "" {
		return vm.SubPath, nil
	}
	sub, unknown := expandStrict(vm.SubPathExpr, env)
	if len(unknown) > 0 {
		return "", fmt.Errorf("subPathExpr %q refers to %v, which the container's environment does not have", vm.SubPathExpr, unknown)
	}
	return sub, nil
}

func recursiveReadOnly(vm *corev1.VolumeMount, supported bool) (bool, error) {
	switch ptr.Deref(vm.RecursiveReadOnly, corev1.RecursiveReadOnlyDisabled) {
	case corev1.RecursiveReadOnlyIfPossible:
		return supported && vm.ReadOnly, nil
	case corev1.RecursiveReadOnlyEnabled:
		if !supported {
			return false, fmt.Errorf("recursiveReadOnly is Enabled, but this runtime cannot mount so (containerd can from 2.0 on)")
		}
		return true, nil
	}
	return false, nil
}

func mountedOn(mounts []*cri.Mount, target string) bool {
	for _, m := range mounts {
		if path.Clean(m.ContainerPath) == target {
			return true
		}
	}
	return false
}

func propagation(mode *corev1.MountPropagationMode) cri.MountPropagation {
	switch ptr.Deref(mode, corev1.MountPropagationNone) {
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
