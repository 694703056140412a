package translate

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// The kubelet's names of volume plugins.
const (
	PluginEmptyDir    = "kubernetes.io/empty-dir"
	PluginImage       = "kubernetes.io/image"
	pluginConfigMap   = "kubernetes.io/configmap"
	pluginSecret      = "kubernetes.io/secret"
	pluginProjected   = "kubernetes.io/projected"
	pluginDownwardAPI = "kubernetes.io/downward-api"
)

// A Volume is the host side of a volume.
type Volume struct {
	Path     string
	ReadOnly bool   // even if a volumeMount is not readOnly
	Image    string // of an image volume that the runtime mounts; Path is then empty
}

// A VolumePlan describes how to create the host side of a volume. One of HostPath, Claim,
// MountImage and EmptyDir is set; none is set if the runtime mounts an image.
type VolumePlan struct {
	Name string
	Volume

	HostPath   *string // type of a hostPath volume, which the file at Path must have
	Claim      *Claim  // directory that exists already
	MountImage string  // image to mount on Path
	EmptyDir   *EmptyDir
	// Payload is not nil for a volume with data of the API. It replaces the content
	// of the EmptyDir from an earlier start of the pod.
	Payload *Payload
}

// A Claim describes what is done to the directory of a claim before a pod uses it.
type Claim struct {
	FSGroup    *int64 // group of the volume
	OnMismatch bool   // only if its root is not the group's yet
}

// An EmptyDir describes a directory to create.
type EmptyDir struct {
	Memory  bool   // a tmpfs instead of a directory on disk
	Size    int64  // maximum size of a tmpfs, in bytes
	Mode    *int32 // permission and sticky bits of a directory on disk; nil means 0777
	FSGroup *int64 // group of the volume
}

// A Payload is data of the API as files.
type Payload struct {
	Files map[string]File // by path, relative to the volume
	// NestedMounts are the mount points inside the volume, relative to it. The
	// runtime cannot create them, because the volume is mounted read-only.
	NestedMounts []string
}

// A File is one file of a Payload.
type File struct {
	Data []byte
	Mode int32  // permission bits
	User *int64 // owner; root if nil
}

// LocateVolumes returns the host sides of all volumes of a pod, by name. It does
// not check that they exist.
func LocateVolumes(s *PodSpec, f Facts) map[string]Volume {
	out := map[string]Volume{}
	for i := range s.Spec.Volumes {
		out[s.Spec.Volumes[i].Name] = locateVolume(s, f, &s.Spec.Volumes[i])
	}
	return out
}

func locateVolume(s *PodSpec, f Facts, vol *corev1.Volume) Volume {
	src := &vol.VolumeSource
	switch {
	case src.HostPath != nil:
		return Volume{Path: src.HostPath.Path}
	case src.PersistentVolumeClaim != nil:
		c := src.PersistentVolumeClaim
		return Volume{Path: ClaimData(f.Claims, s.Namespace, c.ClaimName), ReadOnly: c.ReadOnly}
	case src.ConfigMap != nil:
		return Volume{Path: f.Layout.Volume(pluginConfigMap, vol.Name), ReadOnly: true}
	case src.Secret != nil:
		return Volume{Path: f.Layout.Volume(pluginSecret, vol.Name), ReadOnly: true}
	case src.Projected != nil:
		return Volume{Path: f.Layout.Volume(pluginProjected, vol.Name), ReadOnly: true}
	case src.DownwardAPI != nil:
		return Volume{Path: f.Layout.Volume(pluginDownwardAPI, vol.Name), ReadOnly: true}
	case src.Image != nil && f.MountsImages:
		return Volume{Image: src.Image.Reference, ReadOnly: true}
	case src.Image != nil:
		return Volume{Path: f.Layout.Volume(PluginImage, vol.Name), ReadOnly: true}
	}
	return Volume{Path: f.Layout.Volume(PluginEmptyDir, vol.Name)}
}

// PlanVolume translates one volume of a pod.
func PlanVolume(s *PodSpec, f Facts, vol *corev1.Volume) (VolumePlan, error) {
	p := VolumePlan{Name: vol.Name, Volume: locateVolume(s, f, vol)}
	src := &vol.VolumeSource
	var err error
	switch {
	case src.HostPath != nil:
		p.HostPath = new(string(ptr.Deref(src.HostPath.Type, "")))
	case src.PersistentVolumeClaim != nil:
		p.Claim = &Claim{FSGroup: s.fsGroup()}
		if sc := s.Spec.SecurityContext; sc != nil && sc.FSGroupChangePolicy != nil {
			p.Claim.OnMismatch = *sc.FSGroupChangePolicy == corev1.FSGroupChangeOnRootMismatch
		}
		if src.PersistentVolumeClaim.ReadOnly {
			p.Claim.FSGroup = nil // a kubelet does not change a volume that it mounts read-only
		}
	case src.ConfigMap != nil, src.Secret != nil, src.Projected != nil, src.DownwardAPI != nil:
		p.Payload, err = payload(s, f, vol)
		p.EmptyDir = &EmptyDir{FSGroup: s.fsGroup()}
		if src.ConfigMap == nil {
			// Secret, projected and downward API volumes are in memory, because
			// their data must not reach a disk. A kubelet limits their size like
			// that of an emptyDir in memory.
			p.EmptyDir.Memory, p.EmptyDir.Size = true, memorySize(&s.Spec, &corev1.EmptyDirVolumeSource{}, f.Node.Memory)
		}
	case src.Image != nil && !f.MountsImages:
		p.MountImage = src.Image.Reference
	case src.Image != nil:
	case src.EmptyDir != nil:
		p.EmptyDir, err = emptyDir(s, f, src.EmptyDir)
	case *src == corev1.VolumeSource{}: // the API server defaults to emptyDir
		p.EmptyDir = &EmptyDir{FSGroup: s.fsGroup()}
	default:
		err = fmt.Errorf("a volume of this kind is not supported on one machine")
	}
	return p, err
}

func emptyDir(s *PodSpec, f Facts, src *corev1.EmptyDirVolumeSource) (*EmptyDir, error) {
	e := &EmptyDir{Mode: src.Mode, FSGroup: s.fsGroup()}
	switch src.Medium {
	case corev1.StorageMediumDefault:
	case corev1.StorageMediumMemory:
		e.Memory = true
		e.Size = memorySize(&s.Spec, src, f.Node.Memory)
	default:
		return nil, fmt.Errorf("emptyDir.medium %q is not supported", src.Medium)
	}
	return e, nil
}

// memorySize returns the size of a tmpfs: the minimum of the machine's memory, the
// pod's memory limit if every container has one, and the volume's sizeLimit.
func memorySize(spec *corev1.PodSpec, src *corev1.EmptyDirVolumeSource, size int64) int64 {
	if limit := podMemoryLimit(spec); limit > 0 {
		size = min(size, limit)
	}
	if src.SizeLimit != nil && src.SizeLimit.Value() > 0 {
		size = min(size, src.SizeLimit.Value())
	}
	return size
}

// podMemoryLimit returns the memory limit of a pod, or 0 if one of its containers
// has none. Init containers run one after the other and before the main ones, so
// that only the largest counts. Sidecars run beside all later containers.
func podMemoryLimit(spec *corev1.PodSpec) int64 {
	var sum, largest int64
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		limit := c.Resources.Limits.Memory().Value()
		if limit == 0 {
			return 0
		}
		if IsSidecar(c) {
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

// nestedMounts returns the mount points inside a volume, see Payload.NestedMounts.
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
