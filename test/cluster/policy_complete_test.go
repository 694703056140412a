//go:build cluster

package cluster

import (
	"fmt"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// refusedAnyway are the manifests that the API server refuses for another reason, with a part
// of its message. testdata/policies and random pods have the same fields in forms that it
// accepts.
var refusedAnyway = map[string]string{
	"automount-token#1":      "error looking up service account", // only Pods are refused for that
	"automount-token#2":      "error looking up service account",
	"exception-invalid#1":    "cannot unmarshal",
	"host-path-writable#0":   "cannot unmarshal",
	"image-not-pinned#2":     "cannot unmarshal",
	"in-place-update#2":      "unknown kind", // custom resources
	"in-place-update#5":      "cannot be handled as a StatefulSet",
	"in-place-update#6":      "unknown kind",
	"mutable-config#2":       "cannot be handled as a ConfigMap",
	"mutable-config#4":       "cannot unmarshal",
	"privilege-escalation#2": "cannot unmarshal",
	"privileged#0":           "cannot unmarshal",
	"proc-unmasked#0":        "securityContext.procMount",
	"root-not-read-only#2":   "ephemeralContainers",
	"root-not-read-only#3":   "cannot unmarshal",
	"root-not-read-only#11":  "spec.hostNetwork", // which processes of the host need
	"root-not-read-only#12":  "windows options cannot be set for a linux pod",
	"runtime-socket#1":       "must not contain '..'",
	"writable-over-code#0":   "must be unique",
}

// differs are the differences between policies and check, each with the reason.
var differs = map[string]string{}

// pinned is an image that no rule finds anything wrong with.
const pinned = "example.com/i@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// specOf returns the pod's spec of an object of a kind of Kubernetes, or nil.
func specOf(object map[string]any) map[string]any {
	at := []string{"spec", "template", "spec"}
	switch object["kind"] {
	case "Pod":
		at = at[:1]
	case "PodTemplate":
		at = at[1:]
	case "CronJob":
		at = append([]string{"spec", "jobTemplate"}, at...)
	}
	for _, name := range at {
		object, _ = object[name].(map[string]any)
	}
	return object
}

// complete adds what an API server requires, and no rule looks at.
func complete(object map[string]any) {
	kind, _ := object["kind"].(string)
	if kind == "Secret" && object["type"] == "kubernetes.io/service-account-token" {
		meta, _ := object["metadata"].(map[string]any)
		meta["annotations"] = map[string]any{"kubernetes.io/service-account.name": "default"}
	}
	if ref, ok := object["roleRef"].(map[string]any); ok {
		ref["apiGroup"] = "rbac.authorization.k8s.io"
		for _, s := range items(object, "subjects") {
			s["apiGroup"] = "rbac.authorization.k8s.io"
		}
	}
	pod := specOf(object)
	if pod == nil {
		return
	}
	spec, _ := object["spec"].(map[string]any)
	completePod(pod, items(spec, "volumeClaimTemplates"))
	labels := map[string]any{"app": "a"}
	switch kind {
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet":
		spec["selector"] = map[string]any{"matchLabels": labels}
		labelTemplate(spec, labels)
	case "ReplicationController":
		spec["selector"] = labels
		labelTemplate(spec, labels)
	case "Job":
		pod["restartPolicy"] = "Never"
	case "CronJob":
		spec["schedule"] = "0 0 * * *"
		pod["restartPolicy"] = "Never"
	}
	for _, claim := range items(spec, "volumeClaimTemplates") {
		claim["spec"] = map[string]any{"accessModes": []any{"ReadWriteOnce"}, "resources": map[string]any{"requests": map[string]any{"storage": "1Gi"}}}
	}
}

func labelTemplate(spec, labels map[string]any) {
	template, _ := spec["template"].(map[string]any)
	meta, _ := template["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		template["metadata"] = meta
	}
	meta["labels"] = labels
}

// completePod names containers that have no name as check does, and adds images. Volumes that
// are not there become ConfigMaps: check takes them for volumes that cannot be written, too.
func completePod(pod map[string]any, claims []map[string]any) {
	known := map[any]bool{}
	for _, v := range items(pod, "volumes") {
		known[v["name"]] = true
	}
	for _, c := range claims {
		meta, _ := c["metadata"].(map[string]any)
		known[meta["name"]] = true
	}
	volumes, _ := pod["volumes"].([]any)
	for _, list := range manifest.ContainerLists() {
		for i, c := range items(pod, list) {
			setMissing(c, "name", fmt.Sprintf("%s-%d", list, i))
			setMissing(c, "image", pinned)
			for _, m := range items(c, "volumeMounts") {
				if !known[m["name"]] {
					known[m["name"]] = true
					volumes = append(volumes, map[string]any{"name": m["name"], "configMap": map[string]any{"name": "c"}})
				}
			}
		}
	}
	if len(items(pod, "containers")) == 0 {
		pod["containers"] = []any{map[string]any{"name": "main", "image": pinned, "securityContext": map[string]any{"readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false}}}
	}
	if len(volumes) > 0 {
		pod["volumes"] = volumes
	}
}

func setMissing(object map[string]any, field string, value any) {
	if object[field] == nil {
		object[field] = value
	}
}

// items returns the mappings of a list.
func items(object map[string]any, field string) []map[string]any {
	list, _ := object[field].([]any)
	var all []map[string]any
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}
