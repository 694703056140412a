package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// needsIn returns the needs of the containers of test manifests, which are annotations of
// their objects: "need/CONTAINER: missing=/run wrote=/run,/tmp unknown=/data", or "fills".
func needsIn(d *manifest.Document) Needs {
	needs := Needs{}
	for i := range d.Objects {
		o := &d.Objects[i]
		for _, p := range o.Pods {
			for _, list := range manifest.ContainerLists() {
				for k, c := range p.Value.Get(list).Items() {
					v := o.Value.Get("metadata", "annotations", "need/"+c.Get("name").Text())
					if !v.Exists() {
						continue
					}
					if needs[o] == nil {
						needs[o] = map[string]Need{}
					}
					needs[o][fmt.Sprintf("%s.%s[%d]", p.Path, list, k)] = parseNeed(v.Text())
				}
			}
		}
	}
	return needs
}

func parseNeed(text string) Need {
	if text == "fills" {
		return Need{Fills: true}
	}
	lists := map[string][]string{}
	for _, field := range strings.Fields(text) {
		name, paths, _ := strings.Cut(field, "=")
		lists[name] = strings.Split(paths, ",")
	}
	need := Need{Profile: "the profile in web.profile", Unknown: "it is old", Wrote: func(dir string) (wrote, known bool) {
		return slices.Contains(lists["wrote"], dir), !slices.Contains(lists["unknown"], dir)
	}}
	for _, path := range lists["missing"] {
		need.Missing = append(need.Missing, NeededVolume{Path: path, Why: "create " + path + "/pid"})
	}
	return need
}

const profiledPod = `apiVersion: v1
kind: Pod
metadata:
  name: web
  annotations:
    need/c: wrote=/run unknown=/old
    adamant.sh/ignore.superfluous-volume: "until=2999-01-01; owner=o; reason=r"
spec:
  containers:
  - name: c
    volumeMounts:
    - {name: run, mountPath: /run}
    - {name: old, mountPath: /old}
  - name: without
    volumeMounts:
    - {name: x, mountPath: /x}
  volumes: [{name: run}, {name: old}, {name: x}]
`

// TestWithoutProfile checks that what cannot be decided is counted or noted, and that an
// exception for it is only unused where it could have been decided.
func TestWithoutProfile(t *testing.T) {
	rules, err := Select([]string{MissingVolume, SuperfluousVolume, ExceptionUnused})
	if err != nil {
		t.Fatal(err)
	}
	d := read(t, "x.yaml", profiledPod)[0]
	checker := Checker{Rules: rules, Today: "2026-11-30"}
	if r := checker.Check(&d); len(r.Findings) > 0 || r.Profiled != 0 || r.Containers != 2 {
		t.Errorf("without a profile: got %+v", r)
	}
	checker.Needs = needsIn(&d)
	r := checker.Check(&d)
	want := []string{"Pod web, container c: whether it needs volume old at /old is not known by the profile in web.profile: it is old"}
	if diff := cmp.Diff(r.Notes, want); diff != "" || r.Profiled != 1 {
		t.Errorf("%d containers have a profile, notes (-got +want):\n%s", r.Profiled, diff)
	}
	if len(r.Findings) != 1 || r.Findings[0].Rule != ExceptionUnused {
		t.Errorf("got %+v, want an unused exception", r.Findings)
	}
}
