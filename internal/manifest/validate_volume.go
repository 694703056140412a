package manifest

import (
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
)

// volumes checks the volumes of a pod and returns the names that can be
// mounted.
func (c *checker) volumes(list []corev1.Volume, at path) sets.Set[string] {
	names := sets.New(c.claims...)
	for i := range list {
		v, at := &list[i], at.with(item(i))
		if c.require(at.with(key("name")), v.Name) {
			c.name(at.with(key("name")), v.Name, validation.IsDNS1123Label(v.Name))
			if names.Has(v.Name) && !slices.Contains(c.claims, v.Name) {
				c.fail(at.with(key("name")), "", "another volume is named %q", v.Name)
			}
			names.Insert(v.Name)
		}
		if n := countSet(v.VolumeSource); n > 1 {
			c.fail(at, "", "one kind of volume must be set, not %d", n)
			continue
		}
		c.volume(v, at)
	}
	return names
}

// countSet returns the number of pointers in a struct that are not nil.
func countSet(source any) int {
	n := 0
	v := reflect.ValueOf(source)
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Pointer && !f.IsNil() {
			n++
		}
	}
	return n
}

func (c *checker) volume(v *corev1.Volume, at path) {
	switch {
	case v.EmptyDir != nil:
		at := at.with(key("emptyDir"))
		if q := v.EmptyDir.SizeLimit; q != nil && q.Sign() < 0 {
			c.fail(at.with(key("sizeLimit")), "", "%s is negative", q.String())
		}
	case v.HostPath != nil:
		c.hostPath(v.HostPath, at.with(key("hostPath")))
	case v.ConfigMap != nil:
		at := at.with(key("configMap"))
		c.require(at.with(key("name")), v.ConfigMap.Name)
		c.mode(at.with(key("defaultMode")), v.ConfigMap.DefaultMode)
		c.items(v.ConfigMap.Items, at.with(key("items")))
	case v.Secret != nil:
		at := at.with(key("secret"))
		c.require(at.with(key("secretName")), v.Secret.SecretName)
		c.mode(at.with(key("defaultMode")), v.Secret.DefaultMode)
		c.items(v.Secret.Items, at.with(key("items")))
	case v.DownwardAPI != nil:
		at := at.with(key("downwardAPI"))
		c.mode(at.with(key("defaultMode")), v.DownwardAPI.DefaultMode)
		c.downward(v.DownwardAPI.Items, at.with(key("items")))
	case v.Projected != nil:
		c.projected(v.Projected, at.with(key("projected")))
	case v.PersistentVolumeClaim != nil:
		c.require(at.with(key("persistentVolumeClaim"), key("claimName")), v.PersistentVolumeClaim.ClaimName)
	case v.Ephemeral != nil:
		at := at.with(key("ephemeral"), key("volumeClaimTemplate"))
		if t := v.Ephemeral.VolumeClaimTemplate; t == nil {
			c.fail(at, "", "required")
		} else {
			c.claim(&t.Spec, at.with(key("spec")))
		}
	case v.Image != nil:
		at := at.with(key("image"))
		c.image(at.with(key("reference")), v.Image.Reference)
		oneOf(c, at.with(key("pullPolicy")), v.Image.PullPolicy, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)
	}
}

func (c *checker) hostPath(h *corev1.HostPathVolumeSource, at path) {
	c.require(at.with(key("path")), h.Path)
	for part := range strings.SplitSeq(h.Path, "/") {
		if part == ".." {
			c.fail(at.with(key("path")), "", "%q must not contain ..", h.Path)
		}
	}
	oneOf(c, at.with(key("type")), *h.Type, corev1.HostPathUnset, corev1.HostPathDirectoryOrCreate, corev1.HostPathDirectory,
		corev1.HostPathFileOrCreate, corev1.HostPathFile, corev1.HostPathSocket, corev1.HostPathCharDev, corev1.HostPathBlockDev)
}

func (c *checker) mode(at path, mode *int32) {
	if mode != nil && (*mode < 0 || *mode > 0o777) {
		c.fail(at, "permissions are written in octal, as 0644", "%d is not between 0 and 0777", *mode)
	}
}

// notReserved checks the path of a file in a volume. A kubelet keeps its own files
// there under names that begin with two dots.
func (c *checker) notReserved(at path, p string) {
	c.relative(at, p)
	if strings.HasPrefix(p, "..") && !strings.HasPrefix(p, "../") && p != ".." {
		c.fail(at, "", "%q must not begin with ..", p)
	}
}

func (c *checker) items(items []corev1.KeyToPath, at path) {
	for i, k := range items {
		at := at.with(item(i))
		c.require(at.with(key("key")), k.Key)
		if c.require(at.with(key("path")), k.Path) {
			c.notReserved(at.with(key("path")), k.Path)
		}
		c.mode(at.with(key("mode")), k.Mode)
	}
}

func (c *checker) downward(items []corev1.DownwardAPIVolumeFile, at path) {
	for i, f := range items {
		at := at.with(item(i))
		if c.require(at.with(key("path")), f.Path) {
			c.notReserved(at.with(key("path")), f.Path)
		}
		c.mode(at.with(key("mode")), f.Mode)
		switch {
		case (f.FieldRef == nil) == (f.ResourceFieldRef == nil):
			c.fail(at, "", "one of fieldRef and resourceFieldRef must be set")
		case f.FieldRef != nil:
			c.fieldRef(at.with(key("fieldRef")), f.FieldRef,
				"metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels", "metadata.annotations")
		default:
			c.require(at.with(key("resourceFieldRef"), key("containerName")), f.ResourceFieldRef.ContainerName)
			c.resourceRef(f.ResourceFieldRef, at.with(key("resourceFieldRef")))
		}
	}
}

func (c *checker) projected(p *corev1.ProjectedVolumeSource, at path) {
	c.mode(at.with(key("defaultMode")), p.DefaultMode)
	paths := map[string]bool{}
	once := func(at path, file string) {
		if file != "" && paths[file] {
			c.fail(at.with(key("path")), "", "another source has %q, too", file)
		}
		paths[file] = true
	}
	keys := func(name string, items []corev1.KeyToPath, at path) {
		c.require(at.with(key("name")), name)
		c.items(items, at.with(key("items")))
		for j, k := range items {
			once(at.with(key("items"), item(j)), k.Path)
		}
	}
	for i := range p.Sources {
		s, at := &p.Sources[i], at.with(key("sources"), item(i))
		if n := countSet(*s); n > 1 {
			c.fail(at, "", "one source must be set, not %d", n)
			continue
		}
		switch {
		case s.ConfigMap != nil:
			keys(s.ConfigMap.Name, s.ConfigMap.Items, at.with(key("configMap")))
		case s.Secret != nil:
			keys(s.Secret.Name, s.Secret.Items, at.with(key("secret")))
		case s.DownwardAPI != nil:
			c.downward(s.DownwardAPI.Items, at.with(key("downwardAPI"), key("items")))
			for j, f := range s.DownwardAPI.Items {
				once(at.with(key("downwardAPI"), key("items"), item(j)), f.Path)
			}
		case s.ServiceAccountToken != nil:
			c.token(s.ServiceAccountToken, at.with(key("serviceAccountToken")))
		}
	}
}

func (c *checker) token(t *corev1.ServiceAccountTokenProjection, at path) {
	if c.require(at.with(key("path")), t.Path) {
		c.notReserved(at.with(key("path")), t.Path)
	}
	if e := t.ExpirationSeconds; e != nil && (*e < 600 || *e > 1<<32) {
		c.fail(at.with(key("expirationSeconds")), "", "%d is not between 10 minutes and 2^32", *e)
	}
}
