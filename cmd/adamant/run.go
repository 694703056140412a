package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/manifest"
	engine "github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

// removeTime bounds how long pods are taken down after an interrupt, beyond
// their own grace periods.
const removeTime = 2 * time.Minute

func newRunCommand(a *app) *cobra.Command {
	var file string
	var detach, pull bool
	var ready time.Duration
	cmd := &cobra.Command{
		Use:   "run -f FILE",
		Short: "Run a manifest on this machine until Ctrl-C",
		Long: `Run does in the foreground what adamant serve does as a daemon: Deployments,
ReplicaSets and DaemonSets run with all their replicas behind the Services of the
manifest, and instances that broke or drifted are replaced. Of every other
workload it starts one pod, as a kubelet would, and supervises it: probes,
restarts by restartPolicy with back-off. It says so once all are ready; if one
does not get ready it says why, and leaves nothing.

It ends when everything has completed, which a Deployment never does, or at
Ctrl-C, and then drains and removes all that it made. Logs go to stdout, what
happens to stderr.

With --detach it starts one pod of each workload and returns once all are ready:
the pods go on, but nobody supervises them. Replicas and Services need the
foreground, or adamant apply.`,
		Example: `  adamant run -f web.yaml
  adamant run -d -f web.yaml
  kubectl create deployment web --image=nginx --dry-run=client -o yaml | adamant run -f -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usagef("name the manifest: -f FILE, or -f - for standard input")
			}
			ctx := cmd.Context()
			f, err := manifest.Load(ctx, file)
			if err != nil {
				return err
			}
			if other := refusedKinds(f); len(other) > 0 {
				return manifest.Errors(other)
			}
			parts, err := a.divide(f, detach)
			if err != nil {
				return err
			}
			e, err := a.openWith(ctx, engine.Options{Pull: pull})
			if err != nil {
				return err
			}
			defer e.Close()
			r := runner{app: a, engine: e, ready: ready}
			if detach {
				return r.detach(ctx, parts.once)
			}
			return r.foreground(ctx, parts)
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "manifest to run, - for standard input")
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "return once all pods are ready; nobody supervises them")
	cmd.Flags().BoolVar(&pull, "pull", false, "ask the registry again for images whose pull policy is Always")
	cmd.Flags().DurationVar(&ready, "ready-timeout", 90*time.Second, "how long the pods may take to get ready")
	return cmd
}

// podless are the kinds of Kubernetes itself that start no pod. A manifest often
// has them beside its workloads; that they are passed over is said.
var podless = []string{
	"Service", "Ingress", "IngressClass", "NetworkPolicy", "Endpoints", "EndpointSlice",
	"HorizontalPodAutoscaler", "PodDisruptionBudget", "PriorityClass", "LimitRange", "ResourceQuota",
	"Namespace", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding",
	"PersistentVolume", "PersistentVolumeClaim", "StorageClass", "CustomResourceDefinition",
}

// refusedKinds are the objects that may well start pods, but are of a kind that
// is not known here: to pass over those would be to run half of the manifest.
func refusedKinds(f manifest.File) []manifest.FieldError {
	var refused []manifest.FieldError
	others := f.Others()
	for i, e := range f.UnsupportedKinds() {
		if !slices.Contains(podless, others[i].Kind) {
			refused = append(refused, e)
		}
	}
	return refused
}

// A division is a manifest in two parts: what a controller keeps, and the pods
// that are started once.
type division struct {
	kept manifest.File
	once []engine.PodSpec
}

func (d division) keeps() bool { return len(d.kept.Workloads()) > 0 }

// divide refuses all that cannot be honoured, before anything is started.
func (a *app) divide(f manifest.File, detach bool) (division, error) {
	var d division
	rest := f
	if !detach {
		d.kept, rest = local.SplitLongRunning(f)
	}
	if d.keeps() {
		if err := local.Validate(d.kept); err != nil {
			return d, err
		}
		if len(rest.Workloads()) == 0 {
			a.passOver(rest)
			return d, nil
		}
	}
	subjects, err := a.workloads(rest)
	for _, s := range subjects {
		d.once = append(d.once, s.Spec())
	}
	return d, err
}

// A runner brings up the pods of one manifest.
type runner struct {
	*app
	engine *engine.Engine
	ready  time.Duration
}

// detach starts pods and leaves them to themselves.
func (r runner) detach(ctx context.Context, specs []engine.PodSpec) error {
	ctx, cancel := context.WithTimeout(ctx, r.ready)
	defer cancel()
	pods, err := r.start(ctx, specs)
	if err != nil {
		return errors.Join(err, r.remove(pods))
	}
	return r.report(pods)
}

// start makes all pods and waits until they are ready. On an error the pods
// made so far are returned with it.
func (r runner) start(ctx context.Context, specs []engine.PodSpec) ([]*engine.Pod, error) {
	var pods []*engine.Pod
	for _, spec := range specs {
		pod, err := r.engine.Create(ctx, spec, r.event)
		if err != nil {
			return pods, err
		}
		pods = append(pods, pod)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, pod := range pods {
		group.Go(func() error { return pod.WaitReady(ctx, r.event) })
	}
	return pods, group.Wait()
}

// remove takes pods down although the command was interrupted.
func (r runner) remove(pods []*engine.Pod) error {
	ctx, cancel := context.WithTimeout(context.Background(), removeTime)
	defer cancel()
	var group errgroup.Group
	for _, pod := range pods {
		group.Go(func() error { return r.removeOne(ctx, pod) })
	}
	return group.Wait()
}

// removeOne removes a pod although the runtime may just have been killed.
func (r runner) removeOne(ctx context.Context, pod *engine.Pod) error {
	err := pod.Remove(ctx, -1, nil)
	if engine.IsUnavailable(err) && r.engine.Ensure(ctx) == nil {
		err = pod.Remove(ctx, -1, nil)
	}
	return err
}

// event prints an event of a pod.
func (r runner) event(e engine.Event) {
	who := e.Pod
	if e.Container != "" {
		who += " " + e.Container
	}
	r.progress("%s  %-12s %s", strings.TrimPrefix(who, "default/"), e.Reason, text.EscapeLines(e.Message))
}

func (r runner) report(pods []*engine.Pod) error {
	for _, p := range pods {
		if err := p.Refresh(context.Background()); err != nil {
			return err
		}
	}
	if r.json() {
		return r.printJSON(podList(pods))
	}
	for _, p := range pods {
		fmt.Fprintf(r.out, "pod %s is ready%s\n", p.Name, at(p.IP))
	}
	r.progress("detached: they go on, but nobody supervises them (no restarts, no liveness probes)")
	return nil
}

func at(ip string) string {
	if ip == "" {
		return ""
	}
	return " at " + ip
}
