package local

import (
	"context"
	"fmt"
	"slices"

	"github.com/adamant-sh/adamant/internal/pod"
)

// detachedOf returns the pods of this machine whose place new ones would take: those of
// the same name and those of the same workload.
func detachedOf(pods []*pod.Pod, specs []pod.PodSpec) []*pod.Pod {
	var old []*pod.Pod
	for _, p := range pods {
		own := p.Spec()
		if slices.ContainsFunc(specs, func(s pod.PodSpec) bool {
			return s.Namespace == p.Namespace && (s.Name == p.Name || s.Workload != "" && s.Workload == own.Workload)
		}) {
			old = append(old, p)
		}
	}
	return old
}

// replaceable returns an error for a pod that adamant run -d did not start: another
// process would start it again, or wait for it.
func replaceable(p *pod.Pod) error {
	spec := p.Spec()
	switch {
	case spec.Labels[labelGeneration] != "":
		return fmt.Errorf("pod %s/%s belongs to a workload of adamant serve: replace it with adamant apply, or end it with adamant delete", p.Namespace, p.Name)
	case spec.Ephemeral:
		return fmt.Errorf("pod %s/%s belongs to an adamant run in the foreground: end that with Ctrl-C", p.Namespace, p.Name)
	}
	return nil
}

// ReplaceDetached removes the pods that adamant run -d started before under the names of
// specs, so that StartDetached can start these. The images are pulled first, so that a
// missing one removes nothing.
func ReplaceDetached(ctx context.Context, e *pod.Engine, specs []pod.PodSpec, events pod.Events) error {
	pods, err := e.Pods(ctx)
	if err != nil {
		return err
	}
	old := detachedOf(pods, specs)
	for _, p := range old {
		if err := replaceable(p); err != nil {
			return err
		}
	}
	for _, s := range specs {
		if err := e.EnsureImages(ctx, s, events); err != nil {
			return err
		}
	}
	return pod.RemoveAll(ctx, old, -1, func(*pod.Pod) {})
}

// TwinNotes returns a note for each workload of which a pod runs already. Its next pod
// has another name, so that both would run.
func TwinNotes(ctx context.Context, e *pod.Engine, specs []pod.PodSpec) ([]string, error) {
	pods, err := e.Pods(ctx)
	if err != nil {
		return nil, err
	}
	var notes []string
	for _, p := range detachedOf(pods, specs) {
		isTwin := func(s pod.PodSpec) bool { return s.Name == p.Name && s.Namespace == p.Namespace }
		if replaceable(p) == nil && !slices.ContainsFunc(specs, isTwin) {
			notes = append(notes, fmt.Sprintf("pod %s of %s runs already, and stays: --replace removes it first", p.Name, p.Workload))
		}
	}
	return notes, nil
}
