package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// A checker makes the checks of a kube-apiserver that concern running a pod
// (k8s.io/kubernetes/pkg/apis/core/validation, 1.37) and reports each error
// with its position. Values already have their defaults.
type checker struct {
	d *decoder
	o *object

	claims []string // volumes that a StatefulSet claims for each of its pods
}

func (c *checker) fail(at path, hint, format string, args ...any) {
	place := c.o.node.findKey(at)
	c.d.errs = append(c.d.errs, FieldError{
		File: c.d.file, Line: place.line, Column: place.col, Path: at.String(),
		Detail: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// require reports a missing value and returns whether the value is set.
func (c *checker) require(at path, value string) bool {
	if value == "" {
		c.fail(at, "", "required")
	}
	return value != ""
}

// name reports the errors that apimachinery found in a name.
func (c *checker) name(at path, value string, problems []string) {
	if len(problems) == 0 {
		return
	}
	reason, _, _ := strings.Cut(problems[0], " (e.g.")
	c.fail(at, "", "%q: %s", value, reason)
}

// oneOf reports a value that is not one of the allowed ones.
func oneOf[T ~string](c *checker, at path, value T, allowed ...T) {
	if slices.Contains(allowed, value) {
		return
	}
	var names []string
	hint := ""
	for _, a := range allowed {
		if a != "" {
			names = append(names, string(a))
		}
		if strings.EqualFold(string(a), string(value)) {
			hint = "did you mean " + string(a) + "?"
		}
	}
	c.fail(at, hint, "%q is none of %s", value, strings.Join(names, ", "))
}

func (c *checker) notNegative(at path, value int64) {
	if value < 0 {
		c.fail(at, "", "%d is negative", value)
	}
}

func (c *checker) notNegativeIf(at path, value *int32) {
	if value != nil {
		c.notNegative(at, int64(*value))
	}
}

// validate checks one object.
func validate(d *decoder, o *object, typed any) {
	c := &checker{d: d, o: o}
	switch v := typed.(type) {
	case *corev1.Pod:
		c.meta(v.ObjectMeta, nil)
		c.pod(&v.Spec, path{key("spec")}, corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)
	case *corev1.ReplicationController:
		c.controller(v.ObjectMeta, v.Spec.Template, metav1.SetAsLabelSelector(v.Spec.Selector), v.Spec.Replicas, v.Spec.MinReadySeconds)
	case *appsv1.Deployment:
		c.controller(v.ObjectMeta, &v.Spec.Template, v.Spec.Selector, v.Spec.Replicas, v.Spec.MinReadySeconds)
		c.strategy(&v.Spec)
	case *appsv1.StatefulSet:
		for _, claim := range v.Spec.VolumeClaimTemplates {
			c.claims = append(c.claims, claim.Name)
		}
		c.controller(v.ObjectMeta, &v.Spec.Template, v.Spec.Selector, v.Spec.Replicas, v.Spec.MinReadySeconds)
		c.statefulSet(&v.Spec)
	case *appsv1.DaemonSet:
		c.controller(v.ObjectMeta, &v.Spec.Template, v.Spec.Selector, nil, v.Spec.MinReadySeconds)
		c.daemonSet(&v.Spec)
	case *appsv1.ReplicaSet:
		c.controller(v.ObjectMeta, &v.Spec.Template, v.Spec.Selector, v.Spec.Replicas, v.Spec.MinReadySeconds)
	case *batchv1.Job:
		c.meta(v.ObjectMeta, nil)
		c.job(&v.Spec, path{key("spec")})
		c.jobSelector(&v.Spec)
		c.indexedName(v)
	case *batchv1.CronJob:
		c.meta(v.ObjectMeta, nil)
		c.cronJob(v)
	case *corev1.ConfigMap:
		c.meta(v.ObjectMeta, nil)
		c.configMap(v)
	case *corev1.Secret:
		c.meta(v.ObjectMeta, nil)
		c.secret(v)
	}
}

// meta checks the metadata of an object (at is nil) or of a template.
func (c *checker) meta(m metav1.ObjectMeta, at path) {
	at = at.with(key("metadata"))
	if len(at) == 1 {
		c.objectName(m, at)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Labels)) {
		c.name(at.with(key("labels"), key(name)), name, validation.IsQualifiedName(name))
		c.name(at.with(key("labels"), key(name)), m.Labels[name], validation.IsValidLabelValue(m.Labels[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(m.Annotations)) {
		// Upper case is allowed in the prefix of annotations, unlike in that of
		// labels (apimachinery's ValidateAnnotations).
		c.name(at.with(key("annotations"), key(name)), name, validation.IsQualifiedName(strings.ToLower(name)))
	}
	if err := apivalidation.ValidateAnnotationsSize(m.Annotations); err != nil {
		c.fail(at.with(key("annotations")), "", "%v", err)
	}
}

func (c *checker) objectName(m metav1.ObjectMeta, at path) {
	valid := apivalidation.NameIsDNSSubdomain
	if c.o.kind == "StatefulSet" || c.o.kind == "Service" {
		valid = apivalidation.NameIsDNSLabel // of which the names of hosts are made
	}
	if m.Name != "" {
		c.name(at.with(key("name")), m.Name, valid(m.Name, false))
	}
	if m.GenerateName != "" {
		c.name(at.with(key("generateName")), m.GenerateName, valid(m.GenerateName, true))
	}
	if m.Name == "" && m.GenerateName == "" {
		c.fail(at.with(key("name")), "", "required")
	}
	if m.Namespace != "" {
		c.name(at.with(key("namespace")), m.Namespace, validation.IsDNS1123Label(m.Namespace))
	}
}

// maxDataSize is the size limit of a ConfigMap or Secret, in bytes.
const maxDataSize = 1 << 20

func (c *checker) configMap(m *corev1.ConfigMap) {
	size := 0
	for name, value := range m.Data {
		size += len(value)
		if _, twice := m.BinaryData[name]; twice {
			c.fail(path{key("binaryData"), key(name)}, "", "also in data")
		}
	}
	for _, value := range m.BinaryData {
		size += len(value)
	}
	if size > maxDataSize {
		c.fail(path{key("data")}, "", "%d bytes, more than 1 MiB", size)
	}
	c.data(slices.Collect(maps.Keys(m.Data)), "data")
	c.data(slices.Collect(maps.Keys(m.BinaryData)), "binaryData")
}

// secret checks the keys of a Secret, and those that its type requires.
func (c *checker) secret(s *corev1.Secret) {
	c.data(slices.Collect(maps.Keys(s.Data)), "data", "stringData")
	size := 0
	for _, value := range s.Data {
		size += len(value)
	}
	if size > maxDataSize {
		c.fail(path{key("data")}, "", "%d bytes, more than 1 MiB", size)
	}
	has := func(name string) bool { _, ok := s.Data[name]; return ok }
	require := func(name string, ok bool) {
		if !ok {
			c.fail(path{key("data"), key(name)}, "", "required in a Secret of type %s", s.Type)
		}
	}
	switch s.Type {
	case corev1.SecretTypeServiceAccountToken:
		if s.Annotations[corev1.ServiceAccountNameKey] == "" {
			c.fail(path{key("metadata"), key("annotations"), key(corev1.ServiceAccountNameKey)}, "", "required in a Secret of type %s", s.Type)
		}
	case corev1.SecretTypeDockercfg:
		c.jsonKey(s, corev1.DockerConfigKey)
	case corev1.SecretTypeDockerConfigJson:
		c.jsonKey(s, corev1.DockerConfigJsonKey)
	case corev1.SecretTypeBasicAuth:
		require(corev1.BasicAuthUsernameKey, has(corev1.BasicAuthUsernameKey) || has(corev1.BasicAuthPasswordKey))
	case corev1.SecretTypeSSHAuth:
		require(corev1.SSHAuthPrivateKey, len(s.Data[corev1.SSHAuthPrivateKey]) > 0)
	case corev1.SecretTypeTLS:
		require(corev1.TLSCertKey, has(corev1.TLSCertKey))
		require(corev1.TLSPrivateKeyKey, has(corev1.TLSPrivateKeyKey))
	}
}

// jsonKey checks that a Secret has a key whose value is a JSON object. The error
// must not show the value.
func (c *checker) jsonKey(s *corev1.Secret, name string) {
	at := path{key("data"), key(name)}
	value, ok := s.Data[name]
	switch {
	case !ok:
		c.fail(at, "", "required in a Secret of type %s", s.Type)
	case json.Unmarshal(value, new(map[string]any)) != nil:
		c.fail(at, "", "not a JSON object")
	}
}

// data checks keys, which become names of files and variables. They are in one
// of the sections.
func (c *checker) data(names []string, sections ...string) {
	slices.Sort(names)
	for _, name := range names {
		at := path{key(sections[0]), key(name)}
		for _, section := range sections[1:] {
			if e, ok := c.o.node.get(section); ok {
				if _, ok := e.value.get(name); ok {
					at[0] = key(section)
				}
			}
		}
		c.name(at, name, validation.IsConfigMapKey(name))
	}
}
