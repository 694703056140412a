package pod

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/pod/volume"
)

// payloadMode is the mode of files for which none is given.
const payloadMode = 0o644

// A projection is data of the API laid out as files.
type projection struct {
	mode  int32
	user  *int64
	files map[string]volume.File
}

func newProjection(mode *int32, user *int64) *projection {
	return &projection{mode: deref(mode, payloadMode), user: user, files: map[string]volume.File{}}
}

// payload is what a configMap, secret, downwardAPI or projected volume shows.
func (v *volumeSet) payload(vol *corev1.Volume) (map[string]volume.File, error) {
	switch {
	case vol.ConfigMap != nil:
		src := vol.ConfigMap
		p := newProjection(src.DefaultMode, src.DefaultUser)
		return p.files, v.addConfigMap(p, src.Name, src.Items, src.Optional)
	case vol.Secret != nil:
		src := vol.Secret
		p := newProjection(src.DefaultMode, src.DefaultUser)
		return p.files, v.addSecret(p, src.SecretName, src.Items, src.Optional)
	case vol.DownwardAPI != nil:
		src := vol.DownwardAPI
		p := newProjection(src.DefaultMode, src.DefaultUser)
		return p.files, v.addFields(p, src.Items)
	}
	src := vol.Projected
	p := newProjection(src.DefaultMode, src.DefaultUser)
	var errs []error
	for i := range src.Sources {
		errs = append(errs, v.addSource(p, &src.Sources[i]))
	}
	return p.files, errors.Join(errs...)
}

func (v *volumeSet) addSource(p *projection, src *corev1.VolumeProjection) error {
	switch {
	case src.ConfigMap != nil:
		return v.addConfigMap(p, src.ConfigMap.Name, src.ConfigMap.Items, src.ConfigMap.Optional)
	case src.Secret != nil:
		return v.addSecret(p, src.Secret.Name, src.Secret.Items, src.Secret.Optional)
	case src.DownwardAPI != nil:
		return v.addFields(p, src.DownwardAPI.Items)
	}
	return fmt.Errorf("a projected source of this kind needs a cluster")
}

func (v *volumeSet) addConfigMap(p *projection, name string, items []corev1.KeyToPath, optional *bool) error {
	data := map[string][]byte{}
	cm, ok := v.spec.configMap(name)
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

func (v *volumeSet) addSecret(p *projection, name string, items []corev1.KeyToPath, optional *bool) error {
	data, ok := v.spec.secretData(name)
	if !ok {
		return missing(optional, "Secret", name)
	}
	return p.addKeys("Secret "+name, data, items, optional)
}

// addKeys adds the keys that items ask for, or all if there are none.
func (p *projection) addKeys(source string, data map[string][]byte, items []corev1.KeyToPath, optional *bool) error {
	if len(items) == 0 {
		for k, b := range data {
			p.files[k] = volume.File{Data: b, Mode: p.mode, User: p.user}
		}
		return nil
	}
	for _, item := range items {
		b, ok := data[item.Key]
		if !ok {
			if deref(optional, false) {
				continue
			}
			return fmt.Errorf("%s has no key %q", source, item.Key)
		}
		p.add(item.Path, b, item.Mode, item.User)
	}
	return nil
}

func (p *projection) add(path string, data []byte, mode *int32, user *int64) {
	f := volume.File{Data: data, Mode: deref(mode, p.mode), User: p.user}
	if user != nil {
		f.User = user
	}
	p.files[path] = f
}

// addFields adds what the downward API tells of the pod.
func (v *volumeSet) addFields(p *projection, items []corev1.DownwardAPIVolumeFile) error {
	for _, item := range items {
		var value string
		var err error
		switch {
		case item.FieldRef != nil:
			value, err = fieldValue(v.spec, v.facts, item.FieldRef.FieldPath)
		case item.ResourceFieldRef != nil:
			value, err = resourceValue(v.spec, v.facts, nil, item.ResourceFieldRef)
		}
		if err != nil {
			return fmt.Errorf("item %s: %w", item.Path, err)
		}
		p.add(item.Path, []byte(value), item.Mode, item.User)
	}
	return nil
}
