//go:build cluster

package cluster

import (
	"maps"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// stricter are the manifests that only Adamant refuses, each with the reason.
var stricter = map[string]string{
	"a Deployment's image with a blank":  "its pods would be refused",
	"a probe of a port that has no name": "the probe could never pass",
	"an affinity's seconds alone":        "requests go to any instance on one machine",
	"a Service without a selector":       "there are no Endpoints on one machine",
	"a Service of UDP":                   "only TCP is forwarded on one machine",
	"a Service of two protocols":         "only TCP is forwarded on one machine",
}

// TestValidationIsTheServers sends manifests that keep and that break each rule of
// validation to the real API server, which creates nothing, and expects the verdict
// of Parse.
func TestValidationIsTheServers(t *testing.T) {
	for name, text := range validated() {
		server := shared.cluster.Admit(t.Context(), []byte(text))
		own := verdict([]byte(text))
		_, deliberate := stricter[name]
		if deliberate && (server != nil || own == nil) {
			t.Errorf("%s: should be refused by Adamant only; the server's verdict is %v, Adamant's %v\n%s", name, server, own, text)
		} else if !deliberate && (server == nil) != (own == nil) {
			t.Errorf("%s: the server's verdict is %v, Adamant's %v\n%s", name, server, own, text)
		}
	}
}

// verdict returns the errors of a manifest. Services are checked where they are
// used.
func verdict(text []byte) error {
	f, err := manifest.Parse("rule.yaml", text)
	if err != nil {
		return err
	}
	if _, errs := f.Services(); len(errs) > 0 {
		return errs
	}
	return nil
}

// validated returns manifests by the rule that they keep or break.
func validated() map[string]string {
	all := podRules()
	for _, more := range []map[string]string{workloadRules(), jobRules(), serviceRules()} {
		maps.Copy(all, more)
	}
	return all
}

func podRules() map[string]string {
	pod := func(lines ...string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: rule}\nspec:\n  " + strings.Join(lines, "\n  ") + "\n"
	}
	const containers = "containers: [{name: a, image: i}]"
	container := func(fields string) string {
		return pod("containers: [{name: a, image: i, "+fields+"}]", "volumes: [{name: data, emptyDir: {}}]")
	}
	security := func(fields string) string { return container("securityContext: {" + fields + "}") }
	volume := func(source string) string { return pod(containers, "volumes: [{name: v, "+source+"}]") }
	return map[string]string{
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

		"a long deadline":                    pod(containers, "activeDeadlineSeconds: 3000000000"),
		"a subdomain":                        pod(containers, "subdomain: a.b"),
		"a service account's name":           pod(containers, "serviceAccountName: A"),
		"a node's name":                      pod(containers, "nodeName: A_b"),
		"a node selector":                    pod(containers, "nodeSelector: {disk: ssd}"),
		"a node selector's value":            pod(containers, "nodeSelector: {disk: a b}"),
		"a toleration of everything":         pod(containers, "tolerations: [{operator: Exists}]"),
		"a toleration without key":           pod(containers, "tolerations: [{operator: Equal, value: a}]"),
		"a toleration with a useless value":  pod(containers, "tolerations: [{key: a, operator: Exists, value: b}]"),
		"a toleration's effect":              pod(containers, "tolerations: [{key: a, operator: Exists, effect: Never}]"),
		"a toleration's seconds":             pod(containers, "tolerations: [{key: a, operator: Exists, effect: NoSchedule, tolerationSeconds: 1}]"),
		"preemptionPolicy":                   pod(containers, "preemptionPolicy: Always"),
		"an operating system":                pod(containers, "os: {name: plan9}"),
		"Linux":                              pod(containers, "os: {name: linux}"),
		"a readiness gate":                   pod(containers, "readinessGates: [{conditionType: a b}]"),
		"four name servers":                  pod(containers, "dnsConfig: {nameservers: [1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4]}"),
		"a search domain":                    pod(containers, "dnsConfig: {searches: ['a b']}"),
		"the root as search domain":          pod(containers, "dnsConfig: {searches: [., a_b.c., d]}"),
		"an option without name":             pod(containers, "dnsConfig: {options: [{value: a}]}"),
		"a host alias's name":                pod(containers, "hostAliases: [{ip: 1.2.3.4, hostnames: [a_b]}]"),
		"an address with leading zeros":      pod(containers, "hostAliases: [{ip: 1.2.3.04, hostnames: [a]}]"),
		"a sysctl's name":                    pod(containers, "securityContext: {sysctls: [{name: Kernel, value: '1'}]}"),
		"a sysctl with slashes":              pod(containers, "securityContext: {sysctls: [{name: net/ipv4/ip_local_port_range, value: '1024 65535'}]}"),
		"supplementalGroupsPolicy":           pod(containers, "securityContext: {supplementalGroupsPolicy: x}"),
		"a generated name":                   "apiVersion: v1\nkind: Pod\nmetadata: {generateName: rule-}\nspec: {containers: [{name: a, image: i}]}\n",
		"a generated name with a dot":        "apiVersion: v1\nkind: Pod\nmetadata: {generateName: rule.}\nspec: {containers: [{name: a, image: i}]}\n",
		"a namespace's name":                 "apiVersion: v1\nkind: Pod\nmetadata: {name: rule, namespace: A}\nspec: {containers: [{name: a, image: i}]}\n",
		"a name of 254 characters":           "apiVersion: v1\nkind: Pod\nmetadata: {name: " + strings.Repeat("a", 254) + "}\nspec: {containers: [{name: a, image: i}]}\n",
		"a label of 64 characters":           "apiVersion: v1\nkind: Pod\nmetadata: {name: rule, labels: {a: " + strings.Repeat("a", 64) + "}}\nspec: {containers: [{name: a, image: i}]}\n",
		"long annotations":                   "apiVersion: v1\nkind: Pod\nmetadata: {name: rule, annotations: {a: " + strings.Repeat("a", 256<<10) + "}}\nspec: {containers: [{name: a, image: i}]}\n",
		"an init container of the same name": pod(containers, "initContainers: [{name: a, image: i}]"),
		"host ports of two init containers":  pod(containers, "initContainers: [{name: b, image: i, ports: [{containerPort: 1, hostPort: 5}]}, {name: c, image: i, ports: [{containerPort: 1, hostPort: 5}]}]"),
		"a host port of a sidecar":           pod("containers: [{name: a, image: i, ports: [{containerPort: 1, hostPort: 5}]}]", "initContainers: [{name: b, image: i, restartPolicy: Always, ports: [{containerPort: 1, hostPort: 5}]}]"),
		"a host port of two protocols":       container("ports: [{containerPort: 1, hostPort: 5}, {containerPort: 1, hostPort: 5, protocol: UDP}]"),
		"a host port on hostNetwork":         pod("hostNetwork: true", "containers: [{name: a, image: i, ports: [{containerPort: 1, hostPort: 5}]}]"),
		"an init container's restartPolicy":  pod(containers, "initContainers: [{name: b, image: i, restartPolicy: Sometimes}]"),
		"a port's name twice":                container("ports: [{containerPort: 1, name: a}, {containerPort: 2, name: a}]"),
		"imagePullPolicy":                    container("imagePullPolicy: always"),
		"terminationMessagePolicy":           container("terminationMessagePolicy: x"),

		"an unknown resource":          container("resources: {limits: {disk: 1}}"),
		"a resource of a device":       container("resources: {limits: {example.com/gpu: 1}}"),
		"a device without limit":       container("resources: {requests: {example.com/gpu: 1}}"),
		"a half device":                container("resources: {limits: {example.com/gpu: 500m}}"),
		"fewer devices than the limit": container("resources: {requests: {example.com/gpu: 1}, limits: {example.com/gpu: 2}}"),
		"a device's name":              container("resources: {limits: {example.com/g pu: 1}}"),
		"huge pages alone":             container("resources: {limits: {hugepages-2Mi: 2Mi}}"),
		"huge pages and memory":        container("resources: {limits: {hugepages-2Mi: 2Mi, memory: 1Mi}}"),
		"a quantity":                   container("resources: {limits: {memory: 1MB}}"),
		"a quantity in words":          container("resources: {limits: {cpu: one}}"),
		"a negative limit":             container("resources: {limits: {cpu: -1}}"),
		"a tiny cpu":                   container("resources: {limits: {cpu: 1u}}"),

		"a probe's negative period":          container("livenessProbe: {periodSeconds: -1, exec: {command: [a]}}"),
		"a probe's period of zero":           container("livenessProbe: {periodSeconds: 0, exec: {command: [a]}}"),
		"a probe's command":                  container("livenessProbe: {exec: {}}"),
		"a probe's port in words":            container("livenessProbe: {tcpSocket: {port: '80'}}"),
		"a probe of a port that has no name": container("livenessProbe: {tcpSocket: {port: web}}"),
		"a probe of a port by name":          container("ports: [{containerPort: 1, name: web}], livenessProbe: {tcpSocket: {port: web}}"),
		"a probe's port out of range":        container("livenessProbe: {httpGet: {port: 65536}}"),
		"a probe's header":                   container("livenessProbe: {httpGet: {port: 80, httpHeaders: [{name: 'a b', value: c}]}}"),
		"a probe's grace period of zero":     container("livenessProbe: {terminationGracePeriodSeconds: 0, tcpSocket: {port: 1}}"),
		"a gRPC probe without port":          container("livenessProbe: {grpc: {service: a}}"),
		"a hook that sleeps long":            container("lifecycle: {preStop: {sleep: {seconds: 31}}}"),
		"a hook that sleeps":                 container("lifecycle: {preStop: {sleep: {seconds: 30}}}"),
		"a hook of an init container":        pod(containers, "initContainers: [{name: b, image: i, lifecycle: {preStop: {exec: {command: [a]}}}}]"),

		"envFrom":                     container("envFrom: [{configMapRef: {name: a}, prefix: B_}]"),
		"envFrom nothing":             container("envFrom: [{prefix: B_}]"),
		"envFrom both":                container("envFrom: [{configMapRef: {name: a}, secretRef: {name: a}}]"),
		"envFrom a bad name":          container("envFrom: [{configMapRef: {name: A}}]"),
		"envFrom without name":        container("envFrom: [{secretRef: {optional: true}}]"),
		"envFrom with a prefix":       container("envFrom: [{configMapRef: {name: a}, prefix: 'a='}]"),
		"a key's name":                container("env: [{name: a, valueFrom: {configMapKeyRef: {name: a, key: b/c}}}]"),
		"a ConfigMap's bad name":      container("env: [{name: a, valueFrom: {configMapKeyRef: {name: A, key: b}}}]"),
		"a Secret's key without name": container("env: [{name: a, valueFrom: {secretKeyRef: {key: b}}}]"),
		"a label of the downward API": container("env: [{name: a, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['a b']\"}}}]"),
		"all labels in a variable":    container("env: [{name: a, valueFrom: {fieldRef: {fieldPath: metadata.labels}}}]"),
		"an old version of a field":   container("env: [{name: a, valueFrom: {fieldRef: {apiVersion: v2, fieldPath: metadata.name}}}]"),
		"a divisor":                   container("env: [{name: a, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1Mi}}}]"),
		"a divisor of memory":         container("env: [{name: a, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}]"),
		"a resource of huge pages":    container("env: [{name: a, valueFrom: {resourceFieldRef: {resource: limits.hugepages-2Mi}}}]"),
		"a resource that is not":      container("env: [{name: a, valueFrom: {resourceFieldRef: {resource: limits.gpu}}}]"),
		"a variable without name":     container("env: [{value: a}]"),
		"two variables of one name":   container("env: [{name: a, value: b}, {name: a, value: c}]"),
		"a variable of two sources":   container("env: [{name: a, valueFrom: {fieldRef: {fieldPath: metadata.name}, secretKeyRef: {name: a, key: b}}}]"),

		"a volume's name":               pod(containers, "volumes: [{name: V, emptyDir: {}}]"),
		"a volume of no kind":           pod(containers, "volumes: [{name: v}]"),
		"huge pages as medium":          volume("emptyDir: {medium: HugePages-2Mi}"),
		"an empty claim":                volume("persistentVolumeClaim: {}"),
		"an ephemeral claim":            volume("ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}"),
		"an ephemeral claim of nothing": volume("ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce]}}}"),
		"a reserved name":               volume("configMap: {name: a, items: [{key: a, path: ..data}]}"),
		"a name with dots":              volume("configMap: {name: a, items: [{key: a, path: a..b}]}"),
		"a Secret's mode":               volume("secret: {secretName: a, defaultMode: 01000}"),
		"one path of two sources":       volume("projected: {sources: [{configMap: {name: a, items: [{key: a, path: b}]}}, {secret: {name: a, items: [{key: a, path: b}]}}]}"),
		"a short token":                 pod(containers, "serviceAccountName: default", "volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: a, expirationSeconds: 10}}]}}]"),
		"a downward file of two kinds":  volume("downwardAPI: {items: [{path: a, fieldRef: {fieldPath: metadata.name}, resourceFieldRef: {containerName: a, resource: limits.cpu}}]}"),
		"a downward file of nothing":    volume("downwardAPI: {items: [{path: a}]}"),
		"all labels in a file":          volume("downwardAPI: {items: [{path: a, fieldRef: {fieldPath: metadata.labels}}]}"),
		"a resource of no container":    volume("downwardAPI: {items: [{path: a, resourceFieldRef: {resource: limits.cpu}}]}"),
		"subPath and subPathExpr":       container("volumeMounts: [{name: data, mountPath: /a, subPath: b, subPathExpr: $(C)}]"),
		"an absolute subPath":           container("volumeMounts: [{name: data, mountPath: /a, subPath: /b}]"),
		"propagation":                   container("volumeMounts: [{name: data, mountPath: /a, mountPropagation: x}]"),

		"seccomp Localhost that leaves": security("seccompProfile: {type: Localhost, localhostProfile: ../a}"),
		"seccomp without type":          security("seccompProfile: {}"),
		"Unmasked":                      security("procMount: Unmasked"),

		"a TLS Secret without key":        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/tls\nstringData: {tls.crt: a}\n",
		"a TLS Secret":                    "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/tls\nstringData: {tls.crt: a, tls.key: b}\n",
		"a docker Secret":                 "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: '{\"auths\": {}}'}\n",
		"a docker Secret without JSON":    "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: a}\n",
		"a docker Secret without key":     "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/dockercfg\nstringData: {a: b}\n",
		"basic auth without either":       "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/basic-auth\n",
		"basic auth with a password":      "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/basic-auth\nstringData: {password: a}\n",
		"an SSH key that is empty":        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/ssh-auth\nstringData: {ssh-privatekey: ''}\n",
		"a token without account":         "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/service-account-token\n",
		"a Secret of a type of one's own": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: example.com/a\n",
		"a large ConfigMap":               "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: " + strings.Repeat("a", 1<<20+1) + "}\n",
		"a large Secret":                  "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: " + strings.Repeat("a", 1<<20+1) + "}\n",
	}
}

func workloadRules() map[string]string {
	object := func(kind, spec, labels, pod string) string {
		return "apiVersion: apps/v1\nkind: " + kind + "\nmetadata: {name: rule}\nspec:\n" + spec +
			"  template:\n    metadata: {labels: {" + labels + "}}\n    spec: {containers: [{name: c, image: i}]" + pod + "}\n"
	}
	with := func(kind string) func(lines ...string) string {
		return func(lines ...string) string {
			return object(kind, "  selector: {matchLabels: {a: b}}\n  "+strings.Join(append(lines, ""), "\n  ")+"\n", "a: b", "")
		}
	}
	deployment, set, daemon, replicas := with("Deployment"), with("StatefulSet"), with("DaemonSet"), with("ReplicaSet")
	all := map[string]string{
		"a Deployment's image with a blank": strings.Replace(deployment(), "image: i", "image: 'i '", 1),
		"a negative minReadySeconds":        deployment("minReadySeconds: -1"),
		"a negative revisionHistoryLimit":   deployment("revisionHistoryLimit: -1"),
		"a short deadline":                  deployment("minReadySeconds: 10", "progressDeadlineSeconds: 10"),
		"a wait as long as the deadline":    deployment("minReadySeconds: 600"),
		"a strategy":                        deployment("strategy: {type: Sideways}"),
		"Recreate":                          deployment("strategy: {type: Recreate}"),
		"Recreate with rollingUpdate":       deployment("strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}"),
		"both 0":                            deployment("strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}"),
		"both 0%":                           deployment("strategy: {rollingUpdate: {maxSurge: 0%, maxUnavailable: 0%}}"),
		"maxSurge alone":                    deployment("strategy: {rollingUpdate: {maxSurge: 0}}"),
		"maxSurge in words":                 deployment("strategy: {rollingUpdate: {maxSurge: many}}"),
		"maxSurge as a string":              deployment("strategy: {rollingUpdate: {maxSurge: '1'}}"),
		"maxSurge with a sign":              deployment("strategy: {rollingUpdate: {maxSurge: +5%}}"),
		"maxSurge of 120%":                  deployment("strategy: {rollingUpdate: {maxSurge: 120%}}"),
		"maxUnavailable of 120%":            deployment("strategy: {rollingUpdate: {maxUnavailable: 120%}}"),
		"maxUnavailable of 120":             deployment("strategy: {rollingUpdate: {maxUnavailable: 120}}"),
		"a negative maxUnavailable":         deployment("strategy: {rollingUpdate: {maxUnavailable: -1}}"),
		"paused":                            deployment("paused: true"),

		"podManagementPolicy":             set("podManagementPolicy: Serial"),
		"Parallel":                        set("podManagementPolicy: Parallel"),
		"a serviceName":                   set("serviceName: web"),
		"a serviceName with a dot":        set("serviceName: a.b"),
		"a serviceName in upper case":     set("serviceName: Web"),
		"negative ordinals":               set("ordinals: {start: -1}"),
		"OnDelete with rollingUpdate":     set("updateStrategy: {type: OnDelete, rollingUpdate: {partition: 1}}"),
		"a StatefulSet's strategy":        set("updateStrategy: {type: Recreate}"),
		"a negative partition":            set("updateStrategy: {rollingUpdate: {partition: -1}}"),
		"a StatefulSet's maxUnavailable":  set("updateStrategy: {rollingUpdate: {maxUnavailable: 0}}"),
		"a retention policy":              set("persistentVolumeClaimRetentionPolicy: {whenDeleted: Keep}"),
		"half a retention policy":         set("persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}"),
		"a claim":                         set("volumeClaimTemplates: [{metadata: {name: d}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]"),
		"a claim without modes":           set("volumeClaimTemplates: [{metadata: {name: d}, spec: {resources: {requests: {storage: 1Gi}}}}]"),
		"a claim without size":            set("volumeClaimTemplates: [{metadata: {name: d}, spec: {accessModes: [ReadWriteOnce]}}]"),
		"a claim of size 0":               set("volumeClaimTemplates: [{metadata: {name: d}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 0}}}}]"),
		"a claim's mode":                  set("volumeClaimTemplates: [{metadata: {name: d}, spec: {accessModes: [RWO], resources: {requests: {storage: 1Gi}}}}]"),
		"a claim's two modes":             set("volumeClaimTemplates: [{metadata: {name: d}, spec: {accessModes: [ReadWriteOncePod, ReadOnlyMany], resources: {requests: {storage: 1Gi}}}}]"),
		"a claim's class":                 set("volumeClaimTemplates: [{metadata: {name: d}, spec: {storageClassName: A, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]"),
		"a claim's volumeMode":            set("volumeClaimTemplates: [{metadata: {name: d}, spec: {volumeMode: Tape, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]"),
		"a claim without name":            set("volumeClaimTemplates: [{spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]"),
		"a claim and a volume":            set("volumeClaimTemplates: [{metadata: {name: d}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]"),
		"a negative history":              set("revisionHistoryLimit: -1"),
		"a StatefulSet's host name":       object("StatefulSet", "  selector: {matchLabels: {a: b}}\n", "a: b", ", hostname: A"),
		"a StatefulSet's name with a dot": strings.Replace(set(), "name: rule", "name: a.b", 1),
		"a StatefulSet's long name":       strings.Replace(set(), "name: rule", "name: "+strings.Repeat("a", 64), 1),
		"a Deployment's name with a dot":  strings.Replace(deployment(), "name: rule", "name: a.b", 1),

		"a DaemonSet's replicas":           daemon("replicas: 1"),
		"a DaemonSet's strategy":           daemon("updateStrategy: {type: Recreate}"),
		"a DaemonSet that waits":           daemon("updateStrategy: {type: OnDelete}"),
		"a DaemonSet's both":               daemon("updateStrategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 1}}"),
		"a DaemonSet's maxSurge":           daemon("updateStrategy: {rollingUpdate: {maxSurge: 1}}"),
		"a DaemonSet's maxSurge alone":     daemon("updateStrategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}"),
		"a DaemonSet's neither":            daemon("updateStrategy: {rollingUpdate: {maxUnavailable: 0}}"),
		"a DaemonSet's maxSurge of 120%":   daemon("updateStrategy: {rollingUpdate: {maxSurge: 120%, maxUnavailable: 0}}"),
		"a DaemonSet's negative history":   daemon("revisionHistoryLimit: -1"),
		"a DaemonSet's negative wait":      daemon("minReadySeconds: -1"),
		"a ReplicaSet's negative wait":     replicas("minReadySeconds: -1"),
		"a ReplicaSet's unknown field":     replicas("strategy: {}"),
		"a controller":                     "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: rule}\nspec: {template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}\n",
		"a controller without labels":      "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: rule}\nspec: {template: {spec: {containers: [{name: c, image: i}]}}}\n",
		"a controller without template":    "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: rule}\nspec: {selector: {a: b}}\n",
		"a controller of other labels":     "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: rule}\nspec: {selector: {c: d}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}\n",
		"a controller's negative replicas": "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: rule}\nspec: {replicas: -1, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}\n",
	}
	// What all kinds have in common.
	for _, kind := range []string{"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"} {
		plain := with(kind)
		selector := func(s string) string { return object(kind, "  selector: "+s+"\n", "a: b", "") }
		pod := func(fields string) string {
			return object(kind, "  selector: {matchLabels: {a: b}}\n", "a: b", ", "+fields)
		}
		for name, text := range map[string]string{
			"plain":                          plain(),
			"negative replicas":              plain("replicas: -1"),
			"no replicas":                    plain("replicas: 0"),
			"an unknown field":               plain("nope: 1"),
			"no selector":                    object(kind, "  minReadySeconds: 0\n", "a: b", ""),
			"an empty selector":              selector("{}"),
			"a selector of other labels":     selector("{matchLabels: {a: c}}"),
			"a selector of more labels":      selector("{matchLabels: {a: b, c: d}}"),
			"a selector's value":             selector("{matchLabels: {a: 'b c'}}"),
			"a selector's expression":        selector("{matchExpressions: [{key: a, operator: In, values: [b, c]}]}"),
			"a selector's operator":          selector("{matchExpressions: [{key: a, operator: Is, values: [b]}]}"),
			"a selector In nothing":          selector("{matchExpressions: [{key: a, operator: In}]}"),
			"a selector Exists with a value": selector("{matchExpressions: [{key: a, operator: Exists, values: [b]}]}"),
			"a selector of others":           selector("{matchExpressions: [{key: a, operator: NotIn, values: [b]}]}"),
			"no template":                    "apiVersion: apps/v1\nkind: " + kind + "\nmetadata: {name: rule}\nspec: {selector: {matchLabels: {a: b}}}\n",
			"a template's label":             object(kind, "  selector: {matchLabels: {a: b}}\n", "a: b, c: d e", ""),
			"restartPolicy Never":            pod("restartPolicy: Never"),
			"restartPolicy Always":           pod("restartPolicy: Always"),
			"a deadline":                     pod("activeDeadlineSeconds: 5"),
			"an init container":              pod("initContainers: [{name: d, image: i}]"),
			"a volume twice":                 pod("volumes: [{name: v, emptyDir: {}}, {name: v, emptyDir: {}}]"),
			"a mount of no volume":           pod("initContainers: [{name: d, image: i, volumeMounts: [{name: v, mountPath: /v}]}]"),
			"the same container twice":       pod("initContainers: [{name: c, image: i}]"),
			"a bad name":                     strings.Replace(plain(), "name: rule", "name: Rule", 1),
			"no name":                        strings.Replace(plain(), "name: rule", "labels: {a: b}", 1),
			"a bad label":                    strings.Replace(plain(), "{name: rule}", "{name: rule, labels: {'a b': c}}", 1),
		} {
			all[kind+": "+name] = text
		}
	}
	return all
}

func jobRules() map[string]string {
	template := func(policy, pod string) string {
		return "template: {spec: {restartPolicy: " + policy + ", containers: [{name: c, image: i}]" + pod + "}}"
	}
	jobOf := func(name, template string, fields ...string) string {
		return "apiVersion: batch/v1\nkind: Job\nmetadata: {name: " + name + "}\nspec: {" + strings.Join(append(fields, template), ", ") + "}\n"
	}
	job := func(fields ...string) string { return jobOf("rule", template("Never", ""), fields...) }
	indexed := func(fields ...string) string {
		return job(append([]string{"completionMode: Indexed, completions: 3"}, fields...)...)
	}
	failure := func(rule string) string { return job("podFailurePolicy: {rules: [" + rule + "]}") }
	cronOf := func(name string, job string, fields ...string) string {
		return "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: " + name + "}\nspec: {" + strings.Join(append(fields, "jobTemplate: {spec: {"+job+"}}"), ", ") + "}\n"
	}
	cron := func(fields ...string) string { return cronOf("rule", template("Never", ""), fields...) }
	all := map[string]string{
		"a Job":                          job(),
		"a Job OnFailure":                jobOf("rule", template("OnFailure", "")),
		"a Job Always":                   jobOf("rule", template("Always", "")),
		"a Job without restartPolicy":    jobOf("rule", "template: {spec: {containers: [{name: c, image: i}]}}"),
		"a Job with a deadline":          jobOf("rule", template("Never", ", activeDeadlineSeconds: 5")),
		"a Job without template":         "apiVersion: batch/v1\nkind: Job\nmetadata: {name: rule}\nspec: {}\n",
		"a negative backoffLimit":        job("backoffLimit: -1"),
		"negative parallelism":           job("parallelism: -1"),
		"no parallelism":                 job("parallelism: 0"),
		"negative completions":           job("completions: -1"),
		"a Job's negative deadline":      job("activeDeadlineSeconds: -1"),
		"a Job's deadline of 0":          job("activeDeadlineSeconds: 0"),
		"a negative time to live":        job("ttlSecondsAfterFinished: -1"),
		"completionMode":                 job("completionMode: Sorted"),
		"Indexed without completions":    job("completionMode: Indexed"),
		"Indexed":                        indexed(),
		"Indexed with a long name":       jobOf(strings.Repeat("a", 62), template("Never", ""), "completionMode: Indexed, completions: 3"),
		"Indexed with a dot":             jobOf("a.b", template("Never", ""), "completionMode: Indexed, completions: 3"),
		"a Job's name with a dot":        jobOf("a.b", template("Never", "")),
		"backoffLimitPerIndex":           indexed("backoffLimitPerIndex: 1"),
		"backoffLimitPerIndex elsewhere": job("backoffLimitPerIndex: 1"),
		"maxFailedIndexes":               indexed("backoffLimitPerIndex: 1, maxFailedIndexes: 1"),
		"maxFailedIndexes alone":         indexed("maxFailedIndexes: 1"),
		"more failed than there are":     indexed("backoffLimitPerIndex: 1, maxFailedIndexes: 4"),
		"successPolicy":                  indexed("successPolicy: {rules: [{succeededCount: 1}]}"),
		"successPolicy of nothing":       indexed("successPolicy: {rules: []}"),
		"successPolicy of too many":      indexed("successPolicy: {rules: [{succeededCount: 4}]}"),
		"successPolicy of indexes":       indexed("successPolicy: {rules: [{succeededIndexes: '0-1', succeededCount: 2}]}"),
		"successPolicy of more indexes":  indexed("successPolicy: {rules: [{succeededIndexes: '0-1', succeededCount: 3}]}"),
		"successPolicy of no indexes":    indexed("successPolicy: {rules: [{succeededIndexes: ''}]}"),
		"successPolicy's order":          indexed("successPolicy: {rules: [{succeededIndexes: '2,0'}]}"),
		"successPolicy's range":          indexed("successPolicy: {rules: [{succeededIndexes: '1-1'}]}"),
		"successPolicy's large index":    indexed("successPolicy: {rules: [{succeededIndexes: '3'}]}"),
		"much parallelism":               indexed("parallelism: 100001"),
		"many indexes":                   job("completionMode: Indexed, completions: 100001"),
		"many indexes with limits":       job("completionMode: Indexed, completions: 100001, backoffLimitPerIndex: 1"),
		"many indexes that may fail":     job("completionMode: Indexed, completions: 100001, backoffLimitPerIndex: 1, maxFailedIndexes: 10001"),
		"many indexes at a time":         job("completionMode: Indexed, completions: 100001, backoffLimitPerIndex: 1, maxFailedIndexes: 1, parallelism: 10001"),
		"too many failure rules":         failure(strings.Repeat("{action: Count, onExitCodes: {operator: In, values: [1]}}, ", 21)),
		"managedBy":                      job("managedBy: example.com/queue"),
		"managedBy without a domain":     job("managedBy: queue"),
		"managedBy with a long name":     job("managedBy: example.com/" + strings.Repeat("a", 60)),
		"successPolicy elsewhere":        job("successPolicy: {rules: [{succeededCount: 1}]}"),
		"podReplacementPolicy":           job("podReplacementPolicy: Never"),
		"podReplacementPolicy Failed":    job("podReplacementPolicy: Failed"),
		"a failure policy":               failure("{action: FailJob, onExitCodes: {operator: In, values: [1, 2]}}"),
		"a failure policy OnFailure":     jobOf("rule", template("OnFailure", ""), "podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [1]}}]}"),
		"a failure policy's action":      failure("{action: Stop, onExitCodes: {operator: In, values: [1]}}"),
		"a failure policy of nothing":    failure("{action: FailJob}"),
		"a failure policy of both":       failure("{action: FailJob, onExitCodes: {operator: In, values: [1]}, onPodConditions: [{type: DisruptionTarget}]}"),
		"a failure policy's condition":   failure("{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}"),
		"a failure policy's status":      failure("{action: Ignore, onPodConditions: [{type: DisruptionTarget, status: Maybe}]}"),
		"a failure policy's order":       failure("{action: FailJob, onExitCodes: {operator: In, values: [2, 1]}}"),
		"a failure policy's code twice":  failure("{action: FailJob, onExitCodes: {operator: In, values: [1, 1]}}"),
		"a failure policy In 0":          failure("{action: FailJob, onExitCodes: {operator: In, values: [0]}}"),
		"a failure policy NotIn 0":       failure("{action: FailJob, onExitCodes: {operator: NotIn, values: [0]}}"),
		"a failure policy's operator":    failure("{action: FailJob, onExitCodes: {operator: Is, values: [1]}}"),
		"a failure policy's container":   failure("{action: FailJob, onExitCodes: {containerName: x, operator: In, values: [1]}}"),
		"FailIndex elsewhere":            failure("{action: FailIndex, onExitCodes: {operator: In, values: [1]}}"),
		"a selector of one's own":        job("selector: {matchLabels: {a: b}}"),
		"a manual selector":              "apiVersion: batch/v1\nkind: Job\nmetadata: {name: rule}\nspec: {manualSelector: true, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}\n",
		"a manual selector of others":    job("manualSelector: true, selector: {matchLabels: {a: b}}"),
		"a manual selector that is not":  job("manualSelector: true"),
		"suspend":                        job("suspend: true"),
		"a CronJob's long name":          cronOf(strings.Repeat("a", 53), template("Never", ""), "schedule: '* * * * *'"),
		"a CronJob without schedule":     cron(),
		"a CronJob Always":               cronOf("rule", template("Always", ""), "schedule: '* * * * *'"),
		"a CronJob's negative limit":     cronOf("rule", "backoffLimit: -1, "+template("Never", ""), "schedule: '* * * * *'"),
		"a CronJob's selector":           cronOf("rule", "selector: {matchLabels: {a: b}}, "+template("Never", ""), "schedule: '* * * * *'"),
		"a CronJob's manual selector":    cronOf("rule", "manualSelector: true, "+template("Never", ""), "schedule: '* * * * *'"),
		"concurrencyPolicy":              cron("schedule: '* * * * *', concurrencyPolicy: Queue"),
		"concurrencyPolicy Forbid":       cron("schedule: '* * * * *', concurrencyPolicy: Forbid"),
		"a negative starting deadline":   cron("schedule: '* * * * *', startingDeadlineSeconds: -1"),
		"negative histories":             cron("schedule: '* * * * *', successfulJobsHistoryLimit: -1"),
		"a negative history of failures": cron("schedule: '* * * * *', failedJobsHistoryLimit: -1"),
		"a suspended CronJob":            cron("schedule: '* * * * *', suspend: true"),
	}
	for _, schedule := range []string{
		"* * * * *", "*/5 * * * *", "0 0 1 1 *", "0 0 * * 7", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "5-1 * * * *",
		"* * * *", "* * * * * *", "@hourly", "@every 1h", "@every x", "@never", "every day", "TZ=UTC * * * * *", "CRON_TZ=UTC * * * * *",
		"0 12 * JAN-MAR MON,WED", "*/0 * * * *", "? * * * *", "0 0 L * *", "TZ=0",
	} {
		all["the schedule "+schedule] = cron("schedule: '" + schedule + "'")
	}
	for _, zone := range []string{
		"Europe/Berlin", "Etc/UTC", "UTC", "Etc/GMT+5", "America/Argentina/Buenos_Aires", "", "Local", "local", "Mars/Olympus", "../etc/passwd",
		"/etc/localtime", "Europe//Berlin", "europe/berlin", "CET", "UTC+1", "Europe/Berlin ",
	} {
		all["the time zone "+zone] = cron("schedule: '* * * * *', timeZone: '" + zone + "'")
	}
	return all
}

func serviceRules() map[string]string {
	service := func(spec string) string {
		return "apiVersion: v1\nkind: Service\nmetadata: {name: rule}\nspec: {" + spec + "}\n"
	}
	port := func(fields string) string { return service("selector: {a: b}, ports: [{" + fields + "}]") }
	return map[string]string{
		"a Service":                        port("port: 80"),
		"a Service without ports":          service("selector: {a: b}"),
		"a Service without a selector":     service("ports: [{port: 80}]"),
		"a headless Service without ports": service("selector: {a: b}, clusterIP: None"),
		"a Service of another name":        service("type: ExternalName, externalName: a.example"),
		"a Service of UDP":                 port("port: 53, protocol: UDP"),
		"a Service of two protocols":       service("selector: {a: b}, ports: [{name: a, port: 53}, {name: b, port: 53, protocol: UDP}]"),
		"a Service's port of 0":            port("port: 0"),
		"a Service's port out of range":    port("port: 70000"),
		"a Service's protocol":             port("port: 80, protocol: HTTP"),
		"a Service's target":               port("port: 80, targetPort: web"),
		"a Service's target out of range":  port("port: 80, targetPort: 70000"),
		"a Service's target in upper case": port("port: 80, targetPort: Web"),
		"a Service's target in words":      port("port: 80, targetPort: '80'"),
		"a Service's port name":            port("port: 80, name: Web"),
		"a Service's unknown field":        port("port: 80, prot: TCP"),
		"two ports without names":          service("selector: {a: b}, ports: [{port: 80}, {port: 81}]"),
		"two ports of one name":            service("selector: {a: b}, ports: [{port: 80, name: a}, {port: 81, name: a}]"),
		"two ports of one number":          service("selector: {a: b}, ports: [{port: 80, name: a}, {port: 80, name: b}]"),
		"two ports":                        service("selector: {a: b}, ports: [{port: 80, name: a}, {port: 81, name: b}]"),
		"a node's port":                    port("port: 80, nodePort: 30000"),
		"a Service's selector":             service("selector: {a: b c}, ports: [{port: 80}]"),
		"a Service's type":                 service("type: Local, selector: {a: b}, ports: [{port: 80}]"),
		"session affinity":                 service("sessionAffinity: Always, selector: {a: b}, ports: [{port: 80}]"),
		"session affinity for 0 seconds":   service("sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 0}}, selector: {a: b}, ports: [{port: 80}]"),
		"an affinity's seconds alone":      service("sessionAffinityConfig: {clientIP: {timeoutSeconds: 5}}, selector: {a: b}, ports: [{port: 80}]"),
		"a Service's bad name":             strings.Replace(port("port: 80"), "name: rule", "name: Rule", 1),
		"a Service's name with a dot":      strings.Replace(port("port: 80"), "name: rule", "name: a.b", 1),
		"a Service's name of digits":       strings.Replace(port("port: 80"), "name: rule", "name: 1a", 1),
		"an appProtocol":                   port("port: 80, appProtocol: a b"),
	}
}
