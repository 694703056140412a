package pod

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// References returns the names of the ConfigMaps and Secrets that the containers and
// volumes of a pod refer to. imagePullSecrets are not among them.
func References(spec *corev1.PodSpec) (configMaps, secrets []string) {
	return translate.References(spec)
}

// MissingPullSecrets returns the names of a pod's imagePullSecrets that are not among its
// Secrets.
func MissingPullSecrets(s *PodSpec) []string {
	var missing []string
	for _, r := range s.Spec.ImagePullSecrets {
		if !slices.ContainsFunc(s.Secrets, func(secret corev1.Secret) bool { return isNamed(s, &secret, r.Name) }) {
			missing = append(missing, r.Name)
		}
	}
	return missing
}

// isNamed reports whether a Secret has a name, and the namespace of a pod.
func isNamed(s *PodSpec, secret *corev1.Secret, name string) bool {
	return secret.Name == name && cmp.Or(secret.Namespace, corev1.NamespaceDefault) == cmp.Or(s.Namespace, corev1.NamespaceDefault)
}

// keyring returns the credentials of a pod's imagePullSecrets.
func keyring(s *PodSpec) (image.Keyring, error) {
	var k image.Keyring
	for _, r := range s.Spec.ImagePullSecrets {
		for _, secret := range s.Secrets {
			if !isNamed(s, &secret, r.Name) {
				continue
			}
			if err := k.Add(string(secret.Type), secret.Data); err != nil {
				return nil, fmt.Errorf("secret %s: %w", secret.Name, err)
			}
		}
	}
	return k, nil
}

// credentials returns what an image is pulled with, one after the other: the matching
// credentials of the pod's imagePullSecrets, those of this machine, and none.
func credentials(s *PodSpec, ref string) ([]*runtimeapi.AuthConfig, error) {
	k, err := keyring(s)
	if err != nil {
		return nil, err
	}
	parsed, err := image.ParseReference(ref)
	if err != nil {
		return []*runtimeapi.AuthConfig{nil}, nil // the runtime refuses it
	}
	var list []*runtimeapi.AuthConfig
	for _, c := range k.For(parsed) {
		list = append(list, &runtimeapi.AuthConfig{Username: c.Username, Password: c.Password, IdentityToken: c.IdentityToken})
	}
	if own := machineCredentials(parsed); own != nil {
		list = append(list, own)
	}
	return append(list, nil), nil
}

// machineCredentials returns those that docker or podman login stored for this user, nil
// if there are none.
func machineCredentials(ref image.Reference) *runtimeapi.AuthConfig {
	at, err := name.ParseReference(ref.Name())
	if err != nil {
		return nil
	}
	found, err := authn.DefaultKeychain.Resolve(at.Context())
	if err != nil || found == authn.Anonymous {
		return nil
	}
	c, err := found.Authorization()
	if err != nil {
		return nil // a helper that fails is no reason not to pull a public image
	}
	return &runtimeapi.AuthConfig{Username: c.Username, Password: c.Password, Auth: c.Auth, IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken}
}

// pull pulls an image with the first credentials that work. Its error has those of all
// tries.
func (e *Engine) pull(ctx context.Context, s *PodSpec, ref string, sandbox *runtimeapi.PodSandboxConfig, events Events) error {
	if missing := MissingPullSecrets(s); len(missing) > 0 {
		events.emit(s, "", "FailedToRetrieveImagePullSecret", "imagePullSecrets %s: no such Secret; pulling may fail", strings.Join(missing, ", "))
	}
	list, err := credentials(s, ref)
	if err != nil {
		return err
	}
	var errs []error
	for _, auth := range list {
		_, err := e.cri.PullImage(ctx, &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: ref}, Auth: auth, SandboxConfig: sandbox})
		if err == nil {
			return nil
		}
		if !slices.ContainsFunc(errs, func(other error) bool { return other.Error() == err.Error() }) {
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// withoutPullSecrets returns a pod without the Secrets that only pull its images: they
// are not stored with it.
func withoutPullSecrets(s PodSpec) PodSpec {
	_, used := References(&s.Spec)
	s.Secrets = slices.DeleteFunc(slices.Clone(s.Secrets), func(secret corev1.Secret) bool {
		pulls := slices.ContainsFunc(s.Spec.ImagePullSecrets, func(r corev1.LocalObjectReference) bool { return r.Name == secret.Name })
		return pulls && !slices.Contains(used, secret.Name)
	})
	return s
}
