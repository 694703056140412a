package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/engine"
	"github.com/adamant-sh/adamant/internal/manifest"
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
		Short: "Start the pods of a manifest on this machine",
		Long: `Run starts one pod of each workload of a manifest, as a kubelet would, and waits
until all are ready; if one does not get ready it says why, and starts nothing.

In the foreground it supervises them: probes, restarts by restartPolicy with
back-off, and logs, until they complete or Ctrl-C, which removes them. With
--detach it returns once all are ready: the pods go on, but nobody supervises
them.`,
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
			subjects, err := a.subjects(f)
			if err != nil {
				return err
			}
			e, err := a.openWith(ctx, engine.Options{Pull: pull})
			if err != nil {
				return err
			}
			defer e.Close()
			var specs []engine.PodSpec
			for _, s := range subjects {
				specs = append(specs, s.Spec())
			}
			r := runner{app: a, engine: e, ready: ready, foreground: !detach}
			return r.run(ctx, specs)
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

// A runner brings up the pods of one manifest.
type runner struct {
	*app
	engine     *engine.Engine
	ready      time.Duration
	foreground bool
}

func (r runner) run(ctx context.Context, specs []engine.PodSpec) error {
	pods, err := r.start(ctx, specs)
	if err != nil {
		return errors.Join(err, r.remove(pods))
	}
	if !r.foreground {
		return r.report(pods)
	}
	err = r.supervise(ctx, pods)
	if ctx.Err() != nil {
		r.progress("removing %s", counted(len(pods), "pod"))
		return r.remove(pods)
	}
	return errors.Join(err, r.remove(pods))
}

// start makes all pods and waits until they are ready. On an error the pods
// made so far are returned with it.
func (r runner) start(ctx context.Context, specs []engine.PodSpec) ([]*engine.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, r.ready)
	defer cancel()
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

// A supervision is the time in which pods run in the foreground.
type supervision struct {
	ctx context.Context
	mu  sync.Mutex // of the output, line by line
}

func (r runner) supervise(ctx context.Context, pods []*engine.Pod) error {
	r.progress("supervising %s; Ctrl-C removes them", counted(len(pods), "pod"))
	group, ctx := errgroup.WithContext(ctx)
	logs, stopLogs := context.WithCancel(ctx)
	defer stopLogs()
	s := &supervision{ctx: logs}
	var followers errgroup.Group
	for _, pod := range pods {
		for _, c := range pod.Containers {
			followers.Go(func() error { return r.followLogs(s, pod, c.Name) })
		}
		group.Go(func() error { return r.tend(ctx, pod) })
	}
	err := group.Wait()
	time.AfterFunc(logDrain, stopLogs)
	return errors.Join(err, followers.Wait())
}

// tend supervises a pod, and again if its sandbox is lost, which makes it anew.
func (r runner) tend(ctx context.Context, pod *engine.Pod) error {
	for {
		err := pod.Supervise(ctx, engine.Supervision{Events: r.event})
		if !errors.Is(err, engine.ErrLost) {
			return err
		}
	}
}

// logDrain is how long the last lines of a pod that has ended are waited for.
const logDrain = time.Second

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// remove takes pods down although the command was interrupted.
func (r runner) remove(pods []*engine.Pod) error {
	ctx, cancel := context.WithTimeout(context.Background(), removeTime)
	defer cancel()
	var group errgroup.Group
	for _, pod := range pods {
		group.Go(func() error { return pod.Remove(ctx, -1, nil) })
	}
	return group.Wait()
}

// event says what happens to a pod.
func (r runner) event(e engine.Event) {
	who := e.Pod
	if e.Container != "" {
		who += " " + e.Container
	}
	r.progress("%s  %-12s %s", strings.TrimPrefix(who, "default/"), e.Reason, printable(e.Message))
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
