package report

import (
	"time"

	"github.com/adamant-sh/adamant/internal/document"
)

// PodList is the document of `ps -o json` and `run -d -o json`.
type PodList struct {
	document.Header
	Pods []Pod `json:"pods"`
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
}
