package manifest

import "strings"

// kindNames are the names that kubectl accepts for a kind, beside the kind
// itself.
var kindNames = map[string]string{
	"deployments": "Deployment", "deploy": "Deployment",
	"replicasets": "ReplicaSet", "rs": "ReplicaSet",
	"replicationcontrollers": "ReplicationController", "rc": "ReplicationController",
	"daemonsets": "DaemonSet", "ds": "DaemonSet",
	"statefulsets": "StatefulSet", "sts": "StatefulSet",
	"jobs":     "Job",
	"cronjobs": "CronJob", "cj": "CronJob",
	"pods": "Pod", "po": "Pod",
	"services": "Service", "svc": "Service",
	"ingresses": "Ingress", "ing": "Ingress",
	"configmaps": "ConfigMap", "cm": "ConfigMap",
	"secrets":                "Secret",
	"persistentvolumeclaims": "PersistentVolumeClaim", "pvc": "PersistentVolumeClaim",
}

// KindNamed returns the kind that has a name in kubectl, in upper or lower
// case: "Deployment" for "deployment", "deployments" and "deploy".
func KindNamed(name string) (kind string, ok bool) {
	name = strings.ToLower(name)
	if kind, ok := kindNames[name]; ok {
		return kind, true
	}
	for _, kind := range kindNames {
		if strings.ToLower(kind) == name {
			return kind, true
		}
	}
	return "", false
}
