package manifest

import "testing"

func TestKindNamed(t *testing.T) {
	for name, want := range map[string]string{
		"deploy": "Deployment", "deployments": "Deployment", "deployment": "Deployment", "Deployment": "Deployment",
		"STS": "StatefulSet", "cj": "CronJob", "job": "Job", "svc": "Service", "secrets": "Secret", "widget": "", "": "",
	} {
		if got, ok := KindNamed(name); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %t, want %q", name, got, ok, want)
		}
	}
}
