package translate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/ptr"
)

// A variable is one entry of a container's environment.
type variable struct{ name, value string }

// environment builds a container's environment as a kubelet does: first envFrom,
// then env, each in order. A variable replaces an earlier one with the same name.
// A value can refer only to earlier variables and to those of Services, which are
// added last if no other has their name.
type environment struct {
	order  []string
	values map[string]string
	links  map[string]string
}

// lookup returns the value of a variable to which another refers.
func (e *environment) lookup(name string) (string, bool) {
	if v, ok := e.values[name]; ok {
		return v, true
	}
	v, ok := e.links[name]
	return v, ok
}

func (e *environment) set(name, value string) error {
	if name == "" || strings.ContainsAny(name, "=\x00") {
		return fmt.Errorf("environment variable %q: the name is empty or has '=' in it", name)
	}
	if strings.Contains(value, "\x00") {
		return fmt.Errorf("environment variable %s: the value has a zero byte in it", name)
	}
	if _, ok := e.values[name]; !ok {
		e.order = append(e.order, name)
	}
	e.values[name] = value
	return nil
}

func (e *environment) list() []variable {
	out := make([]variable, 0, len(e.order))
	for _, name := range e.order {
		out = append(out, variable{name, e.values[name]})
	}
	return out
}

func (e *environment) keyValues() []*cri.KeyValue {
	out := make([]*cri.KeyValue, 0, len(e.order))
	for _, v := range e.list() {
		out = append(out, &cri.KeyValue{Key: v.name, Value: []byte(v.value)})
	}
	return out
}

// buildEnv returns the environment of a container in the manifest.
func buildEnv(s *PodSpec, f Facts, c *corev1.Container) (*environment, error) {
	e := &environment{values: map[string]string{}}
	if ptr.Deref(s.Spec.EnableServiceLinks, true) {
		e.links = s.ServiceLinks
	}
	for i := range c.EnvFrom {
		if err := e.from(s, &c.EnvFrom[i]); err != nil {
			return nil, err
		}
	}
	for i := range c.Env {
		v := &c.Env[i]
		value, ok, err := e.value(s, f, c, v)
		if err != nil {
			return nil, fmt.Errorf("environment variable %s: %w", v.Name, err)
		}
		if !ok {
			continue
		}
		if err := e.set(v.Name, value); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.links)) {
		if _, ok := e.values[name]; ok {
			continue
		}
		if err := e.set(name, e.links[name]); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// from adds every key of a ConfigMap or Secret.
func (e *environment) from(s *PodSpec, src *corev1.EnvFromSource) error {
	data := map[string]string{}
	switch {
	case src.ConfigMapRef != nil:
		cm, ok := s.configMap(src.ConfigMapRef.Name)
		if !ok {
			return missing(src.ConfigMapRef.Optional, "ConfigMap", src.ConfigMapRef.Name)
		}
		data = cm.Data
	case src.SecretRef != nil:
		secret, ok := s.secretData(src.SecretRef.Name)
		if !ok {
			return missing(src.SecretRef.Optional, "Secret", src.SecretRef.Name)
		}
		for k, v := range secret {
			data[k] = string(v)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(data)) {
		if err := e.set(src.Prefix+k, data[k]); err != nil {
			return err
		}
	}
	return nil
}

// value returns the value of one env entry. It returns false if the entry is
// optional and its source does not exist.
func (e *environment) value(s *PodSpec, f Facts, c *corev1.Container, v *corev1.EnvVar) (string, bool, error) {
	from := v.ValueFrom
	switch {
	case v.Value != "" || from == nil:
		return expand(v.Value, e.lookup), true, nil
	case from.FieldRef != nil:
		value, err := fieldValue(s, f, from.FieldRef.FieldPath)
		return value, err == nil, err
	case from.ResourceFieldRef != nil:
		value, err := resourceValue(s, f, c, from.ResourceFieldRef)
		return value, err == nil, err
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		cm, ok := s.configMap(ref.Name)
		if !ok {
			return "", false, missing(ref.Optional, "ConfigMap", ref.Name)
		}
		value, ok := cm.Data[ref.Key]
		if !ok {
			return "", false, missing(ref.Optional, "ConfigMap key", ref.Name+"/"+ref.Key)
		}
		return value, true, nil
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		data, ok := s.secretData(ref.Name)
		if !ok {
			return "", false, missing(ref.Optional, "Secret", ref.Name)
		}
		value, ok := data[ref.Key]
		if !ok {
			return "", false, missing(ref.Optional, "Secret key", ref.Name+"/"+ref.Key)
		}
		return string(value), true, nil
	}
	return "", false, fmt.Errorf("this source of a value is not supported")
}

// missing returns the error for a reference to an object that does not exist, or
// nil if the reference is optional.
func missing(optional *bool, kind, name string) error {
	if ptr.Deref(optional, false) {
		return nil
	}
	return fmt.Errorf("%s %q is not in the manifest", kind, name)
}
