package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// serveRegistry starts a registry and returns its host and port.
func serveRegistry(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func newRegistry() http.Handler { return registry.New(registry.Logger(log.New(io.Discard, "", 0))) }

// platformed returns an image for a platform.
func platformed(t *testing.T, os, architecture, variant string) v1.Image {
	t.Helper()
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: os, Architecture: architecture, Variant: variant})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestResolve(t *testing.T) {
	host := serveRegistry(t, newRegistry())
	at := func(reference string) name.Reference {
		ref, err := name.ParseReference(host + "/" + reference)
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	amd64 := platformed(t, "linux", "amd64", "")
	add := func(p *v1.Platform, img v1.Image) mutate.IndexAddendum {
		return mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: p}}
	}
	index := mutate.AppendManifests(empty.Index,
		add(&v1.Platform{OS: "linux", Architecture: "amd64"}, amd64),
		add(&v1.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}, platformed(t, "linux", "arm", "v6")),
		add(&v1.Platform{OS: "linux", Architecture: "386"}, platformed(t, "linux", "386", "")),
		add(&v1.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.1"}, platformed(t, "windows", "amd64", "")),
		add(&v1.Platform{OS: "unknown", Architecture: "unknown"}, platformed(t, "", "", "")), // an attestation
		add(nil, platformed(t, "linux", "s390x", "")),
	)
	for reference, err := range map[string]error{
		"index:1": remote.WriteIndex(at("index:1"), index),
		"one:1":   remote.Write(at("one:1"), amd64),
		"chart:1": remote.Write(at("chart:1"), platformed(t, "", "", "")),
	} {
		if err != nil {
			t.Fatal(reference, err)
		}
	}
	digest := func(of interface{ Digest() (v1.Hash, error) }) string {
		sum, err := of.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return sum.String()
	}
	tests := []struct {
		reference, digest string
		isIndex           bool
		platforms         string
		runs, runsNot     []string
	}{
		{"index:1", digest(index), true, "linux/amd64, linux/arm/v6, linux/386, windows/amd64",
			[]string{"linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm", "windows/amd64"}, []string{"linux/arm64", "linux/arm/v5", "linux/s390x"}},
		{"one:1", digest(amd64), false, "linux/amd64", []string{"linux/amd64", "linux/x86_64"}, []string{"linux/386", "linux/arm64"}},
		{"chart:1", digest(platformed(t, "", "", "")), false, "none", nil, []string{"linux/amd64"}},
	}
	for _, tt := range tests {
		t.Run(tt.reference, func(t *testing.T) {
			got, err := resolve(t, host+"/"+tt.reference)
			if err != nil {
				t.Fatal(err)
			}
			if got.Digest != tt.digest || got.IsIndex != tt.isIndex {
				t.Errorf("got %s, index %t, want %s, %t", got.Digest, got.IsIndex, tt.digest, tt.isIndex)
			}
			if d := cmp.Diff(got.Platforms(), tt.platforms); d != "" {
				t.Error(d)
			}
			for _, list := range []struct {
				platforms []string
				want      bool
			}{{tt.runs, true}, {tt.runsNot, false}} {
				for _, s := range list.platforms {
					p, err := ParsePlatform(s)
					if err != nil || got.Runs(p) != list.want {
						t.Errorf("runs on %s: %t, %v", s, !list.want, err)
					}
				}
			}
		})
	}
	t.Run("one image of an index", func(t *testing.T) {
		got, err := resolve(t, host+"/index:1")
		if one, ok := got.Find(digest(amd64)); err != nil || !ok || one.Platform.String() != "linux/amd64" {
			t.Errorf("got %+v, %t, %v", one, ok, err)
		}
		if _, ok := got.Find(got.Digest); ok {
			t.Error("the index is one of its images")
		}
	})
}

func resolve(t *testing.T, reference string) (Published, error) {
	t.Helper()
	ref, err := ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	return Resolve(t.Context(), ref)
}

// What a registry answers is bounded, and named if it is no image.
func TestResolveRefuses(t *testing.T) {
	const index = "application/vnd.oci.image.index.v1+json"
	tests := []struct {
		name, mediaType string
		status          int
		body            io.Reader
		want            string
	}{
		{"an endless index", index, 200, blanks{}, "beyond the limit of 8388608 for bytes of a document"},
		{"an endless error", "text/html", 500, blanks{}, "beyond the limit of 8388608 for bytes of a document"},
		{"millions of values", index, 200, strings.NewReader(`{"manifests":[` + strings.Repeat("{},", 1_000_000) + `{}]}`), "beyond the limit of 500000 for values in a document"},
		{"broken JSON", index, 200, strings.NewReader(`{"manifests":[`), "read index"},
		{"no image", "application/pdf", 200, strings.NewReader("x"), `the registry has "application/pdf" there, and no image`},
		{"not there", "text/plain", 404, strings.NewReader(""), "the registry does not have it"},
		{"forbidden", "text/plain", 403, strings.NewReader(""), "the registry refuses it to this user"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			host := serveRegistry(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" {
					return
				}
				w.Header().Set("Content-Type", tt.mediaType)
				w.WriteHeader(tt.status)
				_, _ = io.Copy(w, tt.body)
			}))
			_, err := resolve(t, host+"/x:1")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %.300v, want %s", err, tt.want)
			}
		})
	}
}

// blanks reads blanks without an end.
type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// A registry that does not answer ends a request after a time, and a caller ends it at once.
func TestRequestsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := documents{roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
		_, err := hangs.RoundTrip(httptest.NewRequest(http.MethodGet, "http://registry.example/v2/", nil))
		if err = explain(err); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(fmt.Sprint(err), "no answer within 30s") {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = hangs.RoundTrip(httptest.NewRequest(http.MethodGet, "http://registry.example/v2/", nil).WithContext(ctx))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestParsePlatform(t *testing.T) {
	for s, want := range map[string]string{
		"linux/amd64": "linux/amd64", "linux/x86_64": "linux/amd64", "linux/aarch64": "linux/arm64", "linux/arm": "linux/arm/v7", "linux/arm/v6": "linux/arm/v6",
		"arm64": "", "linux": "", "": "", "linux/": "", "linux/amd64/v1/x": "", "windows(10.0.17763)/amd64": "",
	} {
		got, err := ParsePlatform(s)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%q: got %s, %v, want %q", s, got, err, want)
		}
	}
}
