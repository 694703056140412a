package local

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
)

// A ClaimStatus is a PersistentVolumeClaim on this machine.
type ClaimStatus struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Owner is the workload for whose pods the claim was created from a template:
	// "StatefulSet/db".
	Owner     string    `json:"owner,omitempty"`
	Pods      []string  `json:"pods,omitempty"`      // that use it
	Workloads []string  `json:"workloads,omitempty"` // declared ones that use it: "Deployment/web"
	Bytes     int64     `json:"bytes"`               // disk space of its files
	Requested string    `json:"requested,omitempty"` // size, which is not enforced
	Created   time.Time `json:"created,omitzero"`
	Path      string    `json:"path"`            // of its files
	Err       string    `json:"error,omitempty"` // why something of it is not known
}

// ID returns "namespace/name".
func (c ClaimStatus) ID() string { return c.Namespace + "/" + c.Name }

// compareClaims returns the effect of an apply on claims, or an error for each pod that
// refers to one that does not exist.
func (c *Controller) compareClaims(d declaration) ([]Result, error) {
	claims := c.engine.Claims()
	var list []Result
	for _, o := range d.claims {
		want := pod.ClaimOf(o)
		r := Result{Kind: "PersistentVolumeClaim", Namespace: want.Namespace, Name: want.Name, Action: Unchanged}
		old, err := claims.Get(want.Namespace, want.Name)
		switch {
		case errors.Is(err, pod.ErrNoClaim):
			r.Action = Created
		case err != nil:
			return nil, err
		case !reflect.DeepEqual(old.Spec, want.Spec) || !reflect.DeepEqual(old.Labels, want.Labels):
			r.Action = Adjusted
		}
		list = append(list, r)
	}
	return list, missingClaims(claims, d.claimRefs, d.claims)
}

// missingClaims returns an error for each reference to a claim that neither exists nor is
// among those that are being declared.
func missingClaims(claims *pod.Claims, refs []manifest.ClaimRef, declared []corev1.PersistentVolumeClaim) error {
	var missing manifest.Errors
	for _, ref := range refs {
		if slices.ContainsFunc(declared, func(c corev1.PersistentVolumeClaim) bool {
			return namespaceOf(c.ObjectMeta) == ref.Namespace && c.Name == ref.Name
		}) {
			continue
		}
		_, err := claims.Get(ref.Namespace, ref.Name)
		if errors.Is(err, pod.ErrNoClaim) {
			missing = append(missing, ref.Missing)
		} else if err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return missing
	}
	return nil
}

// ensureClaims creates the claims that do not exist.
func ensureClaims(e *pod.Engine, list []corev1.PersistentVolumeClaim) error {
	for _, c := range list {
		if _, err := e.Claims().Ensure(pod.ClaimOf(c)); err != nil {
			return err
		}
	}
	return nil
}

// Claims returns all claims of the data directory.
func (c *Controller) Claims() ([]ClaimStatus, error) {
	return claimStatuses(c.engine.Claims(), c.store)
}

// RemoveClaim removes a claim with its files. It returns an error that wraps
// pod.ErrClaimUsed while a pod or a declared workload uses the claim.
func (c *Controller) RemoveClaim(namespace, name string) error {
	c.applying.Lock() // an apply must not begin to use it meanwhile
	defer c.applying.Unlock()
	return removeClaim(c.engine.Claims(), c.store, namespace, name)
}

// Claims returns all claims of a data directory. It returns ErrServing while a daemon
// serves the directory, which can be asked instead.
func Claims(root string) (list []ClaimStatus, err error) {
	err = withoutDaemon(root, func(claims *pod.Claims, s *store) error {
		list, err = claimStatuses(claims, s)
		return err
	})
	return list, err
}

// RemoveClaim is Controller.RemoveClaim for a data directory that no daemon serves. It
// returns ErrServing otherwise.
func RemoveClaim(root, namespace, name string) error {
	return withoutDaemon(root, func(claims *pod.Claims, s *store) error { return removeClaim(claims, s, namespace, name) })
}

// withoutDaemon calls do with the claims and the store of a data directory, which is nil
// if the directory has none.
func withoutDaemon(root string, do func(*pod.Claims, *store) error) error {
	root = cmp.Or(root, pod.DefaultRoot)
	claims, err := pod.OpenClaims(root)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(root, "fleet", "fleet.db")); errors.Is(err, fs.ErrNotExist) {
		return do(claims, nil)
	}
	s, err := openStore(root)
	if err != nil {
		return err
	}
	return errors.Join(do(claims, s), s.close())
}

func claimStatuses(claims *pod.Claims, s *store) ([]ClaimStatus, error) {
	all, err := claims.List()
	if err != nil {
		return nil, err
	}
	users, err := claimUsers(s)
	if err != nil {
		return nil, err
	}
	list := []ClaimStatus{}
	for _, c := range all {
		one := ClaimStatus{Namespace: c.Namespace, Name: c.Name, Owner: c.Owner, Created: c.Created, Workloads: users[c.Namespace+"/"+c.Name], Path: claims.Path(c.Namespace, c.Name)}
		if size, ok := c.Spec.Resources.Requests[corev1.ResourceStorage]; ok {
			one.Requested = size.String()
		}
		var usedErr, sizeErr error
		one.Pods, usedErr = claims.UsedBy(c.Namespace, c.Name)
		one.Bytes, sizeErr = claims.Usage(c.Namespace, c.Name)
		if err := errors.Join(c.Err(), usedErr, sizeErr); err != nil {
			one.Err = err.Error()
		}
		list = append(list, one)
	}
	return list, nil
}

func removeClaim(claims *pod.Claims, s *store, namespace, name string) error {
	users, err := claimUsers(s)
	if err != nil {
		return err
	}
	if by := users[namespace+"/"+name]; len(by) > 0 {
		return fmt.Errorf("remove claim %s/%s: %w by %s: delete that first", namespace, name, pod.ErrClaimUsed, strings.Join(by, ", "))
	}
	return claims.Remove(namespace, name)
}

// claimUsers returns the declared workloads by the claims that one of their generations
// uses, also an earlier one that may run again.
func claimUsers(s *store) (map[string][]string, error) {
	users := map[string][]string{}
	if s == nil {
		return users, nil
	}
	err := s.view(func(t tx) error {
		return each(t, "workloads", "", func(_ string, r record) error {
			add := func(claim string) {
				id, by := r.Key.Namespace+"/"+claim, r.Key.Kind+"/"+r.Key.Name
				if !slices.Contains(users[id], by) {
					users[id] = append(users[id], by)
				}
			}
			return each(t, "generations", keyPrefix(r.Key), func(_ string, g Generation) error {
				for _, name := range g.claimsOf(r) {
					add(name)
				}
				return nil
			})
		})
	})
	return users, err
}

// MayHaveClaims reports whether ClaimsOf may return any claims for manifests and keys.
func MayHaveClaims(files []manifest.File, keys []Key) bool {
	return slices.ContainsFunc(keys, func(k Key) bool { return k.Kind == "StatefulSet" }) || len(declaredClaims(files)) > 0
}

func declaredClaims(files []manifest.File) []corev1.PersistentVolumeClaim {
	var list []corev1.PersistentVolumeClaim
	for _, f := range files {
		claims, _, _ := f.PersistentClaims() // an unsupported field does not matter for deleting
		list = append(list, claims...)
	}
	return list
}

// ClaimsOf returns the claims that manifests declare, and those that were created for the
// pods of StatefulSets.
func ClaimsOf(list []ClaimStatus, files []manifest.File, keys []Key) []ClaimStatus {
	declared := declaredClaims(files)
	return slices.DeleteFunc(slices.Clone(list), func(c ClaimStatus) bool {
		return !slices.ContainsFunc(declared, func(o corev1.PersistentVolumeClaim) bool {
			return namespaceOf(o.ObjectMeta) == c.Namespace && o.Name == c.Name
		}) && !slices.ContainsFunc(keys, func(k Key) bool {
			return k.Namespace == c.Namespace && c.Owner == k.Kind+"/"+k.Name
		})
	})
}

// A OncePart is the part of a manifest whose workloads run as one pod each, once.
type OncePart struct {
	Pods  []pod.PodSpec
	Notes []string // about fields and objects without an effect

	PassedOver []manifest.Other // objects that are not run

	claims []corev1.PersistentVolumeClaim
	refs   []manifest.ClaimRef
}

// ParseOnce reads a manifest whose workloads run as one pod each, once. Every field that
// is not supported is an error with its path and line.
func ParseOnce(f manifest.File) (OncePart, error) {
	var o OncePart
	var refused, notes manifest.Errors
	o.claims, notes, refused = f.PersistentClaims()
	for _, w := range f.Workloads() {
		refused = append(refused, manifest.Once.Unsupported(w)...)
		notes = append(notes, manifest.Once.Notes(w)...)
		o.refs = append(o.refs, w.ClaimRefs()...)
		s := pod.SpecOf(pod.Template{
			Kind: w.Kind, Namespace: w.Namespace, Name: w.Name,
			Template: w.WithClaims(), ConfigMaps: f.ConfigMaps(), Secrets: f.Secrets(),
		})
		o.claims = append(o.claims, claimTemplates(&s.Spec, w.Namespace, w.ClaimTemplates(), s.Name)...)
		o.Pods = append(o.Pods, s)
	}
	for _, n := range notes {
		o.Notes = append(o.Notes, n.Error())
	}
	o.PassedOver = PassedOverByRun(f)
	o.Notes = append(o.Notes, manifest.PassedOverNotes(o.PassedOver)...)
	if len(refused) > 0 {
		return o, refused
	}
	if len(o.Pods) == 0 {
		return o, fmt.Errorf("%s: no workload in it: want a Pod, Deployment, StatefulSet, DaemonSet, Job or CronJob", f.Name)
	}
	return o, nil
}

// PassedOverByRun returns the objects of a manifest that are neither run nor claims.
func PassedOverByRun(f manifest.File) []manifest.Other {
	return slices.DeleteFunc(f.Others(), func(o manifest.Other) bool { return o.APIVersion == "v1" && o.Kind == "PersistentVolumeClaim" })
}

// Prepare creates the claims of the manifest, or returns an error for each pod whose
// claim does not exist, after which nothing was created.
func (o OncePart) Prepare(e *pod.Engine) error {
	if err := missingClaims(e.Claims(), o.refs, o.claims); err != nil {
		return err
	}
	return ensureClaims(e, o.claims)
}

// claimTemplates lets the volumes of a pod refer to the pod's own claims, and returns
// these.
func claimTemplates(spec *corev1.PodSpec, namespace string, templates []corev1.PersistentVolumeClaim, podName string) []corev1.PersistentVolumeClaim {
	var claims []corev1.PersistentVolumeClaim
	for _, t := range templates {
		c := *t.DeepCopy()
		c.Namespace, c.Name = namespace, t.Name+"-"+podName
		for i := range spec.Volumes {
			if v := &spec.Volumes[i]; v.Name == t.Name && v.PersistentVolumeClaim != nil {
				v.PersistentVolumeClaim.ClaimName = c.Name
			}
		}
		claims = append(claims, c)
	}
	return claims
}
