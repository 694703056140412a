package learn

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
)

// A piece is one part of the load and the container that it is meant for.
// Exactly one of command, http and replay is set.
type piece struct {
	label     string // as the user wrote it; empty if HTTP was detected
	workload  string // key of the workload
	container string // empty for the pod's default container

	command string
	http    string     // "/path", ":8080/path" or a URL
	replay  *recording // requests of a file

	found bool // HTTP was detected and not requested: any answer will do
}

// key returns what tells the workloads of a file apart.
func (s Workload) key() string { return s.Object.Kind + "/" + s.Object.Namespace + "/" + s.Object.Name }

// A LoadError is returned for load that cannot be given to a workload of the
// manifest. It is an error in the command line.
type LoadError struct{ Flag, Arg, Reason string }

// Error returns the flag, its argument and the reason.
func (e *LoadError) Error() string { return fmt.Sprintf("%s %q: %s", e.Flag, e.Arg, e.Reason) }

const (
	flagCommand = "--exercise"
	flagHTTP    = "--exercise-http"
	flagReplay  = "--replay"
)

// Check returns a *LoadError if load is meant for no workload of the manifest, or
// not clearly for one, and an error if a file to replay cannot be used. It returns
// a note for each file that has lines without a request. Nothing runs meanwhile.
func (l Load) Check(workloads []Workload) (notes []string, err error) {
	pieces, err := l.assign(workloads)
	if err != nil {
		return nil, err
	}
	for _, p := range pieces {
		if p.http != "" {
			if _, err := target(p.http, "192.0.2.1"); err != nil {
				return nil, &LoadError{flagHTTP, p.label, "want /path, :port/path or a URL"}
			}
		}
		if p.replay != nil {
			notes = append(notes, p.replay.notes()...)
		}
	}
	return notes, nil
}

// assign returns the pieces of the load in the order in which they run.
func (l Load) assign(workloads []Workload) ([]piece, error) {
	var pieces []piece
	for _, list := range []struct {
		flag string
		args []string
	}{{flagHTTP, l.HTTP}, {flagCommand, l.Commands}, {flagReplay, l.Replay}} {
		for _, arg := range list.args {
			p, err := assignOne(list.flag, arg, workloads)
			if err != nil {
				return nil, err
			}
			pieces = append(pieces, p)
		}
	}
	return pieces, nil
}

func assignOne(flag, arg string, workloads []Workload) (piece, error) {
	fail := func(format string, args ...any) (piece, error) {
		return piece{}, &LoadError{flag, arg, fmt.Sprintf(format, args...)}
	}
	name, what := splitTarget(flag, arg, workloads)
	if strings.TrimSpace(what) == "" {
		return fail("empty")
	}
	p := piece{label: arg}
	switch {
	case name != "":
		s, container, err := findTarget(name, workloads)
		if err != nil {
			return fail("%v", err)
		}
		p.workload, p.container = s.key(), container
	case len(workloads) == 1:
		p.workload = workloads[0].key()
	default:
		return fail("the manifest has several workloads: write which one is meant, as in %s '%s=%s'; it has %s",
			flag, shortName(workloads[0]), what, namesOf(workloads))
	}
	var err error
	switch flag {
	case flagCommand:
		p.command = what
	case flagHTTP:
		p.http = what
	default:
		p.replay, err = readRecording(what)
	}
	return p, err
}

// targetForm is the form of a target: KIND/NAME, KIND/NAME/CONTAINER or
// POD/CONTAINER.
var targetForm = regexp.MustCompile(`^[A-Za-z][-A-Za-z0-9.]*/[A-Za-z0-9][-A-Za-z0-9.]*(/[A-Za-z0-9][-A-Za-z0-9]*)?$`)

// podForm is the form of a pod's name that no variable of a shell has.
var podForm = regexp.MustCompile(`^[a-z0-9][-a-z0-9.]*[-.][-a-z0-9.]*[a-z0-9]$`)

// splitTarget splits TARGET=WHAT. The part before the first '=' is a target if it
// has the form KIND/NAME[/CONTAINER], if it is the name of a pod, or if it looks
// like one and cannot be the assignment of a variable. Otherwise there is no
// target: paths, URLs, assignments and options contain '=', too.
func splitTarget(flag, arg string, workloads []Workload) (name, what string) {
	before, after, ok := strings.Cut(arg, "=")
	if !ok {
		return "", arg
	}
	isPod := slices.ContainsFunc(workloads, func(s Workload) bool { return s.podName() == before })
	switch {
	case targetForm.MatchString(before), isPod && flag != flagReplay, podForm.MatchString(before) && flag != flagReplay:
		return before, after
	}
	return "", arg
}

// podName returns the name of the workload's pod, or "" if it is not fixed.
func (s Workload) podName() string {
	if s.Object.Kind == "Pod" || s.Object.Kind == "StatefulSet" {
		return pod.InstanceName(s.Object.Kind, s.Object.Name)
	}
	return ""
}

// findTarget finds the workload and the container of a target.
func findTarget(name string, workloads []Workload) (s Workload, container string, err error) {
	parts := strings.Split(name, "/")
	kind := "Pod"
	isPod := slices.ContainsFunc(workloads, func(s Workload) bool { return s.podName() == parts[0] })
	if named, ok := manifest.KindNamed(parts[0]); ok && len(parts) > 1 {
		kind, parts = named, parts[1:]
	} else if len(parts) > 1 && !(isPod && len(parts) == 2) {
		return s, "", fmt.Errorf("%q is no kind of workload; the manifest has %s", parts[0], namesOf(workloads))
	}
	var found []Workload
	for _, w := range workloads {
		if w.Object.Kind == kind && w.Object.Name == parts[0] || kind == "Pod" && w.podName() == parts[0] {
			found = append(found, w)
		}
	}
	switch {
	case len(found) == 0:
		return s, "", fmt.Errorf("the manifest has no %s; it has %s", name, namesOf(workloads))
	case len(found) > 1:
		return s, "", errors.New("workloads of several namespaces have that name: learn each of them from a file of its own")
	case len(parts) > 1:
		container = parts[1]
	}
	return found[0], container, found[0].checkContainer(container)
}

// checkContainer returns an error unless commands can run in a container.
func (s Workload) checkContainer(name string) error {
	if name == "" {
		return nil
	}
	var running []string
	spec := s.Object.Template.Spec
	for _, c := range spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			running = append(running, c.Name)
		}
	}
	for _, c := range spec.Containers {
		running = append(running, c.Name)
	}
	if !slices.Contains(running, name) {
		return fmt.Errorf("%s has no container %q that runs; it has %s", s.Name(), name, strings.Join(running, ", "))
	}
	return nil
}

// shortName returns a workload as a target: "deployment/web".
func shortName(s Workload) string { return strings.ToLower(s.Object.Kind) + "/" + s.Object.Name }

func namesOf(workloads []Workload) string {
	var names []string
	for _, s := range workloads {
		names = append(names, shortName(s))
	}
	return strings.Join(names, ", ")
}
