package local

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A Key identifies a declared object.
type Key struct {
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"` // "Deployment"
	Name      string `json:"name"`
}

// String returns "default/Deployment/web".
func (k Key) String() string { return k.Namespace + "/" + k.Kind + "/" + k.Name }

// A Generation is one version of a workload: a pod template with pinned images,
// and the configuration that its pods refer to. It never changes.
type Generation struct {
	Number     int                    `json:"number"`
	Hash       string                 `json:"hash"` // of its content
	Made       time.Time              `json:"made"`
	By         Author                 `json:"by"`
	Template   corev1.PodTemplateSpec `json:"template"` // with pinned images
	Images     []PinnedImage          `json:"images"`
	ConfigMaps []corev1.ConfigMap     `json:"configMaps,omitempty"`
	Secrets    []corev1.Secret        `json:"secrets,omitempty"`
}

// A PinnedImage is the image that a name referred to when the generation was
// created.
type PinnedImage struct {
	For       string `json:"for"`       // "container web", "volume image"
	Image     string `json:"image"`     // as the manifest has it
	Digest    string `json:"digest"`    // of its manifest
	Reference string `json:"reference"` // by which pods run it
}

// An Author is the user who requested a change, by the credentials of the
// socket's peer (SO_PEERCRED, unix(7)).
type Author struct {
	UID  int    `json:"uid"`
	PID  int    `json:"pid,omitempty"`
	User string `json:"user,omitempty"`
}

// String returns "root" or "user 1000".
func (a Author) String() string {
	if a.User != "" {
		return a.User
	}
	return fmt.Sprintf("user %d", a.UID)
}

// hash identifies the content of a generation: two with the same hash run the
// same.
func (g *Generation) hash() (string, error) {
	data, err := json.Marshal([]any{g.Template.Labels, g.Template.Annotations, g.Template.Spec, g.ConfigMaps, g.Secrets})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}

// An Attempt is one rollout of one generation, and how it ended.
type Attempt struct {
	Number     int           `json:"number"`
	Generation int           `json:"generation"`
	By         Author        `json:"by"`
	Cause      string        `json:"cause"` // apply, undo, or the change
	Began      time.Time     `json:"began"`
	Ended      time.Time     `json:"ended,omitzero"`
	Outcome    rollout.Phase `json:"outcome"`
	Reason     string        `json:"reason,omitempty"`
}

// references returns the names of the ConfigMaps and Secrets that a pod refers
// to.
func references(spec *corev1.PodSpec) (configMaps, secrets []string) {
	configs, hidden := map[string]bool{}, map[string]bool{}
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			environment(&list[i], configs, hidden)
		}
	}
	for i := range spec.Volumes {
		volumeSources(&spec.Volumes[i], configs, hidden)
	}
	return slices.Sorted(maps.Keys(configs)), slices.Sorted(maps.Keys(hidden))
}

func environment(c *corev1.Container, maps, secrets map[string]bool) {
	for _, e := range c.Env {
		if e.ValueFrom == nil {
			continue
		}
		if r := e.ValueFrom.ConfigMapKeyRef; r != nil {
			maps[r.Name] = true
		}
		if r := e.ValueFrom.SecretKeyRef; r != nil {
			secrets[r.Name] = true
		}
	}
	for _, e := range c.EnvFrom {
		if e.ConfigMapRef != nil {
			maps[e.ConfigMapRef.Name] = true
		}
		if e.SecretRef != nil {
			secrets[e.SecretRef.Name] = true
		}
	}
}

func volumeSources(v *corev1.Volume, maps, secrets map[string]bool) {
	if v.ConfigMap != nil {
		maps[v.ConfigMap.Name] = true
	}
	if v.Secret != nil {
		secrets[v.Secret.SecretName] = true
	}
	if v.Projected == nil {
		return
	}
	for _, s := range v.Projected.Sources {
		if s.ConfigMap != nil {
			maps[s.ConfigMap.Name] = true
		}
		if s.Secret != nil {
			secrets[s.Secret.Name] = true
		}
	}
}
