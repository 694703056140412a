package learn

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/manifest"
)

const shopText = `
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {selector: {matchLabels: {a: w}}, template: {metadata: {labels: {a: w}},
  spec: {initContainers: [{name: first, image: i}, {name: side, image: i, restartPolicy: Always}], containers: [{name: app, image: i}, {name: log, image: i}]}}}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {serviceName: db, selector: {matchLabels: {a: d}}, template: {metadata: {labels: {a: d}},
  spec: {containers: [{name: main, image: i}]}}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: cache}, spec: {containers: [{name: c, image: i}]}}
---
{apiVersion: v1, kind: ReplicationController, metadata: {name: old}, spec: {selector: {a: o}, template: {metadata: {labels: {a: o}}, spec: {containers: [{name: c, image: i}]}}}}
`

func parseWorkloads(t *testing.T, text string) []Workload {
	t.Helper()
	f, err := manifest.Parse("shop.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	all, err := Workloads(f)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLoadGoesToItsWorkload(t *testing.T) {
	shop := parseWorkloads(t, shopText)
	for _, tc := range []struct {
		name, flag, arg           string
		workload, container, what string
	}{
		{"short name", flagCommand, "deploy/web=run", "Deployment/default/web", "", "run"},
		{"container", flagCommand, "deployments/web/log=a=b c", "Deployment/default/web", "log", "a=b c"},
		{"sidecar", flagCommand, "Deployment/web/side=x", "Deployment/default/web", "side", "x"},
		{"pod of a StatefulSet", flagCommand, "po/db-0=psql -c 'a=1'", "StatefulSet/default/db", "", "psql -c 'a=1'"},
		{"its name alone", flagCommand, "db-0=psql", "StatefulSet/default/db", "", "psql"},
		{"name of a pod", flagCommand, "cache=save", "Pod/default/cache", "", "save"},
		{"a container of it", flagCommand, "db-0/main=x", "StatefulSet/default/db", "main", "x"},
		{"controller", flagCommand, "rc/old=x", "ReplicationController/default/old", "", "x"},
		{"path", flagHTTP, "sts/db=/a?b=c", "StatefulSet/default/db", "", "/a?b=c"},
		{"URL", flagHTTP, "po/cache=http://shop.test/?a=b", "Pod/default/cache", "", "http://shop.test/?a=b"},
	} {
		p, err := assignOne(tc.flag, tc.arg, shop)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if d := cmp.Diff([]string{p.workload, p.container, p.command + p.http, p.label}, []string{tc.workload, tc.container, tc.what, tc.arg}); d != "" {
			t.Errorf("%s (-got +want):\n%s", tc.name, d)
		}
	}
}

// TestLoadWithoutTarget checks that text with '=' in it is not mistaken for a
// target.
func TestLoadWithoutTarget(t *testing.T) {
	one := parseWorkloads(t, shopText)[:1]
	for flag, args := range map[string][]string{
		flagCommand: {"run", "A=b run", "web=1 run", "/bin/a=b", "./a/b=c", "sh -c 'x=1'", "curl http://a/?b=c", "dd if=/a of=/b", "--x=y"},
		flagHTTP:    {"/", "/a?b=c", ":80/a?b=c", "http://a-b.test/?c=d"},
	} {
		for _, arg := range args {
			p, err := assignOne(flag, arg, one)
			if err != nil || p.command+p.http != arg || p.workload != one[0].key() {
				t.Errorf("%s %q: got %+v, %v", flag, arg, p, err)
			}
		}
	}
}

// TestLoadOfOtherWorkloads checks that load is not given to a workload that it is
// not meant for.
func TestLoadOfOtherWorkloads(t *testing.T) {
	shop := parseWorkloads(t, shopText)
	pieces, err := Load{Commands: []string{"po/cache=a", "deploy/web=b", "db-0=c"}}.assign(shop)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range loadOf([]member{{workload: shop[0]}, {workload: shop[1]}}, pieces) {
		got = append(got, l.command)
	}
	if d := cmp.Diff(got, []string{"b", "c"}); d != "" {
		t.Errorf("load of web and db (-got +want):\n%s", d)
	}
}

func TestLoadForNoWorkload(t *testing.T) {
	shop := parseWorkloads(t, shopText)
	const has = "deployment/web, statefulset/db, pod/cache, replicationcontroller/old"
	for _, tc := range []struct{ name, arg, want string }{
		{"kind", "deplyo/web=x", `--exercise "deplyo/web=x": "deplyo" is no kind of workload; the manifest has ` + has},
		{"name", "deploy/wbe=x", `--exercise "deploy/wbe=x": the manifest has no deploy/wbe; it has ` + has},
		{"pod", "db-1=x", `--exercise "db-1=x": the manifest has no db-1; it has ` + has},
		{"container", "deploy/web/ap=x", `--exercise "deploy/web/ap=x": Deployment/web has no container "ap" that runs; it has side, app, log`},
		{"init container", "deploy/web/first=x", `--exercise "deploy/web/first=x": Deployment/web has no container "first" that runs; it has side, app, log`},
		{"nothing to run", "deploy/web=", `--exercise "deploy/web=": empty`},
		{"no target", "run", `--exercise "run": the manifest has several workloads: write which one is meant, as in --exercise 'deployment/web=run'; it has ` + has},
	} {
		_, err := Load{Commands: []string{tc.arg}}.Check(shop)
		var wrong *LoadError
		if !errors.As(err, &wrong) || err.Error() != tc.want {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
	if _, err := (Load{HTTP: []string{"deploy/web=x"}}).Check(shop); err == nil {
		t.Error("what is no path was accepted")
	}
}
