package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

func newRunCommand(a *app) *cobra.Command {
	var in scope
	var files manifestFlag
	var detach, pull, replace bool
	var from string
	var publish []string
	var ready time.Duration
	cmd := &cobra.Command{
		Use:   "run FILE...",
		Short: "Run a manifest on this machine until Ctrl-C",
		Long: `Run does in the foreground what adamant serve does as a daemon: Deployments,
StatefulSets, ReplicaSets and DaemonSets run with all their replicas behind the Services of the
manifest, and instances that broke or drifted are replaced. Of every other
workload it starts one pod, as a kubelet would, and supervises it: probes,
restarts by restartPolicy with back-off. It says so once all are ready; if one
does not get ready in time it says why, and leaves nothing. A container with
restartPolicy Always that crashes before that is an error at its third crash, the
first after a back-off (10s; the pod's annotation adamant.sh/restart-backoff).

It ends when everything has completed, which a Deployment never does, or at
Ctrl-C, and then drains and removes all that it made. Logs go to stdout, what
happens to stderr. On a terminal, logs are printed as adamant logs does.

With --detach it starts one pod of each workload and returns once all are ready:
the pods go on, and adamant serve supervises them if it runs, now or later. It says
so if it does not. Replicas and Services need the foreground, or adamant apply.

With --from cronjob/NAME it makes a Job of a declared CronJob now, outside its
schedule, and prints the Job's name.`,
		Example: `  adamant run web.yaml
  adamant run -d web.yaml config.yaml
  adamant run -d web.yaml --replace --publish 8080:80
  adamant run web.yaml --configmap production.yaml
  adamant run -f deploy/
  adamant run --from cronjob/nightly
  kubectl create deployment web --image=nginx --dry-run=client -o yaml | adamant run -f -`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if from != "" {
				return a.runNow(cmd, args, from)
			}
			f, err := files.loadOne(ctx, a, args)
			if err != nil {
				return err
			}
			if replace && !detach {
				return usagef("--replace is for --detach: a pod in the foreground ends with its command")
			}
			if f, err = f.InNamespace(in.namespace()); err != nil {
				return err
			}
			if f, err = published(f, publish); err != nil {
				return err
			}
			if other := f.UnsupportedKinds(); len(other) > 0 {
				return manifest.Errors(other)
			}
			parts, err := a.divide(f, detach)
			if err != nil {
				return err
			}
			e, err := a.openWith(ctx, pod.Options{Pull: pull})
			if err != nil {
				return err
			}
			defer e.Close()
			if err := parts.once.Prepare(e); err != nil {
				return err
			}
			if detach {
				return a.detach(ctx, e, parts.once, ready, replace)
			}
			return a.foreground(ctx, e, parts, ready)
		},
	}
	files.add(cmd, "run")
	files.addConfigMaps(cmd)
	a.addNamespace(&in, cmd, namespaceOfObjects)
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "return once all pods are ready; adamant serve supervises them, if it runs")
	cmd.Flags().StringVar(&from, "from", "", "cronjob/NAME: make a Job of a declared CronJob now")
	cmd.Flags().BoolVar(&replace, "replace", false, "with --detach: first remove the pods that an earlier run -d of these workloads started")
	cmd.Flags().StringArrayVar(&publish, "publish", nil, "[IP:]PORT[:CONTAINERPORT[/PROTO]]: a port of this machine that leads to the pod's; may be repeated")
	cmd.Flags().BoolVar(&pull, "pull", false, "ask the registry again for images whose pull policy is Always")
	cmd.Flags().DurationVar(&ready, "ready-timeout", 90*time.Second, "how long the pods may take to get ready")
	return cmd
}

// runNow makes a Job of a CronJob.
func (a *app) runNow(cmd *cobra.Command, args []string, from string) error {
	if len(args) > 0 || cmd.Flags().Changed("file") || cmd.Flags().Changed("detach") {
		return usagef("--from runs a declared CronJob: it takes no manifest")
	}
	ref, err := api.ParseRef(from)
	if err != nil {
		return usageError{err}
	}
	c := a.client()
	defer c.Close()
	s, err := c.Find(cmd.Context(), ref)
	if err != nil {
		return err
	}
	answer, err := c.Command(cmd.Context(), s.Key, "run", api.CommandRequest{})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "Job/%s created\n", answer.Job)
	return nil
}

// published returns a manifest with the ports of --publish.
func published(f manifest.File, flags []string) (manifest.File, error) {
	var list []manifest.Publication
	for _, text := range flags {
		p, err := manifest.ParsePublication(text)
		if err != nil {
			return f, usagef("--publish %w", err)
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return f, nil
	}
	return f.Publish(list)
}

// A division is a manifest in two parts: workloads that a controller keeps, and
// pods that run once.
type division struct {
	kept manifest.File
	once local.OncePart
}

// divide divides a manifest. It refuses all that is not supported, because nothing
// of such a manifest may be started.
func (a *app) divide(f manifest.File, detach bool) (division, error) {
	var d division
	rest := f
	if !detach {
		d.kept, rest = local.SplitLongRunning(f)
	}
	if len(d.kept.Workloads()) > 0 {
		if err := local.Validate(d.kept); err != nil {
			return d, err
		}
		if len(rest.Workloads()) == 0 {
			a.note(manifest.PassedOverNotes(local.PassedOverByRun(rest))...)
			return d, nil
		}
	}
	once, err := local.ParseOnce(rest)
	a.note(once.Notes...)
	d.once = once
	return d, err
}

// detach starts pods that outlive the command.
func (a *app) detach(ctx context.Context, e *pod.Engine, once local.OncePart, ready time.Duration, replace bool) error {
	specs := once.Pods
	if replace {
		if err := local.ReplaceDetached(ctx, e, specs, a.event); err != nil {
			return err
		}
	}
	notes, err := local.TwinNotes(ctx, e, specs)
	if err != nil {
		return err
	}
	a.note(notes...)
	pods, err := local.StartDetached(ctx, e, specs, ready, a.event)
	if err != nil {
		return err
	}
	list := report.NewPodList(pods)
	list.PassedOver = once.PassedOver
	if err := a.print(report.ReadyPods{PodList: list}); err != nil {
		return err
	}
	client := api.Dial(a.socket())
	defer client.Close()
	if _, err := client.List(ctx); err != nil {
		a.progress("detached: they go on, but nobody supervises them (no restarts, no liveness probes) until adamant serve runs")
		return nil
	}
	a.progress("detached: adamant serve supervises them")
	return nil
}

// event prints an event of a pod.
func (a *app) event(e pod.Event) { a.progress("%s", e) }

// foreground runs a manifest until ctx ends, with its logs on stdout.
func (a *app) foreground(ctx context.Context, e *pod.Engine, d division, ready time.Duration) error {
	out := a.foreign(a.out)
	defer out.End()
	logs := pod.NewLogFollower(out, func(container string, err error) {
		a.progress("the log of %s cannot be followed any more: %v", container, err)
	})
	defer logs.End()
	return local.RunForeground(ctx, local.ForegroundOptions{
		Engine: e, Kept: d.kept, Once: d.once.Pods, Ready: ready,
		Author: local.Author{UID: os.Geteuid(), PID: os.Getpid()},
		Events: a.event, Created: logs.Follow, Ended: logs.Drain, Say: a.progress,
		Running: func(pods int) { a.progress("supervising %s; Ctrl-C removes them", text.Count(pods, "pod")) },
	})
}
