//go:build cluster

package cluster

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"sigs.k8s.io/yaml"
)

// A podWriter writes pods that the API server accepts, with fields that rules look at.
type podWriter struct{ *rand.Rand }

// randomManifests returns Deployments with random pods, the same each time. The service
// account of a Deployment's pod does not have to exist.
func randomManifests(t *testing.T, n int) []policyManifest {
	t.Helper()
	w := podWriter{rand.New(rand.NewPCG(1, 2))}
	var all []policyManifest
	for i := range n {
		object := map[string]any{
			"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "random"},
			"spec": map[string]any{"template": map[string]any{"spec": w.pod()}},
		}
		text, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		// What is compared is read from the text by both.
		if object, err = toMap(text); err != nil {
			t.Fatal(err)
		}
		all = append(all, policyManifest{name: fmt.Sprintf("random#%d", i), text: text, object: object})
	}
	return all
}

// one returns one of some values.
func one[T any](w podWriter, values ...T) T { return values[w.IntN(len(values))] }

// maybe sets a field to one of some values, or leaves it out.
func (w podWriter) maybe(object map[string]any, field string, values ...any) {
	if i := w.IntN(len(values) + 1); i < len(values) {
		object[field] = values[i]
	}
}

func (w podWriter) pod() map[string]any {
	pod := map[string]any{}
	w.maybe(pod, "hostPID", true, false)
	w.maybe(pod, "hostIPC", true, false)
	w.maybe(pod, "hostNetwork", true, false)
	w.maybe(pod, "hostUsers", true)
	w.maybe(pod, "automountServiceAccountToken", true, false, false)
	w.maybe(pod, "serviceAccountName", "default", "web")
	w.maybe(pod, "nodeSelector", map[string]any{"kubernetes.io/os": one(w, "linux", "linux", "windows")}, map[string]any{"disk": "ssd"})
	w.maybe(pod, "affinity", nil, nil, w.affinity())
	volumes := w.volumes()
	pod["volumes"] = volumes
	for _, list := range []string{"initContainers", "containers"} {
		var containers []any
		for i := range w.IntN(3) + 1 {
			containers = append(containers, w.container(fmt.Sprintf("%c%d", list[0], i), volumes))
		}
		pod[list] = containers
	}
	return pod
}

func (w podWriter) affinity() map[string]any {
	var terms []any
	for range w.IntN(2) + 1 {
		terms = append(terms, map[string]any{"matchExpressions": []any{map[string]any{
			"key": one(w, "kubernetes.io/os", "beta.kubernetes.io/os", "disk"), "operator": one(w, "In", "NotIn"), "values": one(w, []any{"windows"}, []any{"linux", "windows"}),
		}}})
	}
	return map[string]any{"nodeAffinity": map[string]any{"requiredDuringSchedulingIgnoredDuringExecution": map[string]any{"nodeSelectorTerms": terms}}}
}

func (w podWriter) volumes() []any {
	var all []any
	for i := range w.IntN(5) + 1 {
		v := map[string]any{"name": fmt.Sprintf("v%d", i)}
		switch w.IntN(6) {
		case 0, 1:
			empty := map[string]any{}
			w.maybe(empty, "sizeLimit", "1Gi", "0", "0Mi", "1e3", 5)
			w.maybe(empty, "medium", "Memory")
			v["emptyDir"] = empty
		case 2:
			v["hostPath"] = map[string]any{"path": one(w, "/", "/run", "/var/run", "/var/run/docker.sock", "/run/containerd", "/var/log", "/var//run/./crio/", "/data")}
		case 3:
			claim := map[string]any{"claimName": "c"}
			w.maybe(claim, "readOnly", true, false)
			v["persistentVolumeClaim"] = claim
		case 4:
			v["configMap"] = map[string]any{"name": "c"}
		case 5:
			v["projected"] = map[string]any{"sources": []any{one(w,
				map[string]any{"configMap": map[string]any{"name": "c"}},
				map[string]any{"serviceAccountToken": map[string]any{"path": "token"}})}}
		}
		all = append(all, v)
	}
	return all
}

func (w podWriter) container(name string, volumes []any) map[string]any {
	c := map[string]any{"name": name, "image": one(w,
		"i", "i:latest", "i:1", "registry.example:5000/i", "registry.example:5000/i:2", pinned, "i:1@"+pinned[len("example.com/i@"):])}
	w.maybe(c, "imagePullPolicy", "Always", "IfNotPresent", "Never")
	w.maybe(c, "securityContext", w.securityContext())
	w.maybe(c, "command", []any{one(w, "/usr/bin/run", "/data/bin/run", "/app/./run", "run")})
	w.maybe(c, "env", []any{map[string]any{"name": "PATH", "value": one(w, "/plugins:/bin", "/data", "bin", "")}}, []any{map[string]any{"name": "A", "value": "/data"}})
	paths := []string{
		"/", "/tmp", "/usr/bin/", "/usr/lib/x", "/app", "/app//data", "/data", "/data/bin", "/plugins", "/etc", "/etc/ssl/./certs", "/opt/data", "/opt/x",
		"/var/lib", "/home/u/bin", "/srv/a/node_modules", "/usr/share", "etc", "usr/lib",
	}
	w.Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
	var mounts []any
	for i := range w.IntN(4) {
		v, _ := one(w, volumes...).(map[string]any)
		m := map[string]any{"name": v["name"], "mountPath": paths[i]}
		w.maybe(m, "readOnly", true, false)
		mounts = append(mounts, m)
	}
	if len(mounts) > 0 {
		c["volumeMounts"] = mounts
	}
	return c
}

// securityContext returns one without the combinations that an API server refuses.
func (w podWriter) securityContext() map[string]any {
	s := map[string]any{}
	w.maybe(s, "readOnlyRootFilesystem", true, true, false)
	w.maybe(s, "privileged", true, false, false)
	added := false
	if w.IntN(2) == 0 {
		names := one(w, []any{"SYS_ADMIN"}, []any{"CAP_SYS_ADMIN"}, []any{"NET_BIND_SERVICE"}, []any{"sys_module", "CHOWN"}, []any{"ALL"}, []any{"CAP_DAC_READ_SEARCH"}, []any{})
		s["capabilities"] = map[string]any{"add": names, "drop": []any{"ALL"}}
		added = len(names) > 0
	}
	if s["privileged"] != true && !added {
		w.maybe(s, "allowPrivilegeEscalation", true, false, false)
	}
	return s
}
