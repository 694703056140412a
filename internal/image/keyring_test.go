package image

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKeyring(t *testing.T) {
	auth := func(user string) string { return base64.StdEncoding.EncodeToString([]byte(user + ":secret:word")) }
	config := func(servers ...string) map[string][]byte {
		var parts []string
		for _, s := range servers {
			parts = append(parts, fmt.Sprintf("%q: {%q: %q}", s, "auth", auth(s)))
		}
		return map[string][]byte{".dockerconfigjson": []byte(`{"auths": {` + strings.Join(parts, ",") + `}}`)}
	}
	for _, tt := range []struct {
		servers []string
		image   string
		want    []string
	}{
		{[]string{"registry.example"}, "registry.example/web:1", []string{"registry.example"}},
		{[]string{"https://registry.example/v2/"}, "registry.example/shop/web@sha256:" + strings.Repeat("0", 64), []string{"https://registry.example/v2/"}},
		{[]string{"registry.example"}, "registry.example:5000/web", nil},
		{[]string{"registry.example:5000"}, "registry.example:5000/web", []string{"registry.example:5000"}},
		{[]string{"registry.example/shop"}, "registry.example/other/web", nil},
		{[]string{"registry.example", "registry.example/shop"}, "registry.example/shop/web:1", []string{"registry.example/shop", "registry.example"}},
		{[]string{"*.example", "registry.example"}, "registry.example/web", []string{"registry.example", "*.example"}},
		{[]string{"*.example"}, "a.registry.example/web", nil},
		{[]string{"*.*.example"}, "a.registry.example/web", []string{"*.*.example"}},
		{[]string{"https://index.docker.io/v1/"}, "nginx", []string{"https://index.docker.io/v1/"}},
		{[]string{"docker.io"}, "docker.io/library/nginx:1", []string{"docker.io"}},
		{[]string{"https://index.docker.io/v1/"}, "registry.example/nginx", nil},
		{[]string{"["}, "registry.example/nginx", nil},
		{[]string{""}, "registry.example/nginx", nil},
	} {
		var k Keyring
		if err := k.Add("kubernetes.io/dockerconfigjson", config(tt.servers...)); err != nil {
			t.Errorf("%q: %v", tt.servers, err)
			continue
		}
		ref, err := ParseReference(tt.image)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range k.For(ref) {
			got = append(got, c.Username)
			// A password may have a colon, as a key that is a URL has one in this test.
			if !strings.HasSuffix(c.Username+":"+c.Password, ":secret:word") {
				t.Errorf("the password is %q", c.Password)
			}
		}
		want := tt.want
		for i, w := range want {
			want[i], _, _ = strings.Cut(w, ":")
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("%q for %s: -got +want\n%s", tt.servers, tt.image, diff)
		}
	}
}

// TestKeyringRefuses checks that errors never quote a Secret.
func TestKeyringRefuses(t *testing.T) {
	for _, tt := range []struct {
		kind, data string
		wrong      bool
	}{
		{"kubernetes.io/dockerconfigjson", `{"auths": {"a": {"auth": "hunter2"}}}`, true},
		{"kubernetes.io/dockerconfigjson", `hunter2`, true},
		{"kubernetes.io/dockerconfigjson", ``, true},
		{"kubernetes.io/dockercfg", `{"a": {"auth": "aHVudGVyMg=="}}`, true}, // no colon
		{"kubernetes.io/dockercfg", `{"a": {"username": "u", "password": "hunter2"}}`, false},
		{"kubernetes.io/dockercfg", `{"a": {"password": 5}}`, true},
		{"kubernetes.io/dockerconfigjson", `{}`, false},
		{"Opaque", `hunter2`, false},
	} {
		var k Keyring
		err := k.Add(tt.kind, map[string][]byte{".dockerconfigjson": []byte(tt.data), ".dockercfg": []byte(tt.data)})
		if (err != nil) != tt.wrong || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s %s: %v", tt.kind, tt.data, err)
		}
	}
}

func FuzzKeyring(f *testing.F) {
	f.Add([]byte(`{"auths": {"https://index.docker.io/v1/": {"auth": "dTpw"}}}`), "nginx")
	f.Add([]byte(`{"*.example:5000/shop": {"username": "u", "password": "p"}}`), "registry.example:5000/shop/web:1")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		ref, err := ParseReference(name)
		if err != nil {
			return
		}
		for _, kind := range []string{"kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"} {
			var k Keyring
			if k.Add(kind, map[string][]byte{".dockerconfigjson": data, ".dockercfg": data}) == nil && len(k.For(ref)) > len(k) {
				t.Error("more credentials than there are")
			}
		}
	})
}
