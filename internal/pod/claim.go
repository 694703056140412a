package pod

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/pod/containerd"
	"github.com/adamant-sh/adamant/internal/pod/translate"
	"github.com/adamant-sh/adamant/internal/pod/volume"
)

// A Claim is a directory of this machine that stands for a PersistentVolumeClaim. It
// outlives the pods that mount it, and is removed by RemoveClaim only.
type Claim struct {
	Namespace string            `json:"namespace"`
	Name      string            `json:"name"`
	Created   time.Time         `json:"created"`
	Labels    map[string]string `json:"labels,omitempty"`
	// Owner is the workload for whose pods the claim was created from a template,
	// "StatefulSet/db"; empty for a claim of its own.
	Owner string                           `json:"owner,omitempty"`
	Spec  corev1.PersistentVolumeClaimSpec `json:"spec"`

	damaged error // set if its record could not be read
}

// ClaimOf returns the claim of an object.
func ClaimOf(c corev1.PersistentVolumeClaim) Claim {
	return Claim{Namespace: cmp.Or(c.Namespace, metav1.NamespaceDefault), Name: c.Name, Labels: c.Labels, Spec: c.Spec}
}

var (
	// ErrNoClaim is returned when there is no claim of a name.
	ErrNoClaim = errors.New("there is no PersistentVolumeClaim")
	// ErrClaimUsed is returned for a claim that is in use.
	ErrClaimUsed = errors.New("it is in use")
)

// Claims is the directory of all claims of a data directory. Beside each claim's
// directory, DIR/NAMESPACE/NAME, there may be directories that begin with a dot: claims
// that are being created or removed. Claims is safe for concurrent use, also by several
// processes, and needs no runtime.
//
//	DIR/NAMESPACE/NAME/claim.json  the Claim
//	DIR/NAMESPACE/NAME/data        what pods mount
type Claims struct{ root string }

// OpenClaims returns the claims of a data directory, of the default one if root is empty.
func OpenClaims(root string) (*Claims, error) {
	root, err := containerd.RealPath(cmp.Or(root, DefaultRoot))
	return &Claims{root}, err
}

// Claims returns the claims of the engine's data directory.
func (e *Engine) Claims() *Claims { return &Claims{e.opts.Root} }

func claimsDir(root string) string { return filepath.Join(root, "claims") }

func (c *Claims) dir(namespace, name string) string {
	return translate.ClaimDir(claimsDir(c.root), namespace, name)
}

func checkClaimName(namespace, name string) error {
	if !translate.IsNamespace(namespace) || !translate.IsClaimName(name) {
		return fmt.Errorf("claim %q of namespace %q: not DNS names", name, namespace)
	}
	return nil
}

// lock takes the lock that every process holds while it creates a pod's record, so that
// no pod begins to use a claim that is being removed.
func (c *Claims) lock() (*fileLock, error) {
	if err := os.MkdirAll(podsDir(c.root), 0o750); err != nil {
		return nil, err
	}
	return acquire(filepath.Join(podsDir(c.root), ".names"), true)
}

// Get returns a claim, or an error that wraps ErrNoClaim.
func (c *Claims) Get(namespace, name string) (Claim, error) {
	if err := checkClaimName(namespace, name); err != nil {
		return Claim{}, err
	}
	data, err := os.ReadFile(filepath.Join(c.dir(namespace, name), "claim.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return Claim{}, fmt.Errorf("%w %s/%s", ErrNoClaim, namespace, name)
	}
	var claim Claim
	if err == nil {
		err = json.Unmarshal(data, &claim)
	}
	if err == nil && (claim.Namespace != namespace || claim.Name != name) {
		err = fmt.Errorf("it is the record of %s/%s", claim.Namespace, claim.Name)
	}
	if err != nil {
		return claim, fmt.Errorf("read claim %s/%s: %w", namespace, name, err)
	}
	return claim, nil
}

// List returns all claims, by namespace and name. The record of one may be unreadable,
// after which it has only its names.
func (c *Claims) List() ([]Claim, error) {
	found, err := filepath.Glob(filepath.Join(claimsDir(c.root), "*", "*"))
	if err != nil {
		return nil, err
	}
	var list []Claim
	for _, dir := range found {
		namespace, name := filepath.Base(filepath.Dir(dir)), filepath.Base(dir)
		if strings.HasPrefix(name, ".") || strings.HasPrefix(namespace, ".") {
			continue
		}
		claim, err := c.Get(namespace, name)
		switch {
		case errors.Is(err, ErrNoClaim):
			continue // it was removed meanwhile
		case err != nil:
			claim = Claim{Namespace: namespace, Name: name, damaged: err}
		}
		list = append(list, claim)
	}
	return list, nil
}

// Err returns why the record of a claim of List could not be read, or nil.
func (c Claim) Err() error { return c.damaged }

// Ensure creates a claim if there is none of its name, and updates the record of one that
// exists, except its owner and its time of creation. Its files are never changed. It
// reports whether it created the claim.
func (c *Claims) Ensure(claim Claim) (created bool, err error) {
	if err := checkClaimName(claim.Namespace, claim.Name); err != nil {
		return false, err
	}
	lock, err := c.lock()
	if err != nil {
		return false, err
	}
	defer lock.release()
	old, err := c.Get(claim.Namespace, claim.Name)
	switch {
	case errors.Is(err, ErrNoClaim):
		claim.Created = time.Now().UTC()
		created, err = true, c.create(claim)
	case err == nil:
		claim.Created, claim.Owner = old.Created, old.Owner
		err = c.update(old, claim)
	}
	if err != nil {
		return false, fmt.Errorf("claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	return created, nil
}

func (c *Claims) create(claim Claim) error {
	data, err := json.Marshal(claim)
	if err != nil {
		return err
	}
	parent := filepath.Dir(c.dir(claim.Namespace, claim.Name))
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	tmp := filepath.Join(parent, ".new-"+strings.ToLower(rand.Text()))
	// The mode is that of an emptyDir: a program may run as any user. Others of this
	// machine are kept out by the directories above.
	err = errors.Join(os.MkdirAll(filepath.Join(tmp, "data"), 0o777), os.Chmod(filepath.Join(tmp, "data"), 0o777))
	if err == nil {
		err = durable.WriteFile(filepath.Join(tmp, "claim.json"), data, 0o600)
	}
	if err == nil {
		err = os.Rename(tmp, c.dir(claim.Namespace, claim.Name))
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return errors.Join(durable.SyncDir(parent), durable.SyncDir(filepath.Dir(parent)))
}

func (c *Claims) update(old, claim Claim) error {
	before, err := json.Marshal(old)
	if err != nil {
		return err
	}
	after, err := json.Marshal(claim)
	if err != nil || string(before) == string(after) {
		return err
	}
	return durable.WriteFile(filepath.Join(c.dir(claim.Namespace, claim.Name), "claim.json"), after, 0o600)
}

// UsedBy returns the names of the pods that have mounted a claim, also of those that are
// being created or removed.
func (c *Claims) UsedBy(namespace, name string) ([]string, error) {
	uids, err := podUIDs(c.root)
	if err != nil {
		return nil, err
	}
	var pods []string
	for _, uid := range uids {
		rec, err := readRecord(newLayout(c.root, uid))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // it is gone
		case err != nil:
			pods = append(pods, uid) // its record is damaged, so that it may use any
		case usesClaim(&rec.Spec, namespace, name):
			pods = append(pods, rec.Spec.Name)
		}
	}
	slices.Sort(pods)
	return pods, nil
}

func usesClaim(s *PodSpec, namespace, name string) bool {
	return s.Namespace == namespace && slices.ContainsFunc(s.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == name
	})
}

// Remove removes a claim with all its files. It returns an error that wraps ErrClaimUsed
// while a pod uses it, and one that wraps ErrNoClaim if there is none.
func (c *Claims) Remove(namespace, name string) error {
	gone, err := c.unname(namespace, name)
	if err != nil {
		return fmt.Errorf("remove claim %s/%s: %w", namespace, name, err)
	}
	return removeClaimDirs(gone)
}

func removeClaimDirs(dirs []string) error {
	var errs []error
	for _, dir := range dirs {
		// A container with Bidirectional mount propagation may have left a mount.
		if err := volume.UnmountBelow(dir); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, volume.RemoveAll(dir))
		// The last claim takes the directory of its namespace with it.
		_ = os.Remove(filepath.Dir(dir))
	}
	return errors.Join(errs...)
}

// removeRests removes what processes left that were killed while they created or removed
// a claim.
func (c *Claims) removeRests() error {
	rests := filepath.Join(claimsDir(c.root), "*", ".*")
	// Without such directories, which is the usual case, no lock is needed.
	if left, err := filepath.Glob(rests); err != nil || len(left) == 0 {
		return err
	}
	lock, err := acquire(filepath.Join(podsDir(c.root), ".names"), false)
	if errors.Is(err, durable.ErrLocked) {
		return nil // a claim may be being created; the next call removes the rest
	}
	if err != nil {
		return err
	}
	defer lock.release()
	left, err := filepath.Glob(rests)
	if err != nil {
		return err
	}
	return removeClaimDirs(left)
}

// unname gives a claim's directory a name under which no pod finds it. It returns that
// directory and those that killed processes left, which are to be removed.
func (c *Claims) unname(namespace, name string) ([]string, error) {
	if err := checkClaimName(namespace, name); err != nil {
		return nil, err
	}
	lock, err := c.lock()
	if err != nil {
		return nil, err
	}
	defer lock.release()
	dir := c.dir(namespace, name)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w %s/%s", ErrNoClaim, namespace, name)
	}
	pods, err := c.UsedBy(namespace, name)
	if err != nil {
		return nil, err
	}
	if len(pods) > 0 {
		return nil, fmt.Errorf("%w by pod %s", ErrClaimUsed, strings.Join(pods, ", "))
	}
	parent := filepath.Dir(dir)
	if err := os.Rename(dir, filepath.Join(parent, ".removed-"+strings.ToLower(rand.Text()))); err != nil {
		return nil, err
	}
	if err := durable.SyncDir(parent); err != nil {
		return nil, err
	}
	left, err := filepath.Glob(filepath.Join(parent, ".*"))
	return left, err
}

// Path returns the directory of a claim's files.
func (c *Claims) Path(namespace, name string) string {
	return translate.ClaimData(claimsDir(c.root), namespace, name)
}

// Usage returns the disk space of a claim's files, in bytes.
func (c *Claims) Usage(namespace, name string) (int64, error) {
	if err := checkClaimName(namespace, name); err != nil {
		return 0, err
	}
	return volume.Usage(c.Path(namespace, name))
}

// Destroy removes all claims with their files. No pod may be left.
func (c *Claims) Destroy() error {
	dir := claimsDir(c.root)
	if err := volume.UnmountBelow(dir); err != nil {
		return err
	}
	return volume.RemoveAll(dir)
}

// checkClaims returns an error if a pod cannot use its claims. The caller holds the lock
// on names.
func (e *Engine) checkClaims(s *PodSpec) error {
	for i := range s.Spec.Volumes {
		v := s.Spec.Volumes[i].PersistentVolumeClaim
		if v == nil {
			continue
		}
		claim, err := e.Claims().Get(s.Namespace, v.ClaimName)
		if err != nil {
			return fmt.Errorf("volume %s: %w", s.Spec.Volumes[i].Name, err)
		}
		if !slices.Contains(claim.Spec.AccessModes, corev1.ReadWriteOncePod) {
			continue
		}
		pods, err := e.Claims().UsedBy(s.Namespace, v.ClaimName)
		if err != nil {
			return err
		}
		if len(pods) > 0 {
			return fmt.Errorf("volume %s: claim %s is ReadWriteOncePod, and pod %s uses it", s.Spec.Volumes[i].Name, v.ClaimName, pods[0])
		}
	}
	return nil
}

// prepareClaim prepares the directory of a claim for a pod.
func prepareClaim(p translate.VolumePlan) error {
	info, err := os.Lstat(p.Path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", p.Path)
	}
	if p.Claim.FSGroup == nil {
		return nil
	}
	return volume.SetGroup(p.Path, int(*p.Claim.FSGroup), p.Claim.OnMismatch)
}
