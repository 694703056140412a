package translate

import (
	corev1 "k8s.io/api/core/v1"
)

// A PodSpec is the complete description of a pod to run.
type PodSpec struct {
	Namespace   string            `json:"namespace"`
	Name        string            `json:"name"`               // of the instance, see InstanceName
	Workload    string            `json:"workload,omitempty"` // "deployment/web"; empty for a bare Pod
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Spec        corev1.PodSpec    `json:"spec"` // with the API's defaults filled in

	ConfigMaps []corev1.ConfigMap `json:"configMaps,omitempty"` // of the pod's namespace; the pod may refer to them
	Secrets    []corev1.Secret    `json:"secrets,omitempty"`    // likewise; stored in a file that only root can read

	// Handler is the CRI runtime handler of every container, empty for the
	// default. The private containerd has "learn", which traces.
	Handler string `json:"handler,omitempty"`
	// TraceDir is the value of the annotation adamant.sh/trace of each container.
	TraceDir string `json:"traceDir,omitempty"`
	// Redirected pods have a network in which addresses of pod.VirtualNet lead
	// where the redirects say, and nowhere without one. Redirects are the first
	// ones; Pod.Redirect replaces them.
	Redirected bool       `json:"redirected,omitempty"`
	Redirects  []Redirect `json:"redirects,omitempty"`
	// ClusterDNS is the address of the DNS server that knows the names of Services.
	// If it is empty, dnsPolicy ClusterFirst means the machine's resolver.
	ClusterDNS string `json:"clusterDNS,omitempty"`
	// ServiceLinks are the environment variables of Services, which those of the
	// manifest replace. See ServiceVariables.
	ServiceLinks map[string]string `json:"serviceLinks,omitempty"`
	// Ephemeral pods are removed by the next Open after the process that created
	// them has ended.
	Ephemeral bool `json:"ephemeral,omitempty"`
}

// A Redirect is one rule by which a pod's connections reach another address than
// the one that they are made to.
type Redirect struct {
	Address  string `json:"address"`        // IPv4
	Protocol string `json:"protocol"`       // "tcp" or "udp"
	Port     int32  `json:"port,omitempty"` // 0 for all ports
	To       string `json:"to"`             // IPv4
	ToPort   int32  `json:"toPort,omitempty"`
}

// WorkloadName returns "kind/name", which is "pod/name" for a bare pod.
func (s *PodSpec) WorkloadName() string {
	if s.Workload != "" {
		return s.Workload
	}
	return "pod/" + s.Name
}

// configMap finds a ConfigMap by name.
func (s *PodSpec) configMap(name string) (*corev1.ConfigMap, bool) {
	for i := range s.ConfigMaps {
		if s.ConfigMaps[i].Name == name {
			return &s.ConfigMaps[i], true
		}
	}
	return nil, false
}

// secretData finds a Secret by name and returns its data. stringData is merged
// into it, as by the API server.
func (s *PodSpec) secretData(name string) (map[string][]byte, bool) {
	for i := range s.Secrets {
		if s.Secrets[i].Name != name {
			continue
		}
		data := make(map[string][]byte, len(s.Secrets[i].Data)+len(s.Secrets[i].StringData))
		for k, v := range s.Secrets[i].Data {
			data[k] = v
		}
		for k, v := range s.Secrets[i].StringData {
			data[k] = []byte(v)
		}
		return data, true
	}
	return nil, false
}

// Container finds a container or init container by name.
func (s *PodSpec) Container(name string) (*corev1.Container, bool) {
	for i := range s.Spec.InitContainers {
		if s.Spec.InitContainers[i].Name == name {
			return &s.Spec.InitContainers[i], true
		}
	}
	for i := range s.Spec.Containers {
		if s.Spec.Containers[i].Name == name {
			return &s.Spec.Containers[i], true
		}
	}
	return nil, false
}

// IsSidecar reports whether an init container is a sidecar, which keeps running
// beside the main containers.
func IsSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// fsGroup returns the group that owns the pod's volumes, or nil if it is not set.
func (s *PodSpec) fsGroup() *int64 {
	if s.Spec.SecurityContext == nil {
		return nil
	}
	return s.Spec.SecurityContext.FSGroup
}

// GracePeriod returns the termination grace period in seconds.
func (s *PodSpec) GracePeriod() int64 {
	if g := s.Spec.TerminationGracePeriodSeconds; g != nil {
		return *g
	}
	return 30
}
