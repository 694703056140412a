package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/report"
)

func newPsCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "ps",
		Aliases: []string{"pods"},
		Short:   "List the pods on this machine",
		Example: `  adamant ps
  adamant ps -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer e.Close()
			pods, err := e.Pods(cmd.Context())
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(podList(pods))
			}
			return a.printPods(pods)
		},
	}
}

func (a *app) printPods(pods []*pod.Pod) error {
	w := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tNAMESPACE\tWORKLOAD\tPHASE\tCONTAINERS\tRESTARTS\tADDRESS\tAGE")
	for _, p := range pods {
		running, all, restarts := 0, 0, 0
		for _, c := range p.Containers {
			restarts += c.Restarts
			if c.Init && !c.Sidecar {
				continue
			}
			all++
			if c.State == pod.Started {
				running++
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d/%d\t%d\t%s\t%s\n", p.Name, p.Namespace, p.Workload, p.Phase, running, all, restarts, orDash(p.IP), age(p.Created))
	}
	return w.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// age formats the time since a moment: 5s, 3m, 2h, 4d.
func age(since time.Time) string {
	d := time.Since(since)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// podList returns the document of pods.
func podList(pods []*pod.Pod) report.PodList {
	list := report.PodList{Header: document.NewHeader(document.PodList), Pods: []report.Pod{}}
	for _, p := range pods {
		one := report.Pod{
			Namespace: p.Namespace, Name: p.Name, UID: p.UID, Workload: p.Workload, Phase: string(p.Phase),
			IP: p.IP, Created: p.Created, Containers: []report.Container{},
		}
		for _, c := range p.Containers {
			ctr := report.Container{
				Name: c.Name, ID: c.ID, Image: c.Image, ImageID: c.ImageID, Init: c.Init, State: string(c.State),
				Reason: c.Reason, Restarts: c.Restarts, PID: c.PID,
			}
			if c.State == pod.Exited {
				ctr.ExitCode = &c.ExitCode
			}
			one.Containers = append(one.Containers, ctr)
		}
		list.Pods = append(list.Pods, one)
	}
	return list
}
