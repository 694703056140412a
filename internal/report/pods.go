package report

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/balancer"
)

// PodList is the document of `ps -o json` and `run -d -o json`.
type PodList struct {
	document.Header
	Pods      []Pod      `json:"pods"`
	Balancers []Balancer `json:"balancers,omitempty"` // of adamant serve; they run also without it

	PassedOver []manifest.Other `json:"passedOver,omitempty"` // of the manifest that was run: objects without pods
}

// A Balancer is a process that balances the traffic of Services.
type Balancer struct {
	PID       int      `json:"pid"`
	Retired   bool     `json:"retired,omitempty"` // was replaced, and ends with its last connection
	Clients   int      `json:"clients"`           // open connections
	Addresses []string `json:"addresses"`
}

// AddBalancers adds processes to the list.
func (l *PodList) AddBalancers(processes []balancer.Process) {
	for _, p := range processes {
		one := Balancer{PID: p.PID, Retired: p.Retired, Clients: p.Clients, Addresses: []string{}}
		for _, a := range p.Listeners {
			one.Addresses = append(one.Addresses, a.Address)
		}
		l.Balancers = append(l.Balancers, one)
	}
}

// String returns a line about a process.
func (b Balancer) String() string {
	if b.Retired {
		return fmt.Sprintf("balancer, process %d: was replaced, ends with its last of %s", b.PID, text.Count(b.Clients, "connection"))
	}
	return fmt.Sprintf("balancer, process %d: %s at %s", b.PID, text.Count(b.Clients, "connection"), strings.Join(b.Addresses, ", "))
}

// A Pod is a pod on this machine.
type Pod struct {
	Namespace  string      `json:"namespace"`
	Name       string      `json:"name"`
	UID        string      `json:"uid"`
	Workload   string      `json:"workload"` // "Deployment/web"
	Phase      string      `json:"phase"`
	IP         string      `json:"ip,omitempty"`
	Created    time.Time   `json:"created"`
	Containers []Container `json:"containers"`
}

// A Container is a container of a Pod.
type Container struct {
	Name     string `json:"name"`
	ID       string `json:"id,omitempty"`
	Image    string `json:"image"`
	ImageID  string `json:"imageID,omitempty"`
	Init     bool   `json:"init,omitempty"`
	State    string `json:"state"`
	ExitCode *int32 `json:"exitCode,omitempty"` // of a container that exited
	Reason   string `json:"reason,omitempty"`
	Restarts int    `json:"restarts"`
	PID      int    `json:"pid,omitempty"`

	Waiting   string    `json:"waiting,omitempty"`  // why it waits to be started again: CrashLoopBackOff, CreateContainerError, ErrImagePull
	Message   string    `json:"message,omitempty"`  // of its last end or failure to start, while it waits
	RestartAt time.Time `json:"restartAt,omitzero"` // end of that wait

	sidecar bool
}

// NewPodList returns the document of pods.
func NewPodList(pods []*pod.Pod) PodList {
	list := PodList{Header: document.NewHeader(document.PodList), Pods: []Pod{}}
	for _, p := range pods {
		one := Pod{
			Namespace: p.Namespace, Name: p.Name, UID: p.UID, Workload: p.Workload, Phase: string(p.Phase),
			IP: p.IP, Created: p.Created, Containers: []Container{},
		}
		for _, c := range p.Containers {
			ctr := Container{
				Name: c.Name, ID: c.ID, Image: c.Image, ImageID: c.ImageID, Init: c.Init, State: string(c.State),
				Reason: c.Reason, Restarts: c.Restarts, PID: c.PID, sidecar: c.Sidecar,
			}
			if c.State == pod.Exited {
				ctr.ExitCode = &c.ExitCode
			}
			if c.Waiting != "" {
				ctr.Waiting, ctr.Message, ctr.RestartAt = c.Waiting, c.Message, c.RestartAt
			}
			one.Containers = append(one.Containers, ctr)
		}
		list.Pods = append(list.Pods, one)
	}
	return list
}

// WriteText implements Text.
func (l PodList) WriteText(w io.Writer, _ bool) error {
	table := text.NewTable(w)
	fmt.Fprintln(table, "NAME\tNAMESPACE\tWORKLOAD\tPHASE\tCONTAINERS\tRESTARTS\tADDRESS\tAGE")
	for _, p := range l.Pods {
		running, all, restarts, phase := 0, 0, 0, p.Phase
		for _, c := range p.Containers {
			restarts += c.Restarts
			if c.Waiting != "" {
				phase = p.Phase + " (" + c.Waiting + ")"
			}
			if c.Init && !c.sidecar {
				continue // it is meant to end before the others start
			}
			all++
			if c.State == string(pod.Started) {
				running++
			}
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d/%d\t%d\t%s\t%s\n", p.Name, p.Namespace, p.Workload, phase, running, all, restarts,
			text.OrDash(p.IP), text.Age(time.Since(p.Created)))
	}
	return errors.Join(table.Flush(), l.writeBalancers(w))
}

func (l PodList) writeBalancers(w io.Writer) error {
	for _, b := range l.Balancers {
		if _, err := fmt.Fprintln(w, b); err != nil {
			return err
		}
	}
	return nil
}

// WriteWide writes a line for each container, and nothing is cut.
func (l PodList) WriteWide(w io.Writer) error {
	table := text.NewTable(w)
	fmt.Fprintln(table, "NAME\tNAMESPACE\tWORKLOAD\tPHASE\tCONTAINER\tSTATE\tRESTARTS\tPROCESS\tIMAGE\tADDRESS\tAGE\tUID")
	for _, p := range l.Pods {
		for _, c := range p.Containers {
			pid := "-"
			if c.PID != 0 {
				pid = strconv.Itoa(c.PID)
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", p.Name, p.Namespace, p.Workload, p.Phase, c.Name, c.stateText(),
				c.Restarts, pid, text.Escape(c.Image), text.OrDash(p.IP), text.Age(time.Since(p.Created)), p.UID)
		}
	}
	return errors.Join(table.Flush(), l.writeBalancers(w))
}

// stateText returns the state with its reason.
func (c Container) stateText() string {
	state := c.State
	if c.ExitCode != nil {
		state = fmt.Sprintf("%s %d", state, *c.ExitCode)
	}
	if why := cmp.Or(c.Waiting, c.Reason); why != "" {
		state += " (" + text.Escape(why) + ")"
	}
	return state
}

// Names returns the names of the pods.
func (l PodList) Names() []Name {
	var names []Name
	for _, p := range l.Pods {
		names = append(names, Name{p.Namespace, "Pod", p.Name})
	}
	return names
}

func (l PodList) writeFitted(w io.Writer, color bool, columns int) error {
	return wrap(l, w, color, columns)
}

// ReadyPods is a PodList of pods that just became ready. As text it has one line
// for each pod.
type ReadyPods struct {
	PodList
}

// WriteText implements Text.
func (l ReadyPods) WriteText(w io.Writer, _ bool) error {
	b := bufio.NewWriter(w)
	for _, p := range l.Pods {
		at := ""
		if p.IP != "" {
			at = " at " + p.IP
		}
		fmt.Fprintf(b, "pod %s is ready%s\n", p.Name, at)
	}
	return b.Flush()
}

func (l ReadyPods) writeFitted(w io.Writer, color bool, columns int) error {
	return wrap(l, w, color, columns)
}
