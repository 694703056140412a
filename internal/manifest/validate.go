package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
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

// validate checks one object.
func validate(d *decoder, o *object, typed any) {
	c := &checker{d: d, o: o}
	spec := path{key("spec")}
	always := []corev1.RestartPolicy{corev1.RestartPolicyAlways}
	switch v := typed.(type) {
	case *corev1.Pod:
		c.meta(v.ObjectMeta, nil)
		c.pod(&v.Spec, spec, corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)
	case *corev1.ReplicationController:
		c.controller(v.ObjectMeta, v.Spec.Template, metav1.SetAsLabelSelector(v.Spec.Selector), v.Spec.Replicas, always)
	case *appsv1.Deployment:
		c.controller(v.ObjectMeta, &v.Spec.Template, v.Spec.Selector, v.Spec.Replicas, always)
		c.strategy(&v.Spec)
	case *appsv1.StatefulSet:
		for _, claim := range v.Spec.VolumeClaimTemplates {
			c.claims = append(c.claims, claim.Name)
		}
		c.controller(v.ObjectMeta, &v.Spec.Template, v.Spec.Selector, v.Spec.Replicas, always)
	case *appsv1.DaemonSet:
		c.controller(v.ObjectMeta, &v.Spec.Template, v.Spec.Selector, nil, always)
	case *appsv1.ReplicaSet:
		c.controller(v.ObjectMeta, &v.Spec.Template, v.Spec.Selector, v.Spec.Replicas, always)
	case *batchv1.Job:
		c.meta(v.ObjectMeta, nil)
		c.job(&v.Spec, spec)
	case *batchv1.CronJob:
		c.meta(v.ObjectMeta, nil)
		// The controller appends 11 characters to the name for its Jobs, which
		// may have 63.
		if len(v.Name) > 52 {
			c.fail(path{key("metadata"), key("name")}, "", "longer than 52 characters")
		}
		c.require(spec.with(key("schedule")), v.Spec.Schedule)
		c.meta(v.Spec.JobTemplate.ObjectMeta, spec.with(key("jobTemplate")))
		c.job(&v.Spec.JobTemplate.Spec, spec.with(key("jobTemplate"), key("spec")))
	case *corev1.ConfigMap:
		c.meta(v.ObjectMeta, nil)
		c.configMap(v)
	case *corev1.Secret:
		c.meta(v.ObjectMeta, nil)
		c.data(slices.Collect(maps.Keys(v.Data)), "data", "stringData")
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
}

func (c *checker) objectName(m metav1.ObjectMeta, at path) {
	switch {
	case m.Name != "":
		c.name(at.with(key("name")), m.Name, validation.IsDNS1123Subdomain(m.Name))
	case m.GenerateName != "":
		c.name(at.with(key("generateName")), m.GenerateName, validation.IsDNS1123Subdomain(generatedName(m.GenerateName)))
	default:
		c.fail(at.with(key("name")), "", "required")
	}
	if m.Namespace != "" {
		c.name(at.with(key("namespace")), m.Namespace, validation.IsDNS1123Label(m.Namespace))
	}
}

func (c *checker) controller(m metav1.ObjectMeta, t *corev1.PodTemplateSpec, selector *metav1.LabelSelector, replicas *int32, policies []corev1.RestartPolicy) {
	spec := path{key("spec")}
	c.meta(m, nil)
	if replicas != nil {
		c.notNegative(spec.with(key("replicas")), int64(*replicas))
	}
	if t == nil {
		c.fail(spec.with(key("template")), "", "required")
		return
	}
	c.selector(spec.with(key("selector")), selector, t.Labels)
	at := spec.with(key("template"))
	c.meta(t.ObjectMeta, at)
	c.pod(&t.Spec, at.with(key("spec")), policies...)
	if t.Spec.ActiveDeadlineSeconds != nil {
		c.fail(at.with(key("spec"), key("activeDeadlineSeconds")), "", "only for Pods and Jobs")
	}
}

// selector checks that a selector is set and selects the pods of its own
// template. It may be missing in a ReplicationController.
func (c *checker) selector(at path, s *metav1.LabelSelector, of map[string]string) {
	if s == nil || len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		if c.o.kind != "ReplicationController" {
			c.fail(at, "select the labels of the template", "required")
		}
		return
	}
	parsed, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		c.fail(at, "", "%v", err)
		return
	}
	if !parsed.Matches(labels.Set(of)) {
		c.fail(at, "", "does not select the labels of the template")
	}
}

func (c *checker) job(s *batchv1.JobSpec, at path) {
	for name, value := range map[string]*int32{"parallelism": s.Parallelism, "completions": s.Completions, "backoffLimit": s.BackoffLimit} {
		if value != nil {
			c.notNegative(at.with(key(name)), int64(*value))
		}
	}
	at = at.with(key("template"))
	c.meta(s.Template.ObjectMeta, at)
	c.pod(&s.Template.Spec, at.with(key("spec")), corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)
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
