package pod

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestClaims(t *testing.T) {
	root := t.TempDir()
	claims, err := OpenClaims(root)
	if err != nil {
		t.Fatal(err)
	}
	one := Claim{Namespace: "shop", Name: "data.v1", Owner: "StatefulSet/db"}
	created, err := claims.Ensure(one)
	if err != nil || !created {
		t.Fatalf("created %t, %v", created, err)
	}
	file := filepath.Join(claims.Path("shop", "data.v1"), "file")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	// It is updated in place: its files stay, and so does who it was created for.
	again := Claim{Namespace: "shop", Name: "data.v1", Labels: map[string]string{"a": "b"}, Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}}}
	if created, err := claims.Ensure(again); err != nil || created {
		t.Fatalf("created %t, %v", created, err)
	}
	got, err := claims.Get("shop", "data.v1")
	if err != nil || got.Owner != "StatefulSet/db" || got.Labels["a"] != "b" || got.Created.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
	if n, err := claims.Usage("shop", "data.v1"); err != nil || n < 4096 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if info, err := os.Stat(filepath.Join(root, "claims")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("other users of the machine can reach the files: %v, %v", info.Mode(), err)
	}
	for _, name := range []string{"", ".", "..", "../data.v1", "a/b", ".new-1", "A"} {
		if _, err := claims.Ensure(Claim{Namespace: "shop", Name: name}); err == nil {
			t.Errorf("a claim can be named %q", name)
		}
		if err := claims.Remove("shop", name); err == nil {
			t.Errorf("claim %q was removed", name)
		}
	}
	// A process that was killed left halves of claims.
	halves := func() {
		for _, name := range []string{".new-x", ".removed-x"} {
			if err := os.MkdirAll(filepath.Join(root, "claims", "shop", name, "data"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	halves()
	if err := claims.removeRests(); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(root, "claims", "*", "*")); err != nil || len(left) != 1 {
		t.Errorf("after a killed process there are %v, %v", left, err)
	}
	halves()
	// A record that cannot be read is shown, and its files stay.
	if _, err := claims.Ensure(Claim{Namespace: "shop", Name: "torn"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "claims", "shop", "torn", "claim.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := claims.List()
	if err != nil || len(list) != 2 || list[0].Name != "data.v1" || list[1].Err() == nil {
		t.Errorf("got %+v, %v", list, err)
	}
	if _, err := claims.Ensure(Claim{Namespace: "shop", Name: "torn"}); err == nil {
		t.Error("a claim with a torn record was created again")
	}
	for _, name := range []string{"data.v1", "torn"} {
		if err := claims.Remove("shop", name); err != nil {
			t.Error(err)
		}
	}
	if err := claims.Remove("shop", "torn"); !errors.Is(err, ErrNoClaim) {
		t.Errorf("removed twice: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(root, "claims")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
