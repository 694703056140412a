package image

import (
	"strings"
	"testing"
)

func TestParseReference(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for _, tt := range []struct{ in, full, name, familiar string }{
		{"nginx", "docker.io/library/nginx:latest", "docker.io/library/nginx:latest", "nginx:latest"},
		{"nginx:1.27", "docker.io/library/nginx:1.27", "docker.io/library/nginx:1.27", "nginx:1.27"},
		{"bitnami/redis", "docker.io/bitnami/redis:latest", "docker.io/bitnami/redis:latest", "bitnami/redis:latest"},
		{"index.docker.io/nginx", "docker.io/library/nginx:latest", "docker.io/library/nginx:latest", "nginx:latest"},
		{"ghcr.io/a/b:c", "ghcr.io/a/b:c", "ghcr.io/a/b:c", "ghcr.io/a/b:c"},
		{"localhost:5000/a", "localhost:5000/a:latest", "localhost:5000/a:latest", "localhost:5000/a:latest"},
		{"a@" + digest, "docker.io/library/a@" + digest, "docker.io/library/a@" + digest, "a@" + digest},
		{"a:1@" + digest, "docker.io/library/a:1@" + digest, "docker.io/library/a@" + digest, "a:1@" + digest},
	} {
		t.Run(tt.in, func(t *testing.T) {
			ref, err := ParseReference(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if ref.String() != tt.full || ref.Name() != tt.name || ref.Familiar() != tt.familiar {
				t.Errorf("got %s, %s, %s", ref, ref.Name(), ref.Familiar())
			}
		})
	}
	for _, bad := range []string{"", "UPPER", "a b", "a:", "a@sha256:abc", "http://a/b", strings.Repeat("a", 64), "-a", "a/../b"} {
		if ref, err := ParseReference(bad); err == nil {
			t.Errorf("%q was read as %s", bad, ref)
		}
	}
}

func FuzzParseReference(f *testing.F) {
	f.Add("nginx")
	f.Add("localhost:5000/a/b:c@sha256:" + strings.Repeat("a", 64))
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := ParseReference(s)
		if err != nil {
			return
		}
		if again, err := ParseReference(ref.String()); err != nil || again != ref {
			t.Errorf("%q is %s, which is %s, %v", s, ref, again, err)
		}
	})
}
