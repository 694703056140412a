package learn

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// keepers are the applications with data that should outlive the pod, and the
// reasons.
var keepers = map[string]string{
	"redis":           "Redis",
	"redis-user":      "Redis",
	"postgres":        "PostgreSQL",
	"postgres-initdb": "PostgreSQL",
	"mariadb":         "MySQL or MariaDB",
	"rabbitmq":        "Mnesia",
	"mosquitto":       "Mosquitto",
}

// checkVolumes checks the volumes of an application that was learned: all were
// measured, none is limited, and the right ones are durable.
func checkVolumes(t *testing.T, app string, volumes []profile.Volume) {
	t.Helper()
	durable := ""
	for _, v := range volumes {
		if v.Used < leastUsed || v.SizeLimit != "" || v.Medium != "" {
			t.Errorf("volume %s held %d bytes, limit %q, medium %q: want a measurement and neither of the others", v.MountPath, v.Used, v.SizeLimit, v.Medium)
		}
		if v.Durable != "" {
			durable = v.Durable
			t.Logf("%s: %s", v.MountPath, v.Durable)
		}
	}
	if want := keepers[app]; (want == "") != (durable == "") || !strings.HasPrefix(durable, want) {
		t.Errorf("durable: %q, want %q", durable, want)
	}
}

func TestRecordUse(t *testing.T) {
	sealed := parseWorkload(t, `apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  containers:
  - {name: a, image: i, volumeMounts: [{name: tmp, mountPath: /tmp}, {name: run, mountPath: /run}, {name: data, mountPath: /data}, {name: gone, mountPath: /gone}, {name: srv, mountPath: /srv}]}
  - {name: b, image: i, volumeMounts: [{name: data, mountPath: /tmp}]}
  volumes: [{name: tmp}, {name: run}, {name: data}, {name: gone}, {name: srv}]
`)
	p := profile.Profile{Containers: []profile.Container{{
		Name:   "a",
		Writes: []profile.Write{{Path: "/run/*", Bytes: 8 << 20}, {Path: "/srv/open", Bytes: 6 << 20}, {Path: "/srv2", Bytes: 8 << 20}},
		Volumes: []profile.Volume{
			{MountPath: "/data", Used: 9 << 20}, {MountPath: "/gone"}, {MountPath: "/run"}, {MountPath: "/srv"}, {MountPath: "/tmp"},
		},
	}}}
	recordUse(&p, sealed, trial{
		Used: map[string]int64{"tmp": 8192, "run": 0, "data": 1 << 20, "srv": 4096},
		Traces: []trace.Trace{
			{Container: "a", Accesses: []trace.Access{
				{Op: trace.Tmpfile, Path: "/tmp", Mount: "/tmp", Bytes: 3 << 20},
				{Op: trace.Create, Path: "/tmp/x", Mount: "/tmp", Bytes: 5 << 20, Errno: "ENOSPC"},
				{Op: trace.Create, Path: "/data/x", Mount: "/data", Bytes: 2 << 20},
			}},
			{Container: "b", Accesses: []trace.Access{{Op: trace.Create, Path: "/tmp/y", Mount: "/tmp", Bytes: 7 << 20}}},
		},
	})
	got := map[string]int64{}
	for _, v := range p.Containers[0].Volumes {
		got[v.MountPath] = v.Used
	}
	// The largest removed file counts, an earlier and larger measurement stays, an
	// empty volume has one block, and what was not measured has no size.
	if diff := cmp.Diff(got, map[string]int64{"/tmp": 3 << 20, "/data": 9 << 20, "/run": leastUsed, "/gone": 0, "/srv": 6 << 20}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}
