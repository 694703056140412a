package main

import (
	"context"
	"fmt"
	"time"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/text"
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
	return a.printClusterResults(results)
}

func (a *app) printClusterResults(results []cluster.Result) error {
	failed, unchecked := false, false
	for _, r := range results {
		failed = failed || r.Phase != rollout.Complete
		unchecked = unchecked || len(r.Unchecked) > 0
		if a.json() {
			continue
		}
		fmt.Fprintf(a.out, "Deployment/%s generation %d: %s", r.Name, r.Generation, r.Phase)
		if r.Reason != "" {
			fmt.Fprintf(a.out, ": %s", text.EscapeLines(r.Reason))
		}
		fmt.Fprintln(a.out)
		for _, pod := range r.Unchecked {
			a.progress("note: pod %s can write its root, and was not compared with its image; adamant seal makes the root read-only", pod)
		}
	}
	if a.json() {
		if err := a.printJSON(document.NewList(document.ClusterApplyResult, results)); err != nil {
			return err
		}
	}
	switch {
	case failed:
		return exitWith(report.Findings)
	case unchecked:
		return exitWith(report.Incomplete)
	}
	return nil
}
