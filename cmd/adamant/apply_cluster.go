package main

import (
	"context"
	"time"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/workload/cluster"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// applyToCluster applies a manifest in a Kubernetes cluster and waits for the
// rollouts of its Deployments.
func (a *app) applyToCluster(ctx context.Context, file, kubeContext string, timeout time.Duration) error {
	content, err := a.readManifest(file)
	if err != nil {
		return err
	}
	f, err := manifest.Parse(file, content)
	if err != nil {
		return err
	}
	objects, err := f.Raw()
	if err != nil {
		return err
	}
	c, err := cluster.Open("", kubeContext)
	if err != nil {
		return err
	}
	results, err := c.Apply(ctx, objects, cluster.Options{
		Event:   func(workload string, e rollout.Event) { a.progress("%s  %-12s %s", workload, e.Reason, e.Message) },
		Report:  func(workload string, err error) { a.progress("%s  %v; trying again", workload, err) },
		Timeout: timeout,
	})
	if err != nil {
		return hint{err, "apply again to go on: a Deployment that is being rolled out stays paused until then"}
	}
	if !a.json() {
		defer a.noteUnchecked(results)
	}
	return a.printVerdict(report.NewClusterApplyResult(results))
}

// noteUnchecked prints a note for each pod that was not compared with its image.
func (a *app) noteUnchecked(results []cluster.Result) {
	for _, r := range results {
		for _, pod := range r.Unchecked {
			a.progress("note: pod %s can write its root, and was not compared with its image; adamant seal makes the root read-only", pod)
		}
	}
}
