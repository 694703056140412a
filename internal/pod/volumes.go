package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/pod/volume"
)

// The names under which a kubelet keeps the volumes of each kind.
const (
	pluginEmptyDir    = "kubernetes.io/empty-dir"
	pluginConfigMap   = "kubernetes.io/configmap"
	pluginSecret      = "kubernetes.io/secret"
	pluginProjected   = "kubernetes.io/projected"
	pluginDownwardAPI = "kubernetes.io/downward-api"
	pluginImage       = "kubernetes.io/image"
)

// A hostVolume is where the host side of a volume is.
type hostVolume struct {
	path     string
	readOnly bool   // however it is mounted
	image    string // of an image volume that the runtime mounts; path is empty then
}

// volumeSet makes the volumes of one pod.
type volumeSet struct {
	spec   *PodSpec
	l      layout
	facts  facts
	images imageMounter // nil leaves image volumes to the runtime
}

// make makes every volume and returns them by name.
func (v *volumeSet) make(ctx context.Context) (map[string]hostVolume, error) {
	out := map[string]hostVolume{}
	for i := range v.spec.Spec.Volumes {
		vol := &v.spec.Spec.Volumes[i]
		h, err := v.makeOne(ctx, vol)
		if err != nil {
			return nil, fmt.Errorf("volume %s: %w", vol.Name, err)
		}
		out[vol.Name] = h
	}
	return out, nil
}

// locate is make for a pod whose volumes are there.
func (v *volumeSet) locate() map[string]hostVolume {
	out := map[string]hostVolume{}
	for i := range v.spec.Spec.Volumes {
		out[v.spec.Spec.Volumes[i].Name] = v.place(&v.spec.Spec.Volumes[i])
	}
	return out
}

// place says where a volume is.
func (v *volumeSet) place(vol *corev1.Volume) hostVolume {
	src := &vol.VolumeSource
	switch {
	case src.HostPath != nil:
		return hostVolume{path: src.HostPath.Path}
	case src.ConfigMap != nil:
		return hostVolume{path: v.l.volume(pluginConfigMap, vol.Name), readOnly: true}
	case src.Secret != nil:
		return hostVolume{path: v.l.volume(pluginSecret, vol.Name), readOnly: true}
	case src.Projected != nil:
		return hostVolume{path: v.l.volume(pluginProjected, vol.Name), readOnly: true}
	case src.DownwardAPI != nil:
		return hostVolume{path: v.l.volume(pluginDownwardAPI, vol.Name), readOnly: true}
	case src.Image != nil && v.images == nil:
		return hostVolume{image: src.Image.Reference, readOnly: true}
	case src.Image != nil:
		return hostVolume{path: v.l.volume(pluginImage, vol.Name), readOnly: true}
	}
	return hostVolume{path: v.l.volume(pluginEmptyDir, vol.Name)}
}

func (v *volumeSet) makeOne(ctx context.Context, vol *corev1.Volume) (hostVolume, error) {
	h := v.place(vol)
	src := &vol.VolumeSource
	switch {
	case src.HostPath != nil:
		return h, volume.HostPath(h.path, string(deref(src.HostPath.Type, "")))
	case src.ConfigMap != nil, src.Secret != nil, src.Projected != nil, src.DownwardAPI != nil:
		return h, v.makePayload(vol, h.path)
	case src.Image != nil:
		return h, v.mountImage(ctx, src.Image.Reference, h.path)
	case src.EmptyDir != nil:
		e, err := v.emptyDir(src.EmptyDir)
		if err != nil {
			return h, err
		}
		return h, e.Make(h.path)
	case *src == corev1.VolumeSource{}:
		return h, volume.EmptyDir{FSGroup: v.spec.fsGroup()}.Make(h.path)
	}
	return h, fmt.Errorf("a volume of this kind is not supported on one machine")
}

// mountImage mounts an image volume. Its directory is made first, so that a
// removal finds it.
func (v *volumeSet) mountImage(ctx context.Context, ref, dir string) error {
	if v.images == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return v.images.Mount(ctx, ref, dir)
}

func (v *volumeSet) emptyDir(src *corev1.EmptyDirVolumeSource) (volume.EmptyDir, error) {
	e := volume.EmptyDir{Mode: src.Mode, FSGroup: v.spec.fsGroup()}
	switch src.Medium {
	case corev1.StorageMediumDefault:
	case corev1.StorageMediumMemory:
		e.Memory = true
		e.Size = memorySize(&v.spec.Spec, src, v.facts.memory.Value())
	default:
		return e, fmt.Errorf("emptyDir.medium %q is not supported", src.Medium)
	}
	return e, nil
}

// memorySize is how much a tmpfs may hold: the least of the machine's memory,
// the limits of all containers if all have one, and the volume's own limit.
func memorySize(spec *corev1.PodSpec, src *corev1.EmptyDirVolumeSource, size int64) int64 {
	if limit := podMemoryLimit(spec); limit > 0 {
		size = min(size, limit)
	}
	if src.SizeLimit != nil && src.SizeLimit.Value() > 0 {
		size = min(size, src.SizeLimit.Value())
	}
	return size
}

// podMemoryLimit is the memory a pod may use, 0 if one of its containers has
// no limit. Init containers run before the others, so the largest counts.
func podMemoryLimit(spec *corev1.PodSpec) int64 {
	var sum, largest int64
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		limit := c.Resources.Limits.Memory().Value()
		if limit == 0 {
			return 0
		}
		if isSidecar(c) {
			sum += limit
			largest = max(largest, sum)
		} else {
			largest = max(largest, sum+limit)
		}
	}
	for i := range spec.Containers {
		limit := spec.Containers[i].Resources.Limits.Memory().Value()
		if limit == 0 {
			return 0
		}
		sum += limit
	}
	return max(sum, largest)
}

// makePayload makes a volume that shows data of the API. All but those of
// ConfigMaps lie in memory.
func (v *volumeSet) makePayload(vol *corev1.Volume, dir string) error {
	files, err := v.payload(vol)
	if err != nil {
		return err
	}
	e := volume.EmptyDir{FSGroup: v.spec.fsGroup()}
	if vol.ConfigMap == nil {
		// A kubelet limits them as it does an emptyDir in memory.
		e.Memory, e.Size = true, memorySize(&v.spec.Spec, &corev1.EmptyDirVolumeSource{}, v.facts.memory.Value())
	}
	// What is left of an earlier start of the pod is ours alone.
	if err := errors.Join(volume.Unmount(dir), os.RemoveAll(dir)); err != nil {
		return err
	}
	if err := e.Make(dir); err != nil {
		return err
	}
	return volume.WritePayload(dir, files, e.FSGroup, nestedMounts(&v.spec.Spec, vol.Name))
}

// nestedMounts are the mount points inside a volume, relative to it, for which
// there must be directories because the volume will be read-only.
func nestedMounts(spec *corev1.PodSpec, name string) []string {
	var out []string
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			out = append(out, nestedIn(list[i].VolumeMounts, name)...)
		}
	}
	return out
}

func nestedIn(mounts []corev1.VolumeMount, name string) []string {
	var all []string
	for _, m := range mounts {
		all = append(all, path.Clean(m.MountPath))
	}
	slices.Sort(all)
	var out []string
	for _, m := range mounts {
		if m.Name != name {
			continue
		}
		prefix, last := path.Clean(m.MountPath)+"/", ""
		for _, p := range all {
			if !strings.HasPrefix(p, prefix) || last != "" && strings.HasPrefix(p, last+"/") {
				continue
			}
			last = p
			out = append(out, strings.TrimPrefix(p, prefix))
		}
	}
	return out
}
