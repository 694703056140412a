package manifest

import (
	"cmp"
	"fmt"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

const (
	notEnforced = "the size is not enforced: a claim is a directory on this machine's disk"
	noClasses   = "there is one place for all claims on this machine"
	dynamicOnly = "a claim is a new directory here; mount one that exists as a hostPath"
)

// claimRows has the rows for a runner to which a claim is a directory that stays.
var claimRows = map[string]support{
	"PersistentVolumeClaim": {runs: "apiVersion kind metadata spec", notes: map[string]string{"status": "it is a cluster's"}},
	"PersistentVolumeClaimSpec": {
		runs:  "accessModes resources volumeMode=Filesystem",
		notes: map[string]string{"storageClassName": noClasses, "volumeAttributesClassName": noClasses},
		hints: map[string]string{
			"volumeMode": "block devices are not made here", "selector": dynamicOnly, "volumeName": dynamicOnly,
			"dataSource": "copy the files to it: adamant cp", "dataSourceRef": "copy the files to it: adamant cp",
		},
	},
	"VolumeResourceRequirements": {notes: map[string]string{"requests": notEnforced, "limits": notEnforced}},
	"Volume": {
		runs:  supported["Volume"].runs + " persistentVolumeClaim ephemeral",
		hints: supported["Volume"].hints,
	},
	"StatefulSetSpec": {
		runs: supported["StatefulSetSpec"].runs + " volumeClaimTemplates",
		notes: map[string]string{
			"replicas": oneReplica, "podManagementPolicy": oneReplica, "updateStrategy": notReplaced,
			"minReadySeconds": notReplaced, "persistentVolumeClaimRetentionPolicy": "its claim stays",
		},
	},
	"PersistentVolumeClaimVolumeSource": {runs: "claimName readOnly"},
	"EphemeralVolumeSource":             {runs: "volumeClaimTemplate"},
	"PersistentVolumeClaimTemplate":     {runs: "metadata spec"},
}

// PersistentClaims returns the PersistentVolumeClaims of the file, and an error for each
// field that is wrong or not supported on one machine. Parse does not check them,
// because most runners do not use them. The notes are about fields without an effect.
func (f File) PersistentClaims() (list []corev1.PersistentVolumeClaim, notes, errs Errors) {
	for i := range f.objects {
		o := &f.objects[i]
		if o.apiVersion != "v1" || o.kind != "PersistentVolumeClaim" {
			continue
		}
		claim := corev1.PersistentVolumeClaim{}
		d := &decoder{file: o.file}
		d.decode(o.node, reflect.ValueOf(&claim).Elem())
		if len(d.errs) == 0 {
			orDefault(&claim.Namespace, corev1.NamespaceDefault)
			c := &checker{d: d, o: o}
			c.meta(claim.ObjectMeta, nil)
			c.claim(&claim.Spec, path{key("spec")})
		}
		survey := &surveyor{decoder: decoder{file: o.file}, runner: Declared}
		survey.walk(o.node, reflect.TypeFor[corev1.PersistentVolumeClaim](), "PersistentVolumeClaim")
		list = append(list, claim)
		notes, errs = append(notes, survey.notes...), append(append(errs, d.errs...), survey.refused...)
	}
	return list, notes.sorted(), errs.sorted()
}

// WithClaims returns the pod template with its claims, which Template has empty volumes
// for. A volume of a volumeClaimTemplate has the template's name as the name of its
// claim: that of a pod is TEMPLATE-NAME-ORDINAL. An ephemeral claim is an empty volume,
// because it is removed with its pod.
func (w Workload) WithClaims() corev1.PodTemplateSpec {
	t := *w.Template.DeepCopy()
	original, _ := template(w.Object)
	if original == nil {
		return t
	}
	claims := map[string]*corev1.PersistentVolumeClaimVolumeSource{}
	for _, v := range original.Spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			claims[v.Name] = v.PersistentVolumeClaim.DeepCopy()
		}
	}
	for _, c := range w.ClaimTemplates() {
		claims[c.Name] = &corev1.PersistentVolumeClaimVolumeSource{ClaimName: c.Name}
	}
	for i := range t.Spec.Volumes {
		if c := claims[t.Spec.Volumes[i].Name]; c != nil {
			t.Spec.Volumes[i].VolumeSource = corev1.VolumeSource{PersistentVolumeClaim: c}
		}
	}
	return t
}

// ClaimTemplates returns the volumeClaimTemplates of a StatefulSet.
func (w Workload) ClaimTemplates() []corev1.PersistentVolumeClaim {
	if set, ok := w.Object.(*appsv1.StatefulSet); ok {
		return set.Spec.VolumeClaimTemplates
	}
	return nil
}

// A ClaimRef is a volume of a workload's pods that refers to a claim by name.
type ClaimRef struct {
	Namespace, Name string
	Missing         FieldError // for a caller that finds no such claim
}

// ClaimRefs returns the references of a workload's pods to claims, without those to
// claims of volumeClaimTemplates.
func (w Workload) ClaimRefs() []ClaimRef {
	original, _ := template(w.Object)
	if original == nil {
		return nil
	}
	templates := map[string]bool{}
	for _, c := range w.ClaimTemplates() {
		templates[c.Name] = true
	}
	var list []ClaimRef
	for i, v := range original.Spec.Volumes {
		if v.PersistentVolumeClaim == nil || templates[v.Name] {
			continue
		}
		name := v.PersistentVolumeClaim.ClaimName
		list = append(list, ClaimRef{w.Namespace, name, w.Errorf(
			fmt.Sprintf("spec.volumes[%d].persistentVolumeClaim.claimName", i),
			"apply an object with kind: PersistentVolumeClaim and metadata: {name: "+name+", namespace: "+cmp.Or(w.Namespace, "default")+"}",
			"there is no PersistentVolumeClaim %s/%s", w.Namespace, name,
		)})
	}
	return list
}
