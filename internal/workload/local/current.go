package local

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/adamant-sh/adamant/internal/pod"
)

// ErrDeleting is returned for a workload that is being deleted.
var ErrDeleting = errors.New("it is being deleted")

// current is the content of the store before an apply, with the ConfigMaps and
// Secrets of the manifest in place of those that they replace.
type current struct {
	records     []record
	generations map[Key][]Generation
	configMaps  map[string]corev1.ConfigMap // by namespace/name
	secrets     map[string]corev1.Secret
	services    map[string]corev1.Service // with those of the manifest, as the others
	ingresses   map[string]ingressRecord
}

// exposed returns the objects that listen.
func (cur current) exposed() exposed {
	return exposed{
		services:  slices.Collect(maps.Values(cur.services)),
		ingresses: slices.Collect(maps.Values(cur.ingresses)),
		pairs:     newKeyPairs(cur.secrets),
	}
}

func nameOf(m metav1.ObjectMeta) string { return namespaceOf(m) + "/" + m.Name }

func namespaceOf(m metav1.ObjectMeta) string {
	if m.Namespace == "" {
		return metav1.NamespaceDefault
	}
	return m.Namespace
}

func readCurrent(t tx, d declaration) (current, error) {
	cur := current{
		generations: map[Key][]Generation{}, configMaps: map[string]corev1.ConfigMap{}, secrets: map[string]corev1.Secret{},
		services: map[string]corev1.Service{}, ingresses: map[string]ingressRecord{},
	}
	var err error
	if cur.records, err = all[record](t, "workloads", ""); err != nil {
		return cur, err
	}
	for _, r := range cur.records {
		if cur.generations[r.Key], err = all[Generation](t, "generations", keyPrefix(r.Key)); err != nil {
			return cur, err
		}
	}
	configMaps, err := all[corev1.ConfigMap](t, "configmaps", "")
	if err != nil {
		return cur, err
	}
	secrets, err := all[corev1.Secret](t, "secrets", "")
	if err != nil {
		return cur, err
	}
	services, err := all[corev1.Service](t, "services", "")
	if err != nil {
		return cur, err
	}
	for _, s := range append(services, d.services...) {
		cur.services[nameOf(s.ObjectMeta)] = s
	}
	ingresses, err := all[ingressRecord](t, "ingresses", "")
	if err != nil {
		return cur, err
	}
	for _, r := range ingresses {
		cur.ingresses[nameOf(r.Ingress.ObjectMeta)] = r
	}
	for _, i := range d.ingresses {
		r := ingressRecord{Made: time.Now().UTC(), Ingress: i}
		if old, ok := cur.ingresses[nameOf(i.ObjectMeta)]; ok {
			r.Made = old.Made
		}
		cur.ingresses[nameOf(i.ObjectMeta)] = r
	}
	for _, c := range append(configMaps, d.configMaps...) {
		cur.configMaps[nameOf(c.ObjectMeta)] = c
	}
	for _, s := range append(secrets, d.secrets...) {
		cur.secrets[nameOf(s.ObjectMeta)] = s
	}
	return cur, err
}

// affected returns the workloads of a declaration and those that refer to one of its
// ConfigMaps or Secrets.
func (cur current) affected(d declaration) []declared {
	list := slices.Clone(d.workloads)
	for _, r := range cur.records {
		isDeclared := slices.ContainsFunc(list, func(w declared) bool { return w.key == r.Key })
		// A Job that runs keeps its configuration, and one that has ended is not run again
		// because of another.
		if isDeclared || r.Deleting || r.Job != nil || !refersTo(r, d) {
			continue
		}
		list = append(list, declared{key: r.Key, spec: r.Spec, policy: r.Policy, template: r.Declared, retain: r.Retain, paused: r.Paused, cron: r.Cron, claims: r.Claims, retention: r.Retention})
	}
	return list
}

// refersTo reports whether a workload's pods refer to an object of a
// declaration.
func refersTo(r record, d declaration) bool {
	maps, secrets := pod.References(&r.Declared.Spec)
	return slices.ContainsFunc(d.configMaps, func(c corev1.ConfigMap) bool {
		return namespaceOf(c.ObjectMeta) == r.Key.Namespace && slices.Contains(maps, c.Name)
	}) || slices.ContainsFunc(d.secrets, func(s corev1.Secret) bool {
		return namespaceOf(s.ObjectMeta) == r.Key.Namespace && slices.Contains(secrets, s.Name)
	})
}

// configuration returns the ConfigMaps and Secrets that a workload's pods refer
// to. A missing one is no error here: package pod refuses it unless the reference is
// optional.
func (cur current) configuration(w declared) ([]corev1.ConfigMap, []corev1.Secret, error) {
	for _, r := range cur.records {
		if r.Key == w.key && r.Deleting {
			return nil, nil, fmt.Errorf("%s: %w", w.key, ErrDeleting)
		}
	}
	var configMaps []corev1.ConfigMap
	var secrets []corev1.Secret
	maps, hidden := pod.References(&w.template.Spec)
	for _, name := range maps {
		if c, ok := cur.configMaps[w.key.Namespace+"/"+name]; ok {
			configMaps = append(configMaps, c)
		}
	}
	for _, name := range hidden {
		if s, ok := cur.secrets[w.key.Namespace+"/"+name]; ok {
			secrets = append(secrets, s)
		}
	}
	return configMaps, secrets, nil
}

// compareObjects returns the effect on Services, ConfigMaps, Secrets and Ingress objects.
func compareObjects(t tx, d declaration) ([]Result, error) {
	var list []Result
	add := func(kind, bucket string, m metav1.ObjectMeta, isSame func(key string) (bool, bool, error)) error {
		r := Result{Kind: kind, Namespace: namespaceOf(m), Name: m.Name, Action: Created}
		there, equal, err := isSame(nameOf(m))
		if there {
			r.Action = Adjusted
		}
		if equal {
			r.Action = Unchanged
		}
		list = append(list, r)
		return err
	}
	var err error
	for _, s := range d.services {
		err = errors.Join(err, add("Service", "services", s.ObjectMeta, compareStored(t, "services", s)))
	}
	for _, c := range d.configMaps {
		err = errors.Join(err, add("ConfigMap", "configmaps", c.ObjectMeta, compareStored(t, "configmaps", c)))
	}
	for _, s := range d.secrets {
		err = errors.Join(err, add("Secret", "secrets", s.ObjectMeta, compareStored(t, "secrets", s)))
	}
	for _, i := range d.ingresses {
		err = errors.Join(err, add("Ingress", "ingresses", i.ObjectMeta, func(key string) (bool, bool, error) {
			old, ok, err := get[ingressRecord](t, "ingresses", key)
			equal := ok && equality.Semantic.DeepEqual(old.Ingress, i)
			return ok, equal, err
		}))
		if r := &list[len(list)-1]; r.Action == Adjusted {
			old, _, _ := get[ingressRecord](t, "ingresses", nameOf(i.ObjectMeta)) // there, as it was compared
			r.Changes = objectDifferences(old.Ingress, i)
		}
	}
	return list, err
}

// compareStored returns a function that reports whether an object of a name
// exists and whether it equals v.
func compareStored[T any](t tx, bucket string, v T) func(string) (bool, bool, error) {
	return func(key string) (bool, bool, error) {
		old, ok, err := get[T](t, bucket, key)
		return ok, ok && reflect.DeepEqual(old, v), err
	}
}

func putObjects(t tx, d declaration, now time.Time) error {
	var err error
	for _, s := range d.services {
		s.Namespace = namespaceOf(s.ObjectMeta)
		err = errors.Join(err, put(t, "services", nameOf(s.ObjectMeta), s))
	}
	for _, c := range d.configMaps {
		err = errors.Join(err, put(t, "configmaps", nameOf(c.ObjectMeta), c))
	}
	for _, s := range d.secrets {
		err = errors.Join(err, put(t, "secrets", nameOf(s.ObjectMeta), s))
	}
	for _, i := range d.ingresses {
		old, ok, readErr := get[ingressRecord](t, "ingresses", nameOf(i.ObjectMeta))
		r := ingressRecord{Made: now, Ingress: i}
		if ok {
			r.Made = old.Made
		}
		err = errors.Join(err, readErr, put(t, "ingresses", nameOf(i.ObjectMeta), r))
	}
	return err
}

// adjustments lists the changes that need no new generation.
func adjustments(r record, w declared) []string {
	var list []string
	note := func(what string, before, after any) {
		if !reflect.DeepEqual(before, after) {
			list = append(list, fmt.Sprintf("%s: %v -> %v", what, before, after))
		}
	}
	if r.Job != nil && w.job != nil || r.Cron != nil && w.cron != nil {
		if w.job != nil {
			list = jobAdjustments(r.Job.Spec, *w.job)
		} else {
			list = cronAdjustments(r.Cron, w.cron)
		}
		note("suspend", r.Paused, w.paused)
		if !reflect.DeepEqual(r.Policy, w.policy) {
			list = append(list, "how it is compared")
		}
		return list
	}
	note("replicas", r.Spec.Replicas, w.spec.Replicas)
	note("strategy", r.Spec.Kind, w.spec.Kind)
	note("paused", r.Paused, w.paused)
	before, after := r.Spec, w.spec
	before.Replicas, before.Kind, after.Replicas, after.Kind = 0, "", 0, ""
	if !reflect.DeepEqual(before, after) || !reflect.DeepEqual(r.Policy, w.policy) || r.Retain != w.retain {
		list = append(list, "how it is replaced")
	}
	note("retention of claims", r.Retention, w.retention)
	return list
}

// differences lists the differences between two generations. It names
// ConfigMaps and Secrets without their content.
func differences(before, after *Generation) []string {
	var list []string
	for _, i := range after.Images {
		n := slices.IndexFunc(before.Images, func(o PinnedImage) bool { return o.For == i.For })
		if n < 0 {
			list = append(list, i.For+": new")
		} else if o := before.Images[n]; o.Digest != i.Digest {
			list = append(list, fmt.Sprintf("%s: image %s (%s) -> %s (%s)", i.For, o.Image, short(o.Digest), i.Image, short(i.Digest)))
		}
	}
	for _, c := range after.ConfigMaps {
		n := slices.IndexFunc(before.ConfigMaps, func(o corev1.ConfigMap) bool { return o.Name == c.Name })
		if n < 0 || !reflect.DeepEqual(before.ConfigMaps[n], c) {
			list = append(list, "configmap "+c.Name)
		}
	}
	for _, s := range after.Secrets {
		n := slices.IndexFunc(before.Secrets, func(o corev1.Secret) bool { return o.Name == s.Name })
		if n < 0 || !reflect.DeepEqual(before.Secrets[n], s) {
			list = append(list, "secret "+s.Name)
		}
	}
	return append(list, fieldDifferences(before, after)...)
}

func short(digest string) string {
	_, hex, _ := strings.Cut(digest, ":")
	return hex[:min(12, len(hex))]
}
