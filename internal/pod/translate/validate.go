package translate

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/ptr"
)

// MaxNameLength is the longest name of a pod, in bytes (DNS-1123 subdomain).
const MaxNameLength = 253

// TruncateName truncates a name to at most n bytes. The result does not end with
// '-' or '.', so that it is still a DNS name.
func TruncateName(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.TrimRight(s[:n], "-.")
}

// Validate returns an error if no pod can be created from the spec.
func (s *PodSpec) Validate() error {
	if s.Name == "" || len(s.Name) > MaxNameLength {
		return fmt.Errorf("pod name %q is empty or too long", s.Name)
	}
	if !isSubdomain(s.Name) {
		return fmt.Errorf("pod name %q is not a DNS subdomain", s.Name)
	}
	if s.Namespace != "" && !isLabel(s.Namespace) {
		return fmt.Errorf("namespace %q is not a DNS label", s.Namespace)
	}
	if len(s.Spec.Containers) == 0 {
		return fmt.Errorf("pod %s has no containers", s.Name)
	}
	if !ptr.Deref(s.Spec.HostUsers, true) {
		return fmt.Errorf("pod %s: spec.hostUsers: user namespaces are not supported", s.Name)
	}
	if err := validateVolumes(s.Spec.Volumes); err != nil {
		return fmt.Errorf("pod %s: %w", s.Name, err)
	}
	if _, err := s.RestartBackOff(); err != nil {
		return fmt.Errorf("pod %s: %w", s.Name, err)
	}
	seen := map[string]bool{}
	for _, list := range [][]corev1.Container{s.Spec.InitContainers, s.Spec.Containers} {
		for i := range list {
			if err := validateContainer(&list[i], seen); err != nil {
				return fmt.Errorf("pod %s: %w", s.Name, err)
			}
		}
	}
	return nil
}

func validateContainer(c *corev1.Container, seen map[string]bool) error {
	if !isLabel(c.Name) {
		return fmt.Errorf("container name %q is not a DNS label", c.Name)
	}
	if seen[c.Name] {
		return fmt.Errorf("two containers are named %s", c.Name)
	}
	seen[c.Name] = true
	if c.Image == "" {
		return fmt.Errorf("container %s has no image", c.Name)
	}
	if c.Lifecycle != nil && c.Lifecycle.StopSignal != nil {
		if _, ok := cri.Signal_value["SIGNAL_"+string(*c.Lifecycle.StopSignal)]; !ok {
			return fmt.Errorf("container %s: lifecycle.stopSignal %s is not a signal", c.Name, *c.Lifecycle.StopSignal)
		}
	}
	return nil
}

func validateVolumes(volumes []corev1.Volume) error {
	seen := map[string]bool{}
	for i := range volumes {
		name := volumes[i].Name
		if !isLabel(name) {
			return fmt.Errorf("volume name %q is not a DNS label", name)
		}
		if seen[name] {
			return fmt.Errorf("two volumes are named %s", name)
		}
		seen[name] = true
		if c := volumes[i].PersistentVolumeClaim; c != nil && !IsClaimName(c.ClaimName) {
			return fmt.Errorf("volume %s: claim name %q is not a DNS subdomain", name, c.ClaimName)
		}
	}
	return nil
}

// IsClaimName reports whether a claim can have a name, which is then safe as the name of
// a directory.
func IsClaimName(s string) bool { return s != "" && len(s) <= MaxNameLength && isSubdomain(s) }

// IsNamespace reports whether a namespace can have a name.
func IsNamespace(s string) bool { return isLabel(s) }

// isSubdomain reports whether a name is one or more DNS labels, of any length,
// with dots between them.
func isSubdomain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if !hasLabelForm(label) {
			return false
		}
	}
	return true
}

// isLabel reports whether a name is a DNS label (RFC 1123). Labels are also safe
// file names: they contain no '/' and no '.'.
func isLabel(s string) bool { return len(s) <= 63 && hasLabelForm(s) }

func hasLabelForm(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return true
}
