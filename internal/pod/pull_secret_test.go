package pod

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// privateRegistry starts a registry behind basic authentication, with one image, and
// returns the reference of the image.
func privateRegistry(t *testing.T, user, password string) string {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, ok := r.BasicAuth(); !ok || u != user || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	layer := must(random.Layer(1024, types.DockerLayer))
	img := must(mutate.AppendLayers(empty.Image, layer))
	config := must(img.ConfigFile())
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	img = must(mutate.ConfigFile(img, config))
	ref := strings.TrimPrefix(server.URL, "http://") + "/shop/web:1"
	at := must(name.ParseReference(ref))
	if err := remote.Write(at, img, remote.WithAuth(&authn.Basic{Username: user, Password: password})); err != nil {
		t.Fatal(err)
	}
	return ref
}

func pullSecret(name, server, user, password string) corev1.Secret {
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: fmt.Appendf(nil, `{"auths": {%q: {"auth": %q}}}`, server, auth)},
	}
}

// TestPullSecrets pulls an image from a registry that needs a password.
func TestPullSecrets(t *testing.T) {
	e := openTest(t)
	const password = "s3cret-of-the-test"
	ref := privateRegistry(t, "shop", password)
	host, _, _ := strings.Cut(ref, "/")
	t.Cleanup(func() { e.RemoveImage(t.Context(), ref) })
	elsewhere := pullSecret("good", host, "shop", password)
	elsewhere.Namespace = "elsewhere"
	broken := pullSecret("good", host, "shop", password)
	broken.Data[corev1.DockerConfigJsonKey] = []byte(password)
	const denied = "401|authorization failed" // containerd 1.6, 2.4
	for _, tt := range []struct {
		name    string
		refers  []string
		secrets []corev1.Secret
		events  string
		fails   string // expression for the error; empty if it is pulled
	}{
		{"none", nil, nil, "", denied},
		{"missing", []string{"gone"}, nil, "imagePullSecrets gone: no such Secret", denied},
		{"not referred to", nil, []corev1.Secret{pullSecret("good", host, "shop", password)}, "", denied},
		{"of another namespace", []string{"good"}, []corev1.Secret{elsewhere}, "imagePullSecrets good", denied},
		{"of another registry", []string{"other"}, []corev1.Secret{pullSecret("other", "registry.example", "shop", password)}, "", denied},
		{"no configuration", []string{"good"}, []corev1.Secret{broken}, "", "secret good: its content is not the JSON of a docker configuration"},
		{"wrong password", []string{"bad"}, []corev1.Secret{pullSecret("bad", host, "shop", "wrong")}, "", denied},
		{"the second of two", []string{"bad", "gone", "good"}, []corev1.Secret{pullSecret("bad", host+"/shop", "shop", "wrong"), pullSecret("good", host, "shop", password)}, "imagePullSecrets gone", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := PodSpec{Namespace: "default", Name: "private", Secrets: tt.secrets}
			for _, r := range tt.refers {
				s.Spec.ImagePullSecrets = append(s.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: r})
			}
			s.Spec.Containers = []corev1.Container{{Name: "web", Image: ref, ImagePullPolicy: corev1.PullIfNotPresent}}
			var said strings.Builder
			err := e.EnsureImages(t.Context(), s, func(e Event) { fmt.Fprintln(&said, e) })
			missing := new(MissingImageError)
			if tt.fails == "" && err != nil || tt.fails != "" && (!errors.As(err, &missing) || !regexp.MustCompile(tt.fails).MatchString(err.Error())) {
				t.Errorf("got %v, want %s", err, tt.fails)
			}
			if !strings.Contains(said.String(), tt.events) || tt.events == "" && strings.Contains(said.String(), "Secret") {
				t.Errorf("events: %s, want %s", said.String(), tt.events)
			}
			if err != nil {
				said.WriteString(err.Error())
			}
			if strings.Contains(said.String(), password) {
				t.Error("the password is in a message")
			}
		})
	}
}

// TestPullSecretsAreNotStored checks that the record of a pod has no credentials.
func TestPullSecretsAreNotStored(t *testing.T) {
	secret := pullSecret("good", "registry.example", "shop", "s3cret")
	other := corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "other"}}
	s := PodSpec{Secrets: []corev1.Secret{secret, other}, Spec: corev1.PodSpec{ImagePullSecrets: []corev1.LocalObjectReference{{Name: "good"}}}}
	if got := withoutPullSecrets(s).Secrets; len(got) != 1 || got[0].Name != "other" || len(s.Secrets) != 2 {
		t.Errorf("stored are %v", got)
	}
	s.Spec.Volumes = []corev1.Volume{{Name: "x", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "good"}}}}
	if got := withoutPullSecrets(s).Secrets; len(got) != 2 {
		t.Errorf("a Secret that a volume has is stored, too: got %v", got)
	}
}
