package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/adamant-sh/adamant/test/web"
)

// TestDaemonScript runs the scripts of testdata/daemon with the real program and a daemon
// of their own. They have the images adamant.test/one:1 and adamant.test/two:1, and
// $PRIVATE/web:1 in a registry for which the user "shop" has the password "open sesame".
// Each uses names that no other uses, and deletes its workloads.
func TestDaemonScript(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.load("one", "one", web.Good)
	s.load("two", "two", web.Good)
	private := s.privateRegistry("shop", "open sesame")
	// The subtests that testscript makes are parallel; they end with this one.
	t.Run("scripts", func(t *testing.T) {
		testscript.Run(t, testscript.Params{
			Dir: "testdata/daemon", RequireExplicitExec: true, RequireUniqueNames: true,
			Setup: func(env *testscript.Env) error {
				env.Setenv("PRIVATE", private)
				return s.setup(env)
			},
			Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": runWithCode, "until": runUntil, "json": checkJSON, "save": saveJSON},
		})
	})
}

// privateRegistry starts a registry with the image web:1, and returns its host and port.
func (s *served) privateRegistry(user, password string) string {
	s.t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, ok := r.BasicAuth(); !ok || u != user || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	s.t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	archive, err := s.images.Pack(s.t.Context(), "private", "private", web.Good)
	check(s.t, err)
	dir := s.t.TempDir()
	check(s.t, exec.Command("tar", "-xf", archive, "-C", dir).Run())
	index, err := layout.ImageIndexFromPath(dir)
	check(s.t, err)
	list, err := index.IndexManifest()
	check(s.t, err)
	img, err := index.Image(list.Manifests[0].Digest)
	check(s.t, err)
	at, err := name.ParseReference(host + "/web:1")
	check(s.t, err)
	check(s.t, remote.Write(at, img, remote.WithAuth(&authn.Basic{Username: user, Password: password})))
	return host
}
