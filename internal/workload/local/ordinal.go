package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// The labels of the pods of a StatefulSet (k8s.io/api/apps/v1).
const (
	labelPodName  = appsv1.StatefulSetPodNameLabel
	labelPodIndex = appsv1.PodIndexLabel
)

// A retention is what happens to the claims of a StatefulSet's pods. The zero value keeps
// them.
type retention struct {
	DeletedWithSet   bool `json:"deletedWithSet,omitempty"`
	DeletedByScaling bool `json:"deletedByScaling,omitempty"`
}

// maxHostname is the longest name of a host (RFC 1123), which is that of a pod here.
const maxHostname = 63

func declareStatefulSet(w manifest.Workload, set *appsv1.StatefulSet) (declared, error) {
	spec, policy, err := rollout.FromStatefulSet(set)
	d := declared{
		key:  Key{w.Namespace, w.Kind, w.Name},
		spec: spec, policy: policy, template: w.WithClaims(), retain: defaultRetain, claims: w.ClaimTemplates(),
	}
	d.template.Spec.Subdomain = set.Spec.ServiceName
	if n := set.Spec.RevisionHistoryLimit; n != nil {
		d.retain = int(*n)
	}
	if p := set.Spec.PersistentVolumeClaimRetentionPolicy; p != nil {
		d.retention.DeletedWithSet = p.WhenDeleted == appsv1.DeletePersistentVolumeClaimRetentionPolicyType
		d.retention.DeletedByScaling = p.WhenScaled == appsv1.DeletePersistentVolumeClaimRetentionPolicyType
	}
	if err == nil {
		err = checkReplicas(spec.Replicas)
	}
	if err != nil {
		return d, err
	}
	ordinals := spec.WantedOrdinals()
	if last := len(ordinals) - 1; last >= 0 && len(ordinalName(d.key, ordinals[last])) > maxHostname {
		return d, fmt.Errorf("the name of pod %s is longer than %d bytes, and cannot be its host name", ordinalName(d.key, ordinals[last]), maxHostname)
	}
	if len(ordinals) > 1 && isExclusive(&d.template.Spec) {
		return d, fmt.Errorf("%d replicas cannot share one host port or the host network: put a Service before them instead", spec.Replicas)
	}
	return d, nil
}

// ordinalName returns the name of the pod of an ordinal.
func ordinalName(k Key, ordinal int) string { return k.Name + "-" + strconv.Itoa(ordinal) }

// ordinalOf returns the ordinal of a pod, 0 for a pod of another kind.
func ordinalOf(labels map[string]string) int {
	n, err := strconv.Atoi(labels[labelPodIndex])
	if err != nil {
		return 0
	}
	return n
}

// ordinalSpec returns the spec of the pod of an ordinal, with its identity as Kubernetes
// sets it, and its claims.
func (w *workload) ordinalSpec(g *Generation, ordinal int) (pod.PodSpec, []pod.Claim) {
	name := ordinalName(w.key, ordinal)
	s := w.spec(g, name)
	s.Labels[labelPodName], s.Labels[labelPodIndex] = name, strconv.Itoa(ordinal)
	s.Spec.Hostname = name
	var claims []pod.Claim
	for _, c := range claimTemplates(&s.Spec, w.key.Namespace, g.Claims, name) {
		claim := pod.ClaimOf(c)
		claim.Owner = w.owner()
		claims = append(claims, claim)
	}
	return s, claims
}

// owner returns the owner of the workload's claims.
func (w *workload) owner() string { return w.key.Kind + "/" + w.key.Name }

// createOrdinals creates the instances of ordinals, except of a generation whose back-off
// after lost ones is running.
func (w *workload) createOrdinals(wanted map[int]int) error {
	for ordinal, number := range wanted {
		if wait := time.Until(w.notBefore[number]); wait > 0 {
			time.AfterFunc(wait, w.notify)
			continue
		}
		g, err := w.generation(number)
		if err != nil {
			return err
		}
		spec, claims := w.ordinalSpec(g, ordinal)
		w.startInstance(w.ctx, g, spec, func(context.Context) error {
			for _, c := range claims {
				if _, err := w.controller.engine.Claims().Ensure(c); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return nil
}

// templateNames returns the names of claim templates.
func templateNames(list []corev1.PersistentVolumeClaim) []string {
	var names []string
	for _, c := range list {
		names = append(names, c.Name)
	}
	return names
}

// claimsOf returns the names of the claims that the pods of a generation use.
func (g *Generation) claimsOf(r record) []string {
	templates := templateNames(g.Claims)
	var names []string
	for _, v := range g.Template.Spec.Volumes {
		if v.PersistentVolumeClaim != nil && !slices.Contains(templates, v.Name) {
			names = append(names, v.PersistentVolumeClaim.ClaimName)
		}
	}
	for _, t := range templates {
		for _, o := range r.Spec.WantedOrdinals() {
			names = append(names, t+"-"+ordinalName(r.Key, o))
		}
	}
	return names
}

// removeScaledClaims removes the claims of ordinals that are not wanted any more, if the
// retention policy says so. The caller holds mu.
func (w *workload) removeScaledClaims() {
	if w.key.Kind != "StatefulSet" {
		return
	}
	r, err := w.controller.record(w.key)
	if err != nil || r.Deleting || !r.Retention.DeletedByScaling {
		return // it is deleted, or the next observation tries again
	}
	if w.reclaiming {
		return
	}
	w.reclaiming = true
	// In the background, because a claim may have many files. Meanwhile its ordinal may be
	// wanted again.
	w.wg.Go(func() {
		removed := w.removeClaims(w.isScaledDown)
		for _, name := range removed {
			w.recordEvent("ClaimRemoved", "claim %s was removed after scaling down, by the retention policy", name)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.reclaiming = false
	})
}

// isScaledDown reports whether an ordinal is not wanted, has no instance, and loses its
// claims for that.
func (w *workload) isScaledDown(ordinal int) bool {
	r, err := w.controller.record(w.key)
	if err != nil || r.Deleting || !r.Retention.DeletedByScaling || slices.Contains(r.Spec.WantedOrdinals(), ordinal) {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.instances[ordinalName(w.key, ordinal)] == nil
}

// removeOwnedClaims removes the claims of a StatefulSet that is deleted, if its retention
// policy says so.
func (w *workload) removeOwnedClaims() {
	r, err := w.controller.record(w.key)
	if err == nil && r.Retention.DeletedWithSet && !w.controller.opts.Ephemeral {
		w.removeClaims(func(int) bool { return true })
	}
}

// removeClaims removes the claims that were created for those ordinals that is selects,
// and returns their names.
func (w *workload) removeClaims(is func(ordinal int) bool) (removed []string) {
	claims := w.controller.engine.Claims()
	list, err := claims.List()
	if err != nil {
		w.controller.log(err)
		return nil
	}
	for _, c := range list {
		if c.Namespace != w.key.Namespace || c.Owner != w.owner() {
			continue
		}
		digits := c.Name[strings.LastIndexByte(c.Name, '-')+1:]
		ordinal, err := strconv.Atoi(digits)
		if err != nil || !strings.HasSuffix(c.Name, "-"+ordinalName(w.key, ordinal)) || !is(ordinal) {
			continue
		}
		err = claims.Remove(c.Namespace, c.Name)
		switch {
		case err == nil:
			removed = append(removed, c.Name)
		case !errors.Is(err, pod.ErrClaimUsed) && !errors.Is(err, pod.ErrNoClaim):
			w.controller.log(err)
		}
	}
	return removed
}
