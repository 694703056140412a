package pod

import "time"

// The limits of the delays before a container that ended is restarted, as in the
// kubelet (pkg/kubelet: MaxCrashLoopBackOff).
const (
	backOffMax = 5 * time.Minute
	// backOffReset is the run time after which the next crash of a container
	// counts as its first.
	backOffReset = 2 * backOffMax
)

// backOff returns the delay after a crash that follows n others in a row. The first
// restart is immediate, as by a kubelet (doBackOff in pkg/kubelet/kuberuntime);
// then the delay is first, and twice as long each time, up to 5 minutes.
func backOff(first time.Duration, n int) time.Duration {
	if n == 0 {
		return 0
	}
	d := first
	for range n - 1 {
		if d >= backOffMax {
			break
		}
		d *= 2
	}
	return min(d, backOffMax)
}
