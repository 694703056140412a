package manifest

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// problems parses a manifest and returns its errors without the file name.
func problems(t *testing.T, text string) []string {
	t.Helper()
	_, err := Parse("x", []byte(text))
	if err == nil {
		return nil
	}
	var errs Errors
	if !errors.As(err, &errs) {
		t.Fatal(err)
	}
	var list []string
	for _, e := range errs {
		list = append(list, strings.TrimPrefix(e.Error(), "x:"))
	}
	return list
}

func podSpec(lines ...string) string {
	text := "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers: [{name: a, image: i}]\n"
	for _, line := range lines {
		text += "  " + line + "\n"
	}
	return text
}

func TestValidateContainer(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  []string
	}{
		{"nothing wrong", []string{"ports: [{containerPort: 80, name: http}]", "livenessProbe: {httpGet: {port: http}}", "lifecycle: {preStop: {sleep: {seconds: 1}}}"}, nil},
		{"ports", []string{"ports:", "- {containerPort: 0, name: a}", "- {containerPort: 70000, name: a}", "- {containerPort: 1, hostPort: 8}", "- {containerPort: 2, hostPort: 8, hostIP: x}", "- {containerPort: 2, hostPort: 8, protocol: tcp}", "- {containerPort: 2, hostPort: 8}"}, []string{
			`10:8: spec.containers[0].ports[0].containerPort: required`,
			`11:8: spec.containers[0].ports[1].containerPort: 70000 is not between 1 and 65535`,
			`11:30: spec.containers[0].ports[1].name: another port is named "a"`,
			`13:39: spec.containers[0].ports[3].hostIP: "x" is not an IP address`,
			`14:39: spec.containers[0].ports[4].protocol: "tcp" is none of TCP, UDP, SCTP (did you mean TCP?)`,
			`15:26: spec.containers[0].ports[5].hostPort: port 8 of the host is already taken by spec.containers[0].ports[2]`,
		}},
		{"env", []string{"env:", "- {value: a}", "- {name: A=B}", "- {name: A, value: b, valueFrom: {}}", "- {name: A, valueFrom: {fieldRef: {fieldPath: spec.x}}}", "- {name: A, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['x']\"}, configMapKeyRef: {name: a}}}", "- {name: A, valueFrom: {resourceFieldRef: {resource: limits.gpu}}}", "envFrom: [{}, {secretRef: {}}]"}, []string{
			`10:7: spec.containers[0].env[0].name: required`,
			`11:8: spec.containers[0].env[1].name: "A=B": a valid environment variable name must consist only of printable ASCII characters other than '='`,
			`12:27: spec.containers[0].env[2].valueFrom: cannot be set together with value`,
			`12:27: spec.containers[0].env[2].valueFrom: exactly one source must be set, not 0`,
			`13:40: spec.containers[0].env[3].valueFrom.fieldRef.fieldPath: "spec.x" cannot be referred to (allowed are metadata.name, metadata.namespace, metadata.uid, spec.nodeName, spec.serviceAccountName, status.hostIP, status.hostIPs, status.podIP, status.podIPs, and metadata.labels['key'] and metadata.annotations['key'])`,
			`14:17: spec.containers[0].env[4].valueFrom: exactly one source must be set, not 2`,
			`14:76: spec.containers[0].env[4].valueFrom.configMapKeyRef.key: required`,
			`15:48: spec.containers[0].env[5].valueFrom.resourceFieldRef.resource: "limits.gpu" is none of limits.cpu, limits.memory, limits.ephemeral-storage, requests.cpu, requests.memory, requests.ephemeral-storage`,
			`16:15: spec.containers[0].envFrom[0]: one of configMapRef and secretRef is required`,
			`16:20: spec.containers[0].envFrom[1].secretRef.name: required`,
		}},
		{"resources", []string{"resources:", "  limits: {cpu: 1, memory: -1}", "  requests: {cpu: 1500m}"}, []string{
			`10:24: spec.containers[0].resources.limits.memory: -1 is negative`,
			`11:18: spec.containers[0].resources.requests.cpu: 1500m is more than the limit of 1`,
		}},
		{"mounts", []string{"volumeMounts:", "- {name: dta, mountPath: a}", "- {name: data, mountPath: /a, subPath: ../b}", "- {name: data, mountPath: /a, mountPropagation: Bidirectional}", "- {name: data}", "- {name: data, mountPath: '/b:c', recursiveReadOnly: Enabled}"}, []string{
			`10:8: spec.containers[0].volumeMounts[0].name: there is no volume "dta" (did you mean data?)`,
			`11:35: spec.containers[0].volumeMounts[1].subPath: "../b" must not contain ..`,
			`12:20: spec.containers[0].volumeMounts[2].mountPath: "/a" is mounted twice`,
			`12:35: spec.containers[0].volumeMounts[2].mountPropagation: Bidirectional is only for privileged containers`,
			`13:7: spec.containers[0].volumeMounts[3].mountPath: required`,
			`14:39: spec.containers[0].volumeMounts[4].recursiveReadOnly: needs readOnly: true`,
		}},
		{"probes", []string{"livenessProbe: {exec: {command: [a]}, tcpSocket: {port: 1}}", "readinessProbe: {terminationGracePeriodSeconds: 1, httpGet: {port: \"80\", scheme: http}}", "startupProbe: {successThreshold: 2, grpc: {port: 0}}", "lifecycle: {postStart: {}}"}, []string{
			`9:5: spec.containers[0].livenessProbe: exactly one action must be set, not 2`,
			`10:22: spec.containers[0].readinessProbe.terminationGracePeriodSeconds: not for a readinessProbe, which ends nothing`,
			`10:66: spec.containers[0].readinessProbe.httpGet.port: the container has no port named "80" (write 80 without quotes)`,
			`10:78: spec.containers[0].readinessProbe.httpGet.scheme: "http" is none of HTTP, HTTPS (did you mean HTTP?)`,
			`11:20: spec.containers[0].startupProbe.successThreshold: must be 1 for a startupProbe`,
			`11:48: spec.containers[0].startupProbe.grpc.port: 0 is not between 1 and 65535`,
			`12:17: spec.containers[0].lifecycle.postStart: exactly one action must be set, not 0`,
		}},
		{"security", []string{"securityContext:", "  privileged: true", "  allowPrivilegeEscalation: false", "  capabilities: {add: [CAP_SYS_ADMIN]}", "  runAsUser: -1", "  procMount: x", "  seccompProfile: {type: Localhost}", "  appArmorProfile: {type: Unconfined, localhostProfile: x}"}, []string{
			`11:7: spec.containers[0].securityContext.allowPrivilegeEscalation: cannot be false together with privileged: true`,
			`11:7: spec.containers[0].securityContext.allowPrivilegeEscalation: cannot be false together with the capability CAP_SYS_ADMIN`,
			`13:7: spec.containers[0].securityContext.runAsUser: -1 is not between 0 and 2147483647`,
			`14:7: spec.containers[0].securityContext.procMount: "x" is none of Default, Unmasked`,
			`15:7: spec.containers[0].securityContext.seccompProfile.localhostProfile: required with type Localhost`,
			`16:43: spec.containers[0].securityContext.appArmorProfile.localhostProfile: only with type Localhost`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := pod(tt.lines...) + "  volumes: [{name: data, emptyDir: {}}]\n"
			if diff := cmp.Diff(problems(t, text), tt.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

func TestValidatePod(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"no containers", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}\n", []string{"4:1: spec.containers: required: a pod needs at least one container"}},
		{"no name, no image", "apiVersion: v1\nkind: Pod\nspec: {containers: [{}]}\n", []string{
			"1:1: metadata.name: required",
			"3:21: spec.containers[0].name: required",
			"3:21: spec.containers[0].image: required",
		}},
		{"names", "apiVersion: v1\nkind: Pod\nmetadata: {name: A, labels: {a b: c d}}\nspec: {containers: [{name: a, image: 'a '}, {name: a, image: c}]}\n", []string{
			`3:12: metadata.name: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character`,
			`3:30: metadata.labels[a b]: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character`,
			`3:30: metadata.labels[a b]: "c d": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character`,
			`4:31: spec.containers[0].image: "a " begins or ends with white space`,
			`4:46: spec.containers[1].name: another container is named "a"`,
		}},
		{"init containers", podSpec("initContainers:", "- {name: b, image: i, livenessProbe: {exec: {command: [a]}}}", "- {name: c, image: i, restartPolicy: Always, livenessProbe: {exec: {command: [a]}}}"), []string{
			"7:25: spec.initContainers[0].livenessProbe: only for init containers with restartPolicy: Always",
		}},
		{"pod fields", podSpec("restartPolicy: always", "dnsPolicy: None", "terminationGracePeriodSeconds: -1", "activeDeadlineSeconds: 0", "hostname: A", "hostPID: true", "shareProcessNamespace: true", "hostAliases: [{ip: x}]", "securityContext: {fsGroup: -1, fsGroupChangePolicy: x, sysctls: [{name: a, value: b}, {name: a, value: c}]}"), []string{
			`6:3: spec.restartPolicy: "always" is none of Always, OnFailure, Never (did you mean Always?)`,
			`7:3: spec.dnsPolicy: None needs a name server (name one in dnsConfig.nameservers)`,
			`9:3: spec.activeDeadlineSeconds: must be at least 1`,
			`10:3: spec.hostname: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character`,
			`12:3: spec.shareProcessNamespace: cannot be set together with hostPID`,
			`13:18: spec.hostAliases[0].ip: "x" is not an IP address`,
			`14:21: spec.securityContext.fsGroup: -1 is not between 0 and 2147483647`,
			`14:34: spec.securityContext.fsGroupChangePolicy: "x" is none of OnRootMismatch, Always`,
			`14:90: spec.securityContext.sysctls[1].name: "a" is set twice`,
		}},
		{"volumes", podSpec("volumes:", "- {name: a, emptyDir: {medium: memory}, hostPath: {path: /a}}", "- {name: a, hostPath: {path: /a/../b, type: x}}", "- {name: b, configMap: {items: [{key: a, path: /b, mode: 999}]}}", "- {name: c, projected: {sources: [{}, {downwardAPI: {items: [{path: a, fieldRef: {fieldPath: status.podIP}}]}}]}}", "- {name: d, emptyDir: {medium: memory, sizeLimit: -1}}", "- {name: e, secret: {}}", "- {name: f, image: {}}"), []string{
			`7:5: spec.volumes[0]: one kind of volume must be set, not 2`,
			`8:6: spec.volumes[1].name: another volume is named "a"`,
			`8:26: spec.volumes[1].hostPath.path: "/a/../b" must not contain ..`,
			`8:41: spec.volumes[1].hostPath.type: "x" is none of DirectoryOrCreate, Directory, FileOrCreate, File, Socket, CharDevice, BlockDevice`,
			`9:15: spec.volumes[2].configMap.name: required`,
			`9:44: spec.volumes[2].configMap.items[0].path: "/b" must be relative`,
			`9:54: spec.volumes[2].configMap.items[0].mode: 999 is not between 0 and 0777 (permissions are written in octal, as 0644)`,
			`10:85: spec.volumes[3].projected.sources[1].downwardAPI.items[0].fieldRef.fieldPath: "status.podIP" cannot be referred to (allowed are metadata.name, metadata.namespace, metadata.uid, metadata.labels, metadata.annotations, and metadata.labels['key'] and metadata.annotations['key'])`,
			`11:42: spec.volumes[4].emptyDir.sizeLimit: -1 is negative`,
			`12:15: spec.volumes[5].secret.secretName: required`,
			`13:15: spec.volumes[6].image.reference: required`,
		}},
		{"a Deployment", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  replicas: -1\n  selector: {matchLabels: {a: b}}\n  template: {spec: {restartPolicy: Never, activeDeadlineSeconds: 5, containers: [{name: a, image: b}]}}\n", []string{
			"5:3: spec.replicas: -1 is negative",
			"6:3: spec.selector: does not select the labels of the template",
			`7:21: spec.template.spec.restartPolicy: "Never" is none of Always`,
			"7:43: spec.template.spec.activeDeadlineSeconds: only for Pods and Jobs",
		}},
		{"a StatefulSet's claims", "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\nspec:\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    spec: {containers: [{name: a, image: b, volumeMounts: [{name: data, mountPath: /data}]}]}\n  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]\n", nil},
		{"a Job", "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: a, image: b}]}}}\n", []string{
			"4:19: spec.template.spec.restartPolicy: a Job must say OnFailure or Never (write restartPolicy: OnFailure, or Never)",
		}},
		{"a CronJob", "apiVersion: batch/v1\nkind: CronJob\nmetadata: {generateName: a}\nspec: {jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: b}]}}}}}\n", []string{
			"4:1: spec.schedule: required",
		}},
		{"a ConfigMap", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a/b: c, d: e}\nbinaryData: {d: ''}\n", []string{
			`4:8: data[a/b]: "a/b": a valid config key must consist of alphanumeric characters, '-', '_' or '.'`,
			`5:14: binaryData.d: also in data`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(problems(t, tt.text), tt.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

func workload(kind string, spec ...string) string {
	version := "apps/v1"
	if kind == "Job" || kind == "CronJob" {
		version = "batch/v1"
	}
	text := "apiVersion: " + version + "\nkind: " + kind + "\nmetadata: {name: a}\nspec:\n"
	for _, line := range spec {
		text += "  " + line + "\n"
	}
	return text
}

// TestValidateWorkload has the rules for each kind. TestValidationIsTheServers of
// test/cluster compares more of them with a kube-apiserver.
func TestValidateWorkload(t *testing.T) {
	const (
		pods = "template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}"
		jobs = "template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}"
	)
	keeps := func(kind string, spec ...string) string {
		return workload(kind, append(spec, "selector: {matchLabels: {a: b}}", pods)...)
	}
	claim := func(spec string) string {
		return keeps("StatefulSet", "volumeClaimTemplates: [{metadata: {name: d}, spec: {"+spec+"}}]")
	}
	cron := func(spec ...string) string {
		return workload("CronJob", append(spec, "jobTemplate: {spec: {"+jobs+"}}")...)
	}
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"a Deployment waits longer than the default deadline", keeps("Deployment", "minReadySeconds: 600"), []string{
			"4:1: spec.progressDeadlineSeconds: 600 is not larger than minReadySeconds, 600",
		}},
		{"a Deployment's percentage", keeps("Deployment", "strategy: {rollingUpdate: {maxSurge: +5%}}"), []string{
			`5:30: spec.strategy.rollingUpdate.maxSurge: "+5%": want a number or a percentage, 0 or more`,
		}},
		{"a DaemonSet", keeps("DaemonSet", "minReadySeconds: -1", "revisionHistoryLimit: -1", "updateStrategy: {rollingUpdate: {maxSurge: 120%}}"), []string{
			"5:3: spec.minReadySeconds: -1 is negative",
			"6:3: spec.revisionHistoryLimit: -1 is negative",
			"7:36: spec.updateStrategy.rollingUpdate.maxSurge: more than 100%",
			"7:36: spec.updateStrategy.rollingUpdate.maxSurge: only where maxUnavailable is 0; it is 1 (write maxUnavailable: 0)",
		}},
		{"a DaemonSet that replaces nothing", keeps("DaemonSet", "updateStrategy: {rollingUpdate: {maxUnavailable: 0}}"), []string{
			"5:36: spec.updateStrategy.rollingUpdate.maxUnavailable: maxSurge and maxUnavailable are both 0: nothing could be replaced (let one of the two be 1)",
		}},
		{"a DaemonSet's strategy", keeps("DaemonSet", "updateStrategy: {type: Recreate}"), []string{
			`5:20: spec.updateStrategy.type: "Recreate" is none of RollingUpdate, OnDelete`,
		}},
		{"a StatefulSet", keeps("StatefulSet", "podManagementPolicy: parallel", "serviceName: a.b", "ordinals: {start: -1}",
			"persistentVolumeClaimRetentionPolicy: {whenDeleted: Keep}", "updateStrategy: {rollingUpdate: {partition: -1, maxUnavailable: 0}}"), []string{
			`5:3: spec.podManagementPolicy: "parallel" is none of OrderedReady, Parallel (did you mean Parallel?)`,
			`6:3: spec.serviceName: "a.b": must not contain dots`,
			"7:14: spec.ordinals.start: -1 is negative",
			`8:42: spec.persistentVolumeClaimRetentionPolicy.whenDeleted: "Keep" is none of Retain, Delete`,
			"9:36: spec.updateStrategy.rollingUpdate.partition: -1 is negative",
			"9:51: spec.updateStrategy.rollingUpdate.maxUnavailable: must be more than 0",
		}},
		{"a StatefulSet that waits", keeps("StatefulSet", "updateStrategy: {type: OnDelete, rollingUpdate: {partition: 1}}"), []string{
			"5:36: spec.updateStrategy.rollingUpdate: not allowed where type is OnDelete",
		}},
		{"a StatefulSet's name", strings.Replace(keeps("StatefulSet"), "name: a", "name: a.b", 1), []string{
			`3:12: metadata.name: "a.b": must not contain dots`,
		}},
		{"a claim", claim("accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}"), nil},
		{"a claim of nothing", claim("volumeMode: Tape, storageClassName: A"), []string{
			"5:48: spec.volumeClaimTemplates[0].spec.accessModes: required",
			"5:48: spec.volumeClaimTemplates[0].spec.resources.requests.storage: required",
			`5:55: spec.volumeClaimTemplates[0].spec.volumeMode: "Tape" is none of Filesystem, Block`,
			`5:73: spec.volumeClaimTemplates[0].spec.storageClassName: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character`,
		}},
		{"a claim's modes", claim("accessModes: [ReadWriteOncePod, ReadOnlyMany, RWO], resources: {requests: {storage: 0}}"), []string{
			"5:55: spec.volumeClaimTemplates[0].spec.accessModes: ReadWriteOncePod cannot be combined with other modes",
			`5:101: spec.volumeClaimTemplates[0].spec.accessModes[2]: "RWO" is none of ReadWriteOnce, ReadOnlyMany, ReadWriteMany, ReadWriteOncePod`,
			"5:130: spec.volumeClaimTemplates[0].spec.resources.requests.storage: 0 is not more than 0",
		}},
		{"a Job", workload("Job", "backoffLimit: -1", "ttlSecondsAfterFinished: -1", "activeDeadlineSeconds: -1", "completionMode: Sorted", "podReplacementPolicy: Never", "selector: {matchLabels: {a: b}}", jobs), []string{
			"5:3: spec.backoffLimit: -1 is negative",
			"6:3: spec.ttlSecondsAfterFinished: -1 is negative",
			"7:3: spec.activeDeadlineSeconds: -1 is negative",
			`8:3: spec.completionMode: "Sorted" is none of NonIndexed, Indexed`,
			`9:3: spec.podReplacementPolicy: "Never" is none of Failed, TerminatingOrFailed`,
			"10:28: spec.selector.matchLabels.a: a cluster generates the selector of a Job (leave the selector out, or set manualSelector: true)",
		}},
		{"a Job that is not Indexed", workload("Job", "backoffLimitPerIndex: 1", "maxFailedIndexes: 1", "successPolicy: {rules: [{succeededCount: 1}]}", jobs), []string{
			"5:3: spec.backoffLimitPerIndex: only where completionMode is Indexed",
			"6:3: spec.maxFailedIndexes: only where completionMode is Indexed",
			"7:3: spec.successPolicy: only where completionMode is Indexed",
		}},
		{"an Indexed Job", workload("Job", "completionMode: Indexed", "maxFailedIndexes: 1", jobs), []string{
			"4:1: spec.backoffLimitPerIndex: required where maxFailedIndexes is set",
		}},
		{"a success policy", workload("Job", "completionMode: Indexed", "completions: 3", "successPolicy:", "  rules:", "  - {succeededIndexes: '0-1', succeededCount: 3}",
			"  - {succeededIndexes: '2,0'}", "  - {succeededIndexes: '1-3'}", "  - {succeededIndexes: '0,2', succeededCount: 2}", jobs), []string{
			"9:33: spec.successPolicy.rules[0].succeededCount: 3 is not between 0 and the number of indexes, 2",
			`10:8: spec.successPolicy.rules[1].succeededIndexes: "2,0" is no list of indexes below 3 in ascending order (write them as 1,3-5)`,
			`11:8: spec.successPolicy.rules[2].succeededIndexes: "1-3" is no list of indexes below 3 in ascending order (write them as 1,3-5)`,
		}},
		{"many indexes", workload("Job", "completionMode: Indexed", "completions: 2000000000", "parallelism: 10001", "backoffLimitPerIndex: 1", "managedBy: queue", jobs), []string{
			"4:1: spec.maxFailedIndexes: required where more than 100000 completions have a backoffLimitPerIndex",
			"7:3: spec.parallelism: 10001 is more than 10000",
			`9:3: spec.managedBy: "queue" is no name of a controller such as example.com/queue, of at most 63 characters`,
		}},
		{"a Job's failure policy", workload("Job", "podFailurePolicy:", "  rules:", "  - {action: Stop}", "  - {action: FailIndex, onExitCodes: {operator: Is, values: [2, 1], containerName: x}}",
			"  - {action: Ignore, onPodConditions: [{type: a b, status: Maybe}]}", jobs), []string{
			"7:7: spec.podFailurePolicy.rules[0]: one of onExitCodes and onPodConditions must be set",
			`7:8: spec.podFailurePolicy.rules[0].action: "Stop" is none of Count, FailIndex, FailJob, Ignore`,
			"8:8: spec.podFailurePolicy.rules[1].action: FailIndex requires backoffLimitPerIndex",
			`8:41: spec.podFailurePolicy.rules[1].onExitCodes.operator: "Is" is none of In, NotIn`,
			"8:55: spec.podFailurePolicy.rules[1].onExitCodes.values: must be in ascending order",
			`8:71: spec.podFailurePolicy.rules[1].onExitCodes.containerName: there is no container "x"`,
			`9:43: spec.podFailurePolicy.rules[2].onPodConditions[0].type: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character`,
			`9:54: spec.podFailurePolicy.rules[2].onPodConditions[0].status: "Maybe" is none of True, False, Unknown`,
		}},
		{"a Job's selector as a cluster generates it", workload("Job", "selector: {matchLabels: {batch.kubernetes.io/controller-uid: x}}", jobs), nil},
		{"a Job's own selector", workload("Job", "manualSelector: true", "selector: {matchLabels: {a: b}}", jobs), []string{
			"6:3: spec.selector: does not select the labels of the template",
		}},
		{"a CronJob", cron("schedule: 60 * * * *", "timeZone: Mars/Olympus", "concurrencyPolicy: forbid", "startingDeadlineSeconds: -1", "failedJobsHistoryLimit: -1"), []string{
			`5:3: spec.schedule: "60 * * * *": end of range (60) above maximum (59): 60`,
			`6:3: spec.timeZone: "Mars/Olympus" is no time zone (name one as Europe/Berlin)`,
			`7:3: spec.concurrencyPolicy: "forbid" is none of Allow, Forbid, Replace (did you mean Forbid?)`,
			"8:3: spec.startingDeadlineSeconds: -1 is negative",
			"9:3: spec.failedJobsHistoryLimit: -1 is negative",
		}},
		{"a CronJob's zone in its schedule", cron("schedule: TZ=UTC * * * * *"), []string{
			`5:3: spec.schedule: "TZ=UTC * * * * *": a time zone is not allowed in it (write it as timeZone)`,
		}},
		{"a CronJob's zone that is a path", cron("schedule: '@daily'", "timeZone: ../etc/passwd"), []string{
			`6:3: spec.timeZone: "../etc/passwd" is no time zone (name one as Europe/Berlin)`,
		}},
		{"a CronJob's zone", cron("schedule: '@daily'", "timeZone: Europe/Berlin"), nil},
		{"a Secret of a type", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: not-shown}\n", []string{
			"1:1: data[.dockerconfigjson]: not a JSON object",
		}},
		{"a TLS Secret", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/tls\nstringData: {tls.crt: a}\n", []string{
			"1:1: data[tls.key]: required in a Secret of type kubernetes.io/tls",
		}},
		{"a pod's place", podSpec("nodeSelector: {a: b c}", "tolerations: [{operator: Exists, value: a}, {key: a, effect: Never}, {value: b}]", "subdomain: a.b", "preemptionPolicy: Always"), []string{
			`6:18: spec.nodeSelector.a: "b c": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character`,
			"7:36: spec.tolerations[0].value: must be empty where operator is Exists",
			`7:56: spec.tolerations[1].effect: "Never" is none of NoSchedule, PreferNoSchedule, NoExecute`,
			"7:72: spec.tolerations[2].operator: must be Exists where key is empty",
			`8:3: spec.subdomain: "a.b": must not contain dots`,
			`9:3: spec.preemptionPolicy: "Always" is none of PreemptLowerPriority, Never`,
		}},
		{"a pod's resolver", podSpec("dnsConfig: {nameservers: [1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4], searches: [a b, .]}"), []string{
			"6:15: spec.dnsConfig.nameservers: 4, more than 3",
			`6:77: spec.dnsConfig.searches[0]: "a b": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character`,
		}},
		{"a pod's resources", podSpec("initContainers:", "- {name: b, image: i, resources: {limits: {disk: 1, example.com/gpu: 500m, hugepages-2Mi: 2Mi}, requests: {example.com/fpga: 1}}}"), []string{
			"7:25: spec.initContainers[0].resources: huge pages need cpu or memory, too",
			`7:46: spec.initContainers[0].resources.limits.disk: "disk" is none of cpu, memory, ephemeral-storage, hugepages-SIZE and DOMAIN/NAME`,
			"7:55: spec.initContainers[0].resources.limits[example.com/gpu]: 500m is not a whole number",
			"7:110: spec.initContainers[0].resources.requests[example.com/fpga]: needs the same limit",
		}},
		{"a pod's references", podSpec("initContainers:", "- name: b", "  image: i", "  envFrom: [{configMapRef: {name: A}, prefix: 'a='}]", "  env: [{name: a, valueFrom: {configMapKeyRef: {name: a, key: b/c}}}, {name: b, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1Mi}}}]"), []string{
			`9:31: spec.initContainers[0].envFrom[0].configMapRef.name: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character`,
			`9:41: spec.initContainers[0].envFrom[0].prefix: "a=": a valid environment variable name must consist only of printable ASCII characters other than '='`,
			`10:60: spec.initContainers[0].env[0].valueFrom.configMapKeyRef.key: "b/c": a valid config key must consist of alphanumeric characters, '-', '_' or '.'`,
			`10:136: spec.initContainers[0].env[1].valueFrom.resourceFieldRef.divisor: "1Mi" is none of 1m, 1`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(problems(t, tt.text), tt.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}
