//go:build cluster

package cluster

import (
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// TestValidationIsTheServers sends a manifest for each rule of validation to the
// real API server, which creates nothing, and expects the verdict of Parse.
func TestValidationIsTheServers(t *testing.T) {
	pod := func(lines ...string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: rule}\nspec:\n  " + strings.Join(lines, "\n  ") + "\n"
	}
	const containers = "containers: [{name: a, image: i}]"
	container := func(fields string) string {
		return pod("containers: [{name: a, image: i, "+fields+"}]", "volumes: [{name: data, emptyDir: {}}]")
	}
	security := func(fields string) string { return container("securityContext: {" + fields + "}") }
	volume := func(source string) string { return pod(containers, "volumes: [{name: v, "+source+"}]") }
	for name, text := range map[string]string{
		"a pod":                       pod(containers),
		"no containers":               pod("containers: []"),
		"no image":                    pod("containers: [{name: a}]"),
		"an image with a blank":       pod("containers: [{name: a, image: a b}]"),
		"a name in upper case":        pod("containers: [{name: A, image: i}]"),
		"two of one name":             pod("containers: [{name: a, image: i}, {name: a, image: i}]"),
		"an unknown field":            pod(containers, "nope: 1"),
		"a label with a blank":        "apiVersion: v1\nkind: Pod\nmetadata: {name: rule, labels: {a: b c}}\nspec: {containers: [{name: a, image: i}]}\n",
		"an annotation in upper case": "apiVersion: v1\nkind: Pod\nmetadata: {name: rule, annotations: {A.b/c: d}}\nspec: {containers: [{name: a, image: i}]}\n",
		"a bad name":                  "apiVersion: v1\nkind: Pod\nmetadata: {name: Rule}\nspec: {containers: [{name: a, image: i}]}\n",

		"restartPolicy":                   pod(containers, "restartPolicy: always"),
		"dnsPolicy None":                  pod(containers, "dnsPolicy: None"),
		"a negative grace period":         pod(containers, "terminationGracePeriodSeconds: -1"),
		"no deadline":                     pod(containers, "activeDeadlineSeconds: 0"),
		"a host name":                     pod(containers, "hostname: A"),
		"hostPID and shared":              pod(containers, "hostPID: true", "shareProcessNamespace: true"),
		"a host alias":                    pod(containers, "hostAliases: [{ip: x}]"),
		"a negative fsGroup":              pod(containers, "securityContext: {fsGroup: -1}"),
		"fsGroupChangePolicy":             pod(containers, "securityContext: {fsGroupChangePolicy: x}"),
		"a sysctl twice":                  pod(containers, "securityContext: {sysctls: [{name: kernel.shm_rmid_forced, value: '1'}, {name: kernel.shm_rmid_forced, value: '0'}]}"),
		"a probe of an init container":    pod(containers, "initContainers: [{name: b, image: i, livenessProbe: {exec: {command: [a]}}}]"),
		"a probe of a sidecar":            pod(containers, "initContainers: [{name: b, image: i, restartPolicy: Always, livenessProbe: {exec: {command: [a]}}}]"),
		"a port out of range":             container("ports: [{containerPort: 70000}]"),
		"a port's name":                   container("ports: [{containerPort: 1, name: Web}]"),
		"a port's protocol":               container("ports: [{containerPort: 1, protocol: tcp}]"),
		"a host port twice":               container("ports: [{containerPort: 1, hostPort: 5}, {containerPort: 2, hostPort: 5}]"),
		"a request above the limit":       container("resources: {requests: {cpu: 2}, limits: {cpu: 1}}"),
		"a negative request":              container("resources: {requests: {memory: -1}}"),
		"a mount of no volume":            container("volumeMounts: [{name: x, mountPath: /a}]"),
		"a relative mount":                container("volumeMounts: [{name: data, mountPath: a}]"),
		"a mount with a colon":            container("volumeMounts: [{name: data, mountPath: '/a:b'}]"),
		"a mount twice":                   container("volumeMounts: [{name: data, mountPath: /a}, {name: data, mountPath: /a}]"),
		"a subPath that leaves":           container("volumeMounts: [{name: data, mountPath: /a, subPath: ../b}]"),
		"recursive without readOnly":      container("volumeMounts: [{name: data, mountPath: /a, recursiveReadOnly: Enabled}]"),
		"propagation, unprivileged":       container("volumeMounts: [{name: data, mountPath: /a, mountPropagation: Bidirectional}]"),
		"two actions":                     container("livenessProbe: {exec: {command: [a]}, tcpSocket: {port: 1}}"),
		"no action":                       container("livenessProbe: {periodSeconds: 1}"),
		"a probe's port":                  container("livenessProbe: {tcpSocket: {port: 0}}"),
		"a probe's scheme":                container("livenessProbe: {httpGet: {port: 80, scheme: http}}"),
		"two successes of a startupProbe": container("startupProbe: {successThreshold: 2, tcpSocket: {port: 1}}"),
		"a grace period of readiness":     container("readinessProbe: {terminationGracePeriodSeconds: 1, tcpSocket: {port: 1}}"),
		"an empty hook":                   container("lifecycle: {preStop: {}}"),
		"a variable's name":               container("env: [{name: 'a=b', value: c}]"),
		"a variable with a value and ref": container("env: [{name: a, value: c, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]"),
		"a field that is not":             container("env: [{name: a, valueFrom: {fieldRef: {fieldPath: metadata.nope}}}]"),

		"CAP_SYS_ADMIN without escalation": security("allowPrivilegeEscalation: false, capabilities: {add: [CAP_SYS_ADMIN]}"),
		"SYS_ADMIN without escalation":     security("allowPrivilegeEscalation: false, capabilities: {add: [SYS_ADMIN]}"),
		"privileged without escalation":    security("allowPrivilegeEscalation: false, privileged: true"),
		"a negative user":                  security("runAsUser: -1"),
		"procMount":                        security("procMount: x"),
		"seccomp Localhost without a file": security("seccompProfile: {type: Localhost}"),
		"seccomp RuntimeDefault with one":  security("seccompProfile: {type: RuntimeDefault, localhostProfile: x}"),
		"AppArmor with a file":             security("appArmorProfile: {type: Unconfined, localhostProfile: x}"),

		"a volume twice":            pod(containers, "volumes: [{name: v, emptyDir: {}}, {name: v, emptyDir: {}}]"),
		"a volume of two kinds":     volume("emptyDir: {}, hostPath: {path: /a}"),
		"a medium":                  volume("emptyDir: {medium: memory}"),
		"a negative size":           volume("emptyDir: {sizeLimit: -1}"),
		"a host path that leaves":   volume("hostPath: {path: /a/../b}"),
		"a host path's type":        volume("hostPath: {path: /a, type: x}"),
		"a ConfigMap without name":  volume("configMap: {items: []}"),
		"a key's absolute path":     volume("configMap: {name: c, items: [{key: a, path: /b}]}"),
		"a key's mode":              volume("configMap: {name: c, items: [{key: a, path: b, mode: 999}]}"),
		"a Secret without name":     volume("secret: {}"),
		"a source of nothing":       volume("projected: {sources: [{}]}"),
		"a downward field":          volume("downwardAPI: {items: [{path: a, fieldRef: {fieldPath: status.podIP}}]}"),
		"an image without name":     volume("image: {}"),
		"an image's pull policy":    volume("image: {reference: a, pullPolicy: Sometimes}"),
		"a ConfigMap's key":         "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a/b: c}\n",
		"a key in data and binary":  "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {d: e}\nbinaryData: {d: ''}\n",
		"a Secret's key":            "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a/b: c}\n",
		"a Secret that is not text": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {b: '%'}\n",
	} {
		server := shared.cluster.Admit(t.Context(), []byte(text))
		_, own := manifest.Parse("rule.yaml", []byte(text))
		if (server == nil) != (own == nil) {
			t.Errorf("%s: the server's verdict is %v, Adamant's %v\n%s", name, server, own, text)
		}
	}
}
