package manifest

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// A Workload is an object with a pod template.
type Workload struct {
	APIVersion string
	Kind       string
	Namespace  string // "default" if the manifest names none
	Name       string // from generateName, without the random end, if there is no other

	// Template is the pod's metadata and spec, with a kube-apiserver's defaults
	// and an empty volume in place of each claim. The metadata of a Pod is that
	// of the object itself.
	Template corev1.PodTemplateSpec

	// Object is the whole object, with defaults, or nil for one that Shaped
	// returns: *corev1.Pod,
	// *appsv1.Deployment, *appsv1.StatefulSet, *appsv1.DaemonSet,
	// *appsv1.ReplicaSet, *corev1.ReplicationController, *batchv1.Job or
	// *batchv1.CronJob.
	Object any

	file   string
	index  int   // of the object in the file
	at     path  // of the object in its document
	node   *node // the object
	prefix path  // of the pod template in the object
	spec   path  // of the pod's spec in the object; nil if it is spec in the template
}

// newTyped returns a new value for a kind that is decoded, or nil.
func newTyped(apiVersion, kind string) any {
	switch apiVersion + " " + kind {
	case "v1 Pod":
		return new(corev1.Pod)
	case "v1 ReplicationController":
		return new(corev1.ReplicationController)
	case "v1 ConfigMap":
		return new(corev1.ConfigMap)
	case "v1 Secret":
		return new(corev1.Secret)
	case "apps/v1 Deployment":
		return new(appsv1.Deployment)
	case "apps/v1 StatefulSet":
		return new(appsv1.StatefulSet)
	case "apps/v1 DaemonSet":
		return new(appsv1.DaemonSet)
	case "apps/v1 ReplicaSet":
		return new(appsv1.ReplicaSet)
	case "batch/v1 Job":
		return new(batchv1.Job)
	case "batch/v1 CronJob":
		return new(batchv1.CronJob)
	}
	return nil
}

// checkVersion refuses API versions of known kinds that Kubernetes no longer
// has or never had. Otherwise such an object would pass as one of a kind
// without a pod template.
func (f *File) checkVersion(d *decoder, o *object) {
	versions := map[string][]string{
		"Pod": {"v1"}, "ReplicationController": {"v1"}, "ConfigMap": {"v1"}, "Secret": {"v1"},
		"Deployment": {"apps/v1"}, "StatefulSet": {"apps/v1"}, "DaemonSet": {"apps/v1"}, "ReplicaSet": {"apps/v1"},
		"Job": {"batch/v1"}, "CronJob": {"batch/v1"},
	}
	want, known := versions[o.kind]
	ours := []string{"", "apps", "batch", "extensions"}
	if !known || !slices.Contains(ours, group(o.apiVersion)) {
		return
	}
	at, _ := o.node.get("apiVersion")
	place := o.node
	if at.value != nil {
		place = at.value
	}
	d.errs = append(d.errs, FieldError{
		File: f.Name, Line: place.line, Column: place.col, Path: "apiVersion",
		Detail: fmt.Sprintf("Kubernetes has no %s in %s", o.kind, o.apiVersion), Hint: "write apiVersion: " + want[0],
	})
}

// template returns the pod template of a typed object and its path.
func template(typed any) (*corev1.PodTemplateSpec, path) {
	at := path{key("spec"), key("template")}
	switch o := typed.(type) {
	case *corev1.Pod:
		return &corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}, nil
	case *corev1.ReplicationController:
		return o.Spec.Template, at
	case *appsv1.Deployment:
		return &o.Spec.Template, at
	case *appsv1.StatefulSet:
		return &o.Spec.Template, at
	case *appsv1.DaemonSet:
		return &o.Spec.Template, at
	case *appsv1.ReplicaSet:
		return &o.Spec.Template, at
	case *batchv1.Job:
		return &o.Spec.Template, at
	case *batchv1.CronJob:
		return &o.Spec.JobTemplate.Spec.Template, path{key("spec"), key("jobTemplate"), key("spec"), key("template")}
	}
	return nil, nil
}

// Workloads returns the objects with a pod template, in the order of the file.
func (f File) Workloads() []Workload {
	var list []Workload
	for i, o := range f.objects {
		t, prefix := template(o.typed)
		if t == nil {
			continue
		}
		w := Workload{
			APIVersion: o.apiVersion, Kind: o.kind,
			Template: *t.DeepCopy(), Object: o.typed,
			file: o.file, index: i, at: o.at, node: o.node, prefix: prefix,
		}
		w.Namespace = o.namespaceHere()
		if w.Name = o.nameHere(); o.name == "" && o.kind == "Pod" {
			w.Template.Name = w.Name
		}
		standIns(&w.Template, o.typed)
		list = append(list, w)
	}
	return list
}

func (o *object) namespaceHere() string {
	if o.namespace == "" {
		return corev1.NamespaceDefault
	}
	return o.namespace
}

func (o *object) nameHere() string {
	if o.name == "" {
		return generatedName(o.generateName)
	}
	return o.name
}

// Select returns a file with only those objects for which keep returns true, in
// their order. The Workloads of that file must be used with that file.
func (f File) Select(keep func(kind, namespace, name string) bool) File {
	f.objects = slices.DeleteFunc(slices.Clone(f.objects), func(o object) bool {
		return !keep(o.kind, o.namespaceHere(), o.nameHere())
	})
	return f
}

// generatedName returns the name that an object has here if a kube-apiserver
// would generate the end of its name.
func generatedName(prefix string) string { return strings.TrimRight(prefix, "-.") }

// String returns "Deployment shop/web".
func (w Workload) String() string {
	return w.Kind + " " + w.Namespace + "/" + w.Name
}

// resolve converts a field path of the pod ("spec.containers[0].image",
// "metadata.labels") to one of the object.
func (w Workload) resolve(fieldPath string) (path, error) {
	p, err := parsePath(fieldPath)
	if err != nil {
		return nil, err
	}
	if w.spec != nil && len(p) > 0 && p[0] == key("spec") {
		return w.spec.with(p[1:]...), nil
	}
	return w.prefix.with(p...), nil
}

// Path converts a field path of the pod, such as "spec.containers[0].image", to
// that of the object: "spec.template.spec.containers[0].image".
func (w Workload) Path(fieldPath string) string {
	p, err := w.resolve(fieldPath)
	if err != nil {
		return strings.TrimPrefix(w.prefix.String()+"."+fieldPath, ".")
	}
	return p.String()
}

// Line returns the line of a field of the pod ("spec.volumes[1]") or, if it is
// not in the manifest, the line of the nearest field that contains it.
func (w Workload) Line(fieldPath string) int {
	return w.Errorf(fieldPath, "", "").Line
}

// Errorf returns an error with the path and position of a field of the pod.
func (w Workload) Errorf(fieldPath, hint, format string, args ...any) FieldError {
	e := FieldError{File: w.file, Path: w.Path(fieldPath), Detail: fmt.Sprintf(format, args...), Hint: hint}
	place := w.node
	if p, err := w.resolve(fieldPath); err == nil {
		place = w.node.findKey(p)
	}
	e.Line, e.Column = place.line, place.col
	return e
}

// objectErrorf returns an error with the path of a field at the top of the
// object.
func (w Workload) objectErrorf(field, hint, format string, args ...any) FieldError {
	place := w.node.findKey(path{key(field)})
	return FieldError{File: w.file, Line: place.line, Column: place.col, Path: field, Detail: fmt.Sprintf(format, args...), Hint: hint}
}

// An Other is an object that has no pod template and is neither a ConfigMap
// nor a Secret.
type Other struct {
	File       string `json:"file"`
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	Line       int    `json:"line"`
	HasPods    bool   `json:"hasPods,omitempty"` // something in it has the shape of a pod
}

// Others returns the objects of the file that are not run here, for a caller
// that reports them.
func (f File) Others() []Other {
	var list []Other
	for _, o := range f.objects {
		if o.typed == nil {
			list = append(list, o.other())
		}
	}
	return list
}

func (o *object) other() Other {
	return Other{File: o.file, APIVersion: o.apiVersion, Kind: o.kind, Namespace: o.namespace, Name: o.name, Line: o.node.line, HasPods: len(podsIn(o.node)) > 0}
}
