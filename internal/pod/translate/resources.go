package translate

import (
	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// The constants of CPU shares, CPU quota and oom_score_adj in the kernel and the
// kubelet.
const (
	minShares     = 2
	maxShares     = 262144
	sharesPerCPU  = 1024
	quotaPeriod   = 100_000 // µs
	minQuota      = 1_000   // µs
	oomGuaranteed = -997
	oomBestEffort = 1000
)

// containerResources returns the resources of a container. memory is the memory of
// the machine, in bytes.
func containerResources(spec *corev1.PodSpec, c *corev1.Container, memory int64) *cri.LinuxContainerResources {
	limits, requests := c.Resources.Limits, c.Resources.Requests
	cpu := limits.Cpu().MilliValue()
	request := cpu
	if q, ok := requests[corev1.ResourceCPU]; ok {
		request = q.MilliValue()
	}
	return &cri.LinuxContainerResources{
		CpuShares:          cpuShares(request),
		CpuPeriod:          quotaPeriod,
		CpuQuota:           cpuQuota(cpu),
		MemoryLimitInBytes: limits.Memory().Value(),
		OomScoreAdj:        oomScore(spec, c, memory),
	}
}

func cpuShares(milli int64) int64 {
	return min(max(milli*sharesPerCPU/1000, minShares), maxShares)
}

// cpuQuota returns the CPU time per period in µs, or 0 for no limit.
func cpuQuota(milli int64) int64 {
	if milli == 0 {
		return 0
	}
	return max(milli*quotaPeriod/1000, minQuota)
}

// oomScore returns the oom_score_adj of a container, by the kubelet's rules. It
// depends on the pod's QoS class, and in a Burstable pod on the memory request.
func oomScore(spec *corev1.PodSpec, c *corev1.Container, memory int64) int64 {
	switch qosClass(spec) {
	case corev1.PodQOSGuaranteed:
		return oomGuaranteed
	case corev1.PodQOSBestEffort:
		return oomBestEffort
	}
	score := oomBestEffort - oomBestEffort*memoryRequest(c)/max(memory, 1)
	if IsSidecar(c) {
		// A sidecar must not be killed before the containers that need it.
		least := memoryRequest(&spec.Containers[0])
		for i := range spec.Containers {
			least = min(least, memoryRequest(&spec.Containers[i]))
		}
		score = min(score, oomBestEffort-oomBestEffort*least/max(memory, 1))
	}
	return min(max(score, oomBestEffort+oomGuaranteed), oomBestEffort-1)
}

func memoryRequest(c *corev1.Container) int64 {
	if q, ok := c.Resources.Requests[corev1.ResourceMemory]; ok {
		return q.Value()
	}
	return c.Resources.Limits.Memory().Value()
}

// qosClass returns the QoS class of a pod: Guaranteed if every container has
// limits for CPU and memory and requests equal to them, BestEffort if no container
// has any request or limit, and Burstable otherwise.
func qosClass(spec *corev1.PodSpec) corev1.PodQOSClass {
	guaranteed, any := true, false
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				limit, request := list[i].Resources.Limits[name], list[i].Resources.Requests[name]
				_, requested := list[i].Resources.Requests[name]
				any = any || !limit.IsZero() || !request.IsZero()
				guaranteed = guaranteed && !limit.IsZero() && (!requested || request.Cmp(limit) == 0)
			}
		}
	}
	switch {
	case !any:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}
