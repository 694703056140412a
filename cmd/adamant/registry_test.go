package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/adamant-sh/adamant/internal/image"
)

// startRegistry starts a registry for scripts and returns what sets it up for one. It has
// web:1, an index for linux/amd64 and linux/arm64, and old:1, one image for linux/amd64. It
// refuses private:1, and has nothing else. $WEB, $WEB_AMD64 and $OLD are the digests.
func startRegistry(t *testing.T) func(*testscript.Env) {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v2/private/") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")

	amd64, arm64 := imageFor(t, "amd64"), imageFor(t, "arm64")
	web := v1.ImageIndex(empty.Index)
	for _, one := range []v1.Image{amd64, arm64} {
		config, err := one.ConfigFile()
		check(t, err)
		web = mutate.AppendManifests(web, mutate.IndexAddendum{Add: one, Descriptor: v1.Descriptor{Platform: config.Platform()}})
	}
	at := func(reference string) name.Reference {
		ref, err := name.ParseReference(host + "/" + reference)
		check(t, err)
		return ref
	}
	check(t, remote.WriteIndex(at("web:1"), web))
	check(t, remote.Write(at("old:1"), amd64))
	return func(env *testscript.Env) {
		env.Setenv("REGISTRY", host)
		for name, of := range map[string]interface{ Digest() (v1.Hash, error) }{"WEB": web, "WEB_AMD64": amd64, "OLD": amd64} {
			digest, err := of.Digest()
			check(t, err)
			env.Setenv(name, digest.String())
		}
	}
}

func imageFor(t *testing.T, architecture string) v1.Image {
	t.Helper()
	img, err := image.New(image.Config{Architecture: architecture})
	check(t, err)
	return img
}
