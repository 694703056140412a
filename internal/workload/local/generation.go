package local

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
	// Claims are the volumeClaimTemplates of a StatefulSet. A volume of one has its name.
	Claims []corev1.PersistentVolumeClaim `json:"claims,omitempty"`
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
	content := []any{g.Template.Labels, g.Template.Annotations, g.Template.Spec, g.ConfigMaps, g.Secrets}
	if len(g.Claims) > 0 {
		// Only the names: what a claim asks for does not change how a pod runs.
		content = append(content, templateNames(g.Claims))
	}
	data, err := json.Marshal(content)
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
