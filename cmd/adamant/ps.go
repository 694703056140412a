package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/pod"
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

// age is a duration as people say it.
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

// The documents of `ps -o json`.
type (
	podListJSON struct {
		APIVersion string    `json:"apiVersion"` // "adamant.sh/v1"
		Kind       string    `json:"kind"`       // "PodList"
		Pods       []podJSON `json:"pods"`
	}
	podJSON struct {
		Namespace  string          `json:"namespace"`
		Name       string          `json:"name"`
		UID        string          `json:"uid"`
		Workload   string          `json:"workload"`
		Phase      pod.Phase       `json:"phase"`
		IP         string          `json:"ip,omitempty"`
		Created    time.Time       `json:"created"`
		Containers []containerJSON `json:"containers"`
	}
	containerJSON struct {
		Name     string    `json:"name"`
		ID       string    `json:"id,omitempty"`
		Image    string    `json:"image"`
		ImageID  string    `json:"imageID,omitempty"`
		Init     bool      `json:"init,omitempty"`
		State    pod.State `json:"state"`
		ExitCode *int32    `json:"exitCode,omitempty"`
		Reason   string    `json:"reason,omitempty"`
		Restarts int       `json:"restarts"`
		PID      int       `json:"pid,omitempty"`
	}
)

func podList(pods []*pod.Pod) podListJSON {
	list := podListJSON{APIVersion: apiVersion, Kind: "PodList", Pods: []podJSON{}}
	for _, p := range pods {
		one := podJSON{
			Namespace: p.Namespace, Name: p.Name, UID: p.UID, Workload: p.Workload, Phase: p.Phase,
			IP: p.IP, Created: p.Created, Containers: []containerJSON{},
		}
		for _, c := range p.Containers {
			ctr := containerJSON{
				Name: c.Name, ID: c.ID, Image: c.Image, ImageID: c.ImageID, Init: c.Init, State: c.State,
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
