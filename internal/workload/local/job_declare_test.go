package local

import (
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// TestJobsAreRefused checks the errors for what a Job or CronJob cannot have here: the
// file, the line and the field.
func TestJobsAreRefused(t *testing.T) {
	pod := func(indent, more string) string {
		text := "template:\n  " + more + "\n  spec:\n    restartPolicy: Never\n    containers:\n    - {name: a, image: a, ports: [{containerPort: 80, hostPort: 80}]}\n"
		return indent + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+indent) + "\n"
	}
	job := func(meta, fields, template string) string {
		return "apiVersion: batch/v1\nkind: Job\nmetadata: {name: x" + meta + "}\nspec:\n  " + fields + "\n" + pod("  ", template)
	}
	cronJob := func(meta, fields, jobMeta string) string {
		return "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: x" + meta + "}\nspec:\n  schedule: '@daily'\n  " + fields +
			"\n  jobTemplate:\n    metadata: {" + jobMeta + "}\n    spec:\n" + pod("      ", "")
	}
	annotated := func(text string) string { return ", annotations: {" + text + "}" }
	for name, test := range map[string]struct{ manifest, want, note string }{
		"a Job":         {manifest: job("", "backoffLimit: 0", "")},
		"a CronJob":     {manifest: cronJob("", "suspend: true", "annotations: {adamant.sh/on-drift: stop}")},
		"a policy":      {manifest: job("", "podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}]}", ""), note: "x.yaml:5:47: spec.podFailurePolicy.rules[0].onPodConditions: nothing here disrupts a pod: the rule never matches"},
		"a replacement": {manifest: job("", "podReplacementPolicy: TerminatingOrFailed", ""), note: "x.yaml:5:3: spec.podReplacementPolicy: a pod is replaced once it has ended"},
		"another controller": {
			manifest: job("", "managedBy: example.com/queue", ""), want: "x.yaml:5:3: spec.managedBy: not supported on one machine",
		},
		"limits for each index": {
			manifest: job("", "completionMode: Indexed\n  completions: 2\n  backoffLimitPerIndex: 1\n  maxFailedIndexes: 1\n  successPolicy: {rules: [{succeededCount: 1}]}", ""),
		},
		"a strategy": {
			manifest: job(annotated("adamant.sh/strategy: Canary"), "backoffLimit: 0", ""), want: "annotation adamant.sh/strategy has no meaning for a Job",
		},
		"an unknown reaction to drift": {
			manifest: job(annotated("adamant.sh/on-drift: shout"), "backoffLimit: 0", ""), want: `annotation adamant.sh/on-drift: "shout": want report, replace or stop`,
		},
		"a back-off": {
			manifest: job("", "backoffLimit: 0", "metadata: {annotations: {adamant.sh/restart-backoff: soon}}"), want: `annotation adamant.sh/restart-backoff: "soon"`,
		},
		"pods that share a port": {
			manifest: job("", "parallelism: 2", ""), want: "2 pods at a time cannot share one host port: set parallelism: 1",
		},
		"drift of the CronJob itself": {
			manifest: cronJob(annotated("adamant.sh/on-drift: stop"), "suspend: false", ""), want: "annotation adamant.sh/on-drift belongs to spec.jobTemplate.metadata of a CronJob",
		},
		"another controller of a CronJob's Jobs": {
			manifest: strings.Replace(cronJob("", "suspend: false", ""), "    spec:\n", "    spec:\n      managedBy: example.com/queue\n", 1),
			want:     "x.yaml:10:7: spec.jobTemplate.spec.managedBy: not supported on one machine",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := manifest.Parse("x.yaml", []byte(test.manifest))
			if err != nil {
				t.Fatalf("%v\n%s", err, test.manifest)
			}
			d, err := parseDeclaration(f)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if got := strings.Join(d.notes, "\n"); test.want == "" && got != test.note {
				t.Errorf("got the notes %q, want %q", got, test.note)
			}
		})
	}
}
