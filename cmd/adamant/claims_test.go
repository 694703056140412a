package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
	"github.com/adamant-sh/adamant/test/appimage"
)

// database returns a StatefulSet of redis. It gives up if another process has its files
// open.
func database(version, program string) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}, annotations: {adamant.sh/restart-backoff: 200ms}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: redis
        image: adamant.test/redis:1
        imagePullPolicy: Never
        command: [flock, -n, -F, /data/lock, %s]
        args: [--dir, /data, --appendonly, "yes", --appendfsync, always, --save, ""]
        env: [{name: VERSION, value: %q}]
        readinessProbe: {exec: {command: [redis-cli, ping]}, periodSeconds: 1}
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`, program, version)
}

// TestADatabaseKeepsItsData writes to a database before each thing that replaces its pod,
// while the daemon is killed. No two of its processes ever have its files open.
func TestADatabaseKeepsItsData(t *testing.T) {
	t.Parallel()
	s := serve(t)
	archive, err := appimage.Build(t.Context(), "redis")
	check(t, err)
	check(t, s.adamant("load", archive))
	file := filepath.Join(s.dir, "db.yaml")
	apply := func(version, program string) {
		t.Helper()
		check(t, os.WriteFile(file, []byte(database(version, program)), 0o600))
		check(t, s.adamant("apply", "-f", file))
	}
	ended := func(what string, want rollout.Phase) {
		t.Helper()
		if st := s.ended("db"); st.Phase != want || st.Instances[0].Name != "db-0" || st.Instances[0].Crashes > 0 {
			t.Fatalf("after %s it is %s (%s): %+v", what, st.Phase, st.Reason, st.Instances)
		}
	}
	var keys []string
	put := func(key string) {
		t.Helper()
		keys = append(keys, key)
		check(t, s.adamant("exec", "db-0", "--", "redis-cli", "set", key, "value of "+key))
	}
	keeps := func(what string) {
		t.Helper()
		for _, key := range keys {
			out, err := s.command("exec", "db-0", "--", "redis-cli", "get", key).CombinedOutput()
			if got := strings.TrimSpace(string(out)); err != nil || got != "value of "+key {
				t.Errorf("after %s %s is %q, %v", what, key, got, err)
			}
		}
	}

	apply("1", "redis-server")
	ended("the first apply", rollout.Complete)
	put("a")
	apply("2", "redis-server")
	s.kill() // perhaps between the end of the old pod and the start of the new one
	s.start()
	ended("a rollout", rollout.Complete)
	keeps("a rollout")

	put("b")
	apply("3", "/bin/false")
	s.kill()
	s.start()
	ended("a rollback", rollout.RolledBack)
	keeps("a rollback")

	put("c")
	before := s.ended("db").Instances[0].Made
	check(t, s.adamant("exec", "db-0", "--", "sh", "-c", "echo edited >>/etc/redis/redis.conf"))
	s.until("the edited pod is replaced", func() bool { return s.ended("db").Instances[0].Made.After(before) })
	ended("a replacement for drift", rollout.RolledBack)
	keeps("a replacement for drift")

	put("d")
	check(t, s.adamant("delete", "-f", file))
	apply("4", "redis-server")
	ended("a deletion", rollout.Complete)
	keeps("a deletion")
	check(t, s.adamant("delete", "-f", file, "--claims"))
	if left, err := os.ReadDir(filepath.Join(s.root, "claims")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
