package local

import (
	"context"

	"github.com/adamant-sh/adamant/internal/pod"
)

// servingBackends returns the hosts to which the balancer passes traffic since an earlier
// process of this data directory, by the ID of the instance.
func (c *Controller) servingBackends(ctx context.Context) map[string]string {
	b, ok := c.opts.Balancer.(interface {
		Backends(context.Context) map[string]string
	})
	if !ok {
		return nil
	}
	return b.Backends(ctx)
}

// wasServing reports whether a pod got traffic until now and still runs. It must get
// traffic on until a probe fails: the first one may take longer than clients wait.
func (c *Controller) wasServing(p *pod.Pod, host string) bool {
	// Earlier versions had the name of the pod alone for its ID.
	served := c.serving[backendID(p.Namespace, p.Name)] == host || c.serving[p.Name] == host
	if !served || host == "" || p.Phase != pod.Running {
		return false
	}
	for _, ctr := range p.Containers {
		if (!ctr.Init || ctr.Sidecar) && (ctr.State != pod.Started || ctr.Waiting != "") {
			return false
		}
	}
	return true
}
