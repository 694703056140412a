package translate

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// payloadMode is the default mode of files.
const payloadMode = 0o644

// A projection collects the files of a volume with data of the API.
type projection struct {
	spec  *PodSpec
	facts Facts
	mode  int32  // default mode of files
	user  *int64 // default owner of files
	files map[string]File
}

// payload returns the files of a configMap, secret, downwardAPI or projected
// volume.
func payload(s *PodSpec, f Facts, vol *corev1.Volume) (*Payload, error) {
	p := projection{spec: s, facts: f, files: map[string]File{}}
	var err error
	switch {
	case vol.ConfigMap != nil:
		src := vol.ConfigMap
		p.mode, p.user = ptr.Deref(src.DefaultMode, payloadMode), src.DefaultUser
		err = p.addConfigMap(src.Name, src.Items, src.Optional)
	case vol.Secret != nil:
		src := vol.Secret
		p.mode, p.user = ptr.Deref(src.DefaultMode, payloadMode), src.DefaultUser
		err = p.addSecret(src.SecretName, src.Items, src.Optional)
	case vol.DownwardAPI != nil:
		src := vol.DownwardAPI
		p.mode, p.user = ptr.Deref(src.DefaultMode, payloadMode), src.DefaultUser
		err = p.addFields(src.Items)
	case vol.Projected != nil:
		src := vol.Projected
		p.mode, p.user = ptr.Deref(src.DefaultMode, payloadMode), src.DefaultUser
		var errs []error
		for i := range src.Sources {
			errs = append(errs, p.addSource(&src.Sources[i]))
		}
		err = errors.Join(errs...)
	}
	return &Payload{Files: p.files, NestedMounts: nestedMounts(&s.Spec, vol.Name)}, err
}

func (p *projection) addSource(src *corev1.VolumeProjection) error {
	switch {
	case *src == (corev1.VolumeProjection{}):
		return nil // accepted by a kube-apiserver: it adds nothing
	case src.ConfigMap != nil:
		return p.addConfigMap(src.ConfigMap.Name, src.ConfigMap.Items, src.ConfigMap.Optional)
	case src.Secret != nil:
		return p.addSecret(src.Secret.Name, src.Secret.Items, src.Secret.Optional)
	case src.DownwardAPI != nil:
		return p.addFields(src.DownwardAPI.Items)
	}
	return fmt.Errorf("a projected source of this kind needs a cluster")
}

func (p *projection) addConfigMap(name string, items []corev1.KeyToPath, optional *bool) error {
	data := map[string][]byte{}
	cm, ok := p.spec.configMap(name)
	if !ok {
		return missing(optional, "ConfigMap", name)
	}
	for k, s := range cm.Data {
		data[k] = []byte(s)
	}
	for k, b := range cm.BinaryData {
		data[k] = b
	}
	return p.addKeys("ConfigMap "+name, data, items, optional)
}

func (p *projection) addSecret(name string, items []corev1.KeyToPath, optional *bool) error {
	data, ok := p.spec.secretData(name)
	if !ok {
		return missing(optional, "Secret", name)
	}
	return p.addKeys("Secret "+name, data, items, optional)
}

// addKeys adds the keys in items, or all keys if there are no items.
func (p *projection) addKeys(source string, data map[string][]byte, items []corev1.KeyToPath, optional *bool) error {
	if len(items) == 0 {
		for k, b := range data {
			p.files[k] = File{Data: b, Mode: p.mode, User: p.user}
		}
		return nil
	}
	for _, item := range items {
		b, ok := data[item.Key]
		if !ok {
			if ptr.Deref(optional, false) {
				continue
			}
			return fmt.Errorf("%s has no key %q", source, item.Key)
		}
		p.add(item.Path, b, item.Mode, item.User)
	}
	return nil
}

func (p *projection) add(path string, data []byte, mode *int32, user *int64) {
	f := File{Data: data, Mode: ptr.Deref(mode, p.mode), User: p.user}
	if user != nil {
		f.User = user
	}
	p.files[path] = f
}

// addFields adds fields of the pod from the downward API.
func (p *projection) addFields(items []corev1.DownwardAPIVolumeFile) error {
	for _, item := range items {
		var value string
		var err error
		switch {
		case item.FieldRef != nil:
			value, err = fieldValue(p.spec, p.facts, item.FieldRef.FieldPath)
		case item.ResourceFieldRef != nil:
			value, err = resourceValue(p.spec, p.facts, nil, item.ResourceFieldRef)
		}
		if err != nil {
			return fmt.Errorf("item %s: %w", item.Path, err)
		}
		p.add(item.Path, []byte(value), item.Mode, item.User)
	}
	return nil
}
